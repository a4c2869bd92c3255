"""What the ear at the tests' clients must hear: the control of `tests/overheard.py`."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared import embedded
from shared.crypto import Keyring
from tests import overheard
from tests.conftest import copy_of
from tests.overheard import Heard, Known
from tests.town import Resident, Town

NUMBER, PHONE = "11010519491231002X", "15400000001"


def given_away(answers: list[Heard], known: Known) -> list[str]:
    return overheard.given_away(overheard._suspects(answers, overheard._numbers(answers), known), known)


def leaking(told: Any, path: str = "/v1/booking/reservations/{one}/notes") -> FastAPI:
    """A service whose one route tells whoever asks."""
    app = FastAPI()

    @app.get(path)
    async def tell() -> Any:
        return told

    return app


def ask(app: FastAPI, who: Resident, keys: Keyring, path: str = "/v1/booking/reservations/x/notes") -> None:
    async def asked() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linli") as client:
            assert (await client.get(path, headers=who.headers(keys))).status_code == 200

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"items": [{"by": "{other}"}]}, "items[].by"),
        ({"note": "问过{other}了。"}, "note"),
        ({"{other}": 1}, "{other}"),
        ({"a": {"number": NUMBER}}, "a.number"),
        ({"phones": [f"+86{PHONE}"]}, "phones[]"),
        ({"phone": int(PHONE)}, "phone"),
    ],
)
def test_a_route_that_leaks_fails_the_test_that_received_it(
    database_url: str, keys: Keyring, told: Any, field: str
) -> None:
    me, other = Town(database_url).residents(2)

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {named(name): named(one) for name, one in value.items()}
        if isinstance(value, list):
            return [named(one) for one in value]
        return value.replace("{other}", other.name) if isinstance(value, str) else value

    ask(leaking(named(told)), me, keys)
    with pytest.raises(AssertionError) as caught:
        overheard.examine()
    assert f"GET /v1/booking/reservations/x/notes {named(field)}: " in str(caught.value)


def test_ones_own_and_those_one_acts_for_are_no_leak(database_url: str, keys: Keyring) -> None:
    town = Town(database_url)
    me, child, stranger = town.residents(3)
    town.relate(me, child)
    ask(
        leaking([me.name, child.name, "11010519491231002", "01a20359-eb3c-7c2f-aef9-154000000010", 15400000001000]),
        me,
        keys,
    )
    overheard.examine()
    ask(leaking([child.name]), stranger, keys)
    with pytest.raises(AssertionError):
        overheard.examine()


def test_a_namesake_in_another_town_is_somebody_else(
    database_url: str, server: embedded.Embedded, template: str, keys: Keyring
) -> None:
    here = Town(database_url)
    me, child = here.residents(2)
    here.relate(me, child)
    ask(leaking([child.name]), me, keys)
    here.do("UPDATE holders SET name = '已注销' WHERE id = %s", child.person_id)
    with copy_of(server, template) as elsewhere:
        assert child.name in {one.name for one in Town(elsewhere).residents(2)}
        overheard.examine()
        ask(leaking([child.name]), Town(elsewhere).residents()[0], keys)
        with pytest.raises(AssertionError):
            overheard.examine()


def test_what_may_show_shows_on_its_route_in_its_field_to_its_people(database_url: str, keys: Keyring) -> None:
    town = Town(database_url)
    who, other = town.residents(2)
    path = "/v1/booking/reservations/x"
    app = leaking({"persons": [{"name": other.name}]}, "/v1/booking/reservations/{one}")
    ask(app, who, keys, path)
    with pytest.raises(AssertionError):
        overheard.examine()
    town.appoint(who, "staff")
    ask(app, who, keys, path)
    overheard.examine()
    ask(leaking({"name": other.name}, "/v1/booking/reservations/{one}"), who, keys, path)
    with pytest.raises(AssertionError):
        overheard.examine()


def test_a_number_of_another_kind_is_known_by_having_been_sent() -> None:
    said = Heard(
        "POST", "/v1/identity/me/real-name", {}, b'{"document":{"kind":"passport","number":"E12345678"}}', b"{}"
    )
    told = Heard("GET", "/v1/identity/me", {}, b"", b'{"document":"E12345678"}')
    known = Known({}, {}, {})
    assert given_away([told], known) == []
    assert len(given_away([said, told], known)) == 1


def test_a_name_that_goes_on_is_another_name() -> None:
    known = Known({"居民1": {uuid.uuid4()}, "居民12": {uuid.uuid4()}}, {}, {})
    (found,) = given_away([Heard("GET", "/", {}, b"", '["居民12", "居民123"]'.encode())], known)
    assert "['居民12']" in found
