"""Everything that is known of somebody, as files: one for programs, one a table for spreadsheets, one page for people."""

from __future__ import annotations

import base64
import html
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared import clock, crypto
from shared.crypto import Keyring
from shared.places import sheets
from shared.rights import Tables

_PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>个人信息副本 / What is known of you</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{{font:16px/1.6 sans-serif;margin:2em}}table{{border-collapse:collapse;margin:0 0 2em}}
td,th{{border:1px solid #999;padding:.2em .6em;text-align:left;vertical-align:top}}</style></head>
<body><h1>个人信息副本 / What is known of you</h1><p>{at}</p>
{body}</body></html>
"""


def packed(found: Mapping[str, Tables], at: datetime) -> bytes:
    """A ZIP of `data.json`, `index.html`, and a CSV file for each table that has rows."""
    told = {"made_at": clock.local(at).isoformat(timespec="seconds"), "services": _plain(found)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.json", json.dumps(told, ensure_ascii=False, indent=1))
        sections = []
        for service, tables in sorted(told["services"].items()):
            for name, rows in sorted(tables.items()):
                if rows:
                    cells = ([_cell(one) for one in row.values()] for row in rows)
                    archive.writestr(f"{service}/{name}.csv", sheets.table_csv(list(rows[0]), cells))
                    sections.append(_section(f"{service} / {name}", rows))
        archive.writestr("index.html", _PAGE.format(at=html.escape(told["made_at"]), body="\n".join(sections)))
    return file.getvalue()


def seal(keys: Keyring, archive: bytes, request_id: object) -> bytes:
    """An archive, for its row."""
    text = base64.b64encode(archive).decode()
    return crypto.seal(keys, text, table="archives", column="sealed", row=str(request_id))


def unseal(keys: Keyring, sealed: bytes, request_id: object) -> bytes:
    """The archive out of its row."""
    return base64.b64decode(crypto.unseal(keys, sealed, table="archives", column="sealed", row=str(request_id)))


def _plain(value: Any) -> Any:
    """The same in words that JSON has; moments as the town's clocks show them."""
    match value:
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case datetime():
            return clock.local(value).isoformat(timespec="seconds")
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _section(title: str, rows: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(one))}</td>" for one in row.values()) + "</tr>" for row in rows
    )
    return f"<h2>{html.escape(title)}</h2><table><tr>{head}</tr>{lines}</table>"
