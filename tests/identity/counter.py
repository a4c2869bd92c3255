"""Staff in the identity town: who they are, and people who come to them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import httpx

from services import doctor
from services.identity import rules
from tests.identity.town import Login, Town

HERE, VILLAGE, FAR = "330411105003", "330411105204", "440300001001"
ENGLISH = {"accept-language": "en"}


def number(n: int, born: str = "19380101", county: str = "330411") -> str:
    """A resident's number that nobody has."""
    first = f"{county}{born}{n:03}"
    return first + rules.check_digit(first)


def body(n: int = 1, name: str = "沈阿毛", **more: Any) -> dict[str, Any]:
    """Somebody who comes to the desk."""
    return {"name": name, "document": {"kind": "resident_id", "number": number(n)}, "community": HERE} | more


async def far_away(town: Town) -> None:
    """Another province, where nobody of ours has anything to say."""
    await town.execute(
        "INSERT INTO regions (code, name, level, parent_code) VALUES ('44', '广东省', 'province', NULL), "
        "($1, '某社区', 'community', '44') ON CONFLICT DO NOTHING",
        FAR,
    )


async def appointed(town: Town, phone: str, role: str = "staff", prefix: str = "330411105003", **more: Any) -> Login:
    """Somebody with a role, in the table and in what the gateway would say of them."""
    await far_away(town)
    if len(prefix) in {4, 6, 9}:
        await town.execute(
            "INSERT INTO regions (code, name, level, parent_code) VALUES ($1, $1, 'street', NULL) ON CONFLICT DO NOTHING",
            prefix,
        )
    login = await town.login(phone)
    await town.execute(
        "INSERT INTO roles (account_no, role, prefix) VALUES ($1, $2, $3)", login.caller.account_no, role, prefix
    )
    return holding(login, role, prefix, **more)


def holding(login: Login, role: str, prefix: str, **more: Any) -> Login:
    """The caller as the gateway would vouch for them."""
    from shared.assertion import Role  # noqa: PLC0415 - short

    return replace(login, caller=login.caller._replace(roles=(*login.caller.roles, Role(role, prefix, **more))))


async def ask(town: Town, who: Login, method: str, path: str, told: object = None, **headers: str) -> httpx.Response:
    return await town.call(method, path, told, who.caller, **(ENGLISH | headers))


async def enrolled(town: Town, who: Login, n: int = 1, **more: Any) -> dict[str, Any]:
    answer = await ask(town, who, "POST", "/people", body(n, **more))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json() | {"etag": answer.headers["etag"]}
    return found


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def healthy(town: Town) -> None:
    """The doctor finds nothing, and nothing that was answered told a number or a phone."""
    told = [text for text in town.answers if re.search(r"(?<![0-9])([0-9]{17}[0-9X]|1540000[0-9]{4})(?![0-9])", text)]
    assert told == []
    url = str(town.root.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    found = await doctor.examine(url)
    assert [one for one in found if one[1]] == []


async def both(*several: Any) -> list[Any]:
    return list(await asyncio.gather(*several))
