"""A day's sheet for paper and spreadsheets: what staff hold in their hands when the network is down."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from shared import clock
from shared.places import sql
from shared.texts import choose, say

_HEADINGS = (
    say("Begin", "开始"),
    say("End", "结束"),
    say("Where", "场地"),
    say("What", "场次"),
    say("Name", "姓名"),
    say("Places", "名额"),
    say("State", "状态"),
    say("Channel", "渠道"),
)
_WORDS = {
    "held": say("being booked", "预约中"),
    "confirmed": say("booked", "已预约"),
    "attended": say("came", "已到场"),
    "no_show": say("did not come", "未到场"),
    "app": say("app", "手机"),
    "desk": say("desk", "窗口"),
    "phone": say("phone", "电话"),
    "paper": say("paper", "纸质"),
    "partner": say("partner", "合作方"),
    "closed": say("closed", "已关闭"),
    "cancelled": say("cancelled", "已取消"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def rows(sessions: list[sql.Session], lang: str) -> Iterator[tuple[str, ...]]:
    """One row a person; a slot in which nobody has a place is one row without a name."""
    for one in sessions:
        when = tuple(f"{clock.local(moment):%H:%M}" for moment in (one.starts_at, one.ends_at))
        what = (*when, one.resource or "", one.title)
        for who in one.people:
            yield (*what, who.name, str(who.units), _word(who.state, lang), _word(who.channel, lang))
        if not one.people:
            yield (*what, "", "", "" if one.state == "open" else _word(one.state, lang), "")


def _word(word: str, lang: str) -> str:
    return choose(_WORDS.get(word, word), lang)


def as_csv(sessions: list[sql.Session], lang: str) -> bytes:
    """A day as a file for spreadsheets."""
    return table_csv([choose(heading, lang) for heading in _HEADINGS], rows(sessions, lang))


def table_csv(headings: Sequence[str], told: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with a byte order mark, as spreadsheets want it; no cell is ever taken for a formula (OWASP, CSV injection)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(headings)
    writer.writerows([_plain(cell) for cell in row] for row in told)
    return out.getvalue().encode("utf-8-sig")


def _plain(cell: str) -> str:
    return "'" + cell if cell.lstrip(" ").startswith(_FORMULA) else cell


def as_html(place: sql.Place, day: date, sessions: list[sql.Session], lang: str) -> str:
    """A day as a page that prints."""
    return as_page(f"{place.name} {day.isoformat()}", sessions, lang)


def as_page(heading: str, sessions: list[sql.Session], lang: str) -> str:
    """Sessions and who has a place in them, under a heading, as a page that prints."""
    return table_html(heading, [choose(one, lang) for one in _HEADINGS], rows(sessions, lang), lang)


def table_html(title: str, headings: Sequence[str], told: Iterable[Sequence[str]], lang: str) -> str:
    """A page that needs nothing else and prints on paper."""
    title = html.escape(title)
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in told)
    return f"""<!doctype html>
<html lang="{"zh-CN" if lang == "zh" else "en"}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 12pt/1.4 sans-serif; margin: 1.5cm }}
h1 {{ font-size: 16pt }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border: 1px solid #666; padding: .2em .5em; text-align: left }}
thead {{ display: table-header-group }}
tr {{ break-inside: avoid }}
</style>
<h1>{title}</h1>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</html>
"""
