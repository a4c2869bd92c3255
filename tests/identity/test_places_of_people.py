"""Where people live, work and stay: one primary home, which the ledger goes by."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from shared.assertion import ActsFor
from tests.identity.counter import FAR, HERE, VILLAGE, appointed, ask, both, code_of, enrolled, far_away, healthy
from tests.identity.town import Login, Town, play

CLERK, OTHER, PHONE = "15400000001", "15400000002", "15400000009"
HOME = {"kind": "resident", "community": HERE, "home": True}


async def lives_in(town: Town, person: object) -> list[str]:
    """What the ledger, the person and the primary home say."""
    told: list[str] = await town.value(
        "SELECT array[h.community, p.community, t.community] FROM persons p JOIN holders h ON h.id = p.id "
        "JOIN person_places t ON t.person_id = p.id AND t.is_home AND t.ended_on IS NULL WHERE p.id = $1",
        uuid.UUID(str(person)),
    )
    return told


def test_the_ledger_goes_by_the_primary_home(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await far_away(town)
        own = await town.login(PHONE)
        made = await ask(town, own, "POST", "/me/places", HOME)
        assert made.status_code == 201, made.text
        assert (made.json()["home"], made.json()["ended_on"]) == (True, None)
        assert await lives_in(town, own.caller.person_id) == [HERE] * 3
        for kind in ("works_here", "registered_elsewhere", "emigrant", "visitor", "business"):
            assert (await ask(town, own, "POST", "/me/places", {"kind": kind, "community": FAR})).status_code == 201
        assert await lives_in(town, own.caller.person_id) == [HERE] * 3, "a visitor lives at home"
        listed = (await ask(town, own, "GET", "/me/places?limit=4")).json()
        rest = (await ask(town, own, "GET", f"/me/places?limit=4&cursor={listed['next']}")).json()
        assert [one["kind"] for one in listed["items"] + rest["items"]] == [
            "resident",
            "works_here",
            "registered_elsewhere",
            "emigrant",
            "visitor",
            "business",
        ]
        again = await ask(town, own, "POST", "/me/places", {"kind": "visitor", "community": FAR})
        assert code_of(again) == (409, "exists")
        visit = rest["items"][0]
        assert (await ask(town, own, "DELETE", f"/me/places/{visit['id']}")).status_code == 204
        assert (await ask(town, own, "DELETE", f"/me/places/{visit['id']}")).status_code == 204
        assert (await ask(town, own, "GET", f"/me/places/{visit['id']}")).json()["ended_on"]
        assert code_of(await ask(town, own, "DELETE", f"/me/places/{made.json()['id']}")) == (409, "conflict")
        assert await town.value("SELECT count(*) FROM notices WHERE type = 'identity.home.moved'") == 1
        await healthy(town)

    play(database_url, scenario)


def test_a_home_is_moved_once_in_thirty_days_or_by_the_staff(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        village = await appointed(town, OTHER, prefix=VILLAGE)
        person = (await enrolled(town, clerk, 1, phone=PHONE))["id"]
        own = await town.login(PHONE)
        moved = HOME | {"community": VILLAGE}
        assert code_of(await ask(town, own, "POST", "/me/places", HOME)) == (409, "exists")
        assert code_of(await ask(town, own, "POST", "/me/places", moved)) == (409, "limit_reached")
        assert code_of(await ask(town, village, "POST", f"/people/{person}/places", moved)) == (404, "not_there")
        assert (await ask(town, clerk, "POST", f"/people/{person}/places", moved)).status_code == 201
        assert await lives_in(town, person) == [VILLAGE] * 3
        assert (await ask(town, village, "GET", f"/people/{person}/places")).status_code == 200
        assert code_of(await ask(town, clerk, "GET", f"/people/{person}/places")) == (404, "not_there")
        await town.execute("UPDATE person_places SET made_at = now() - interval '31 days'")
        assert (await ask(town, own, "POST", "/me/places", HOME)).status_code == 201
        assert await lives_in(town, person) == [HERE] * 3
        listed = (await ask(town, own, "GET", "/me/places")).json()["items"]
        assert [(one["community"], one["ended_on"] is None) for one in listed] == [
            (HERE, False),
            (VILLAGE, False),
            (HERE, True),
        ]
        await healthy(town)

    play(database_url, scenario)


def test_a_visitors_desk_does_not_move_them(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, village = await appointed(town, CLERK), await appointed(town, OTHER, prefix=VILLAGE)
        person = (await enrolled(town, clerk, 1))["id"]
        visit = {"kind": "visitor", "community": VILLAGE}
        assert (await ask(town, clerk, "POST", f"/people/{person}/places", visit)).status_code == 201
        moved = HOME | {"community": VILLAGE}
        assert code_of(await ask(town, village, "POST", f"/people/{person}/places", moved)) == (403, "not_allowed")
        assert await lives_in(town, person) == [HERE] * 3

    play(database_url, scenario)


def test_two_moves_at_once_leave_one_home(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK, prefix="33")
        person = (await enrolled(town, clerk, 1))["id"]
        path, communities = f"/people/{person}/places", ["330411105901", "330411105902", VILLAGE]
        await town.execute(
            "INSERT INTO regions (code, name, level, parent_code) SELECT c, c, 'community', '33' FROM unnest($1::text[]) c "
            "ON CONFLICT DO NOTHING",
            communities,
        )
        for _ in range(3):
            await both(*(ask(town, clerk, "POST", path, HOME | {"community": code}) for code in communities))
        home = await lives_in(town, person)
        assert home[0] in communities
        assert home == [home[0]] * 3
        one = "SELECT count(*) FROM person_places WHERE is_home AND ended_on IS NULL AND person_id = $1"
        assert await town.value(one, uuid.UUID(person)) == 1
        with pytest.raises(asyncpg.UniqueViolationError, match="one_primary_home"):
            await town.execute(
                "INSERT INTO person_places (person_id, kind, community, is_home, starts_on) VALUES ($1, 'resident', $2, "
                "true, '2026-01-01')",
                uuid.UUID(person),
                FAR,
            )
        await healthy(town)

    play(database_url, scenario)


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({}, (422, "unprocessable")),
        ({"kind": "tourist", "community": HERE}, (422, "unprocessable")),
        ({"kind": "visitor", "community": "abc"}, (422, "unprocessable")),
        ({"kind": "visitor", "community": "330411105998"}, (422, "unprocessable")),
        ({"kind": "visitor", "community": HERE, "home": True}, (422, "unprocessable")),
        ({"kind": "visitor", "community": HERE, "starts_on": "yesterday"}, (422, "unprocessable")),
        ({"kind": "visitor", "community": HERE, "person_id": str(uuid.uuid4())}, (422, "unprocessable")),
    ],
    ids=range(7),
)
def test_a_malformed_place_is_refused(database_url: str, told: dict[str, Any], refusal: tuple[int, str]) -> None:
    async def scenario(town: Town) -> None:
        own = await town.login(PHONE)
        assert code_of(await ask(town, own, "POST", "/me/places", told)) == refusal
        assert await town.value("SELECT count(*) FROM person_places") == 0

    play(database_url, scenario)


def acting(who: Login, person: str, relation: str) -> Login:
    of = ActsFor(uuid.UUID(person), 0, "", relation, None)
    return replace(who, caller=who.caller._replace(acts_for=(of,)))


def test_guardians_write_proxies_read_and_strangers_find_nobody(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, other = await appointed(town, CLERK), await town.login(OTHER)
        person = (await enrolled(town, clerk, 1))["id"]
        path, tie = f"/people/{person}/places", {"kind": "works_here", "community": VILLAGE}
        guardian, proxy = acting(other, person, "guardian"), acting(other, person, "proxy")
        made = (await ask(town, guardian, "POST", path, tie)).json()
        assert (await ask(town, proxy, "GET", f"{path}/{made['id']}")).json() == made
        assert code_of(await ask(town, proxy, "POST", path, tie | {"kind": "visitor"})) == (403, "not_allowed")
        assert code_of(await ask(town, proxy, "DELETE", f"{path}/{made['id']}")) == (403, "not_allowed")
        for method, at, told in (
            ("GET", path, None),
            ("POST", path, tie),
            ("GET", f"{path}/{made['id']}", None),
            ("DELETE", f"{path}/{made['id']}", None),
            ("DELETE", f"/me/places/{made['id']}", None),
        ):
            assert code_of(await ask(town, other, method, at, told)) == (404, "not_there")
        assert code_of(await town.call("GET", "/me/places")) == (401, "not_known")
        assert code_of(await town.call("POST", path, tie)) == (401, "not_known")

    play(database_url, scenario)


def test_nobody_belongs_to_more_than_twenty_regions(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        own = await town.login(PHONE)
        codes = [f"330411105{n}" for n in range(700, 721)]
        await town.execute(
            "INSERT INTO regions (code, name, level, parent_code) SELECT c, c, 'community', '33' FROM unnest($1::text[]) c",
            codes,
        )
        answers = [await ask(town, own, "POST", "/me/places", {"kind": "visitor", "community": code}) for code in codes]
        assert [one.status_code for one in answers] == [201] * 20 + [409]
        assert code_of(answers[-1]) == (409, "limit_reached")

    play(database_url, scenario)
