"""At fourteen a child is asked for its own word, and what a guardian said lapses a month later."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from services import SERVICES
from services.identity import rules
from shared import clock, consents
from shared.purposes import OWN_WORD, PURPOSES
from tests.identity.test_consents import OTHER, PHONE, acting, code_of, says, staff
from tests.identity.test_families import adult, healthy, work
from tests.identity.town import ADULT, ADULT_TOO, CHILD, Login, Town, play


async def scene(town: Town) -> tuple[Login, Login, str]:
    """A guardian who has consented for a child, the child with the phone, and the child's id."""
    plain = await adult(town, PHONE, ADULT)
    child = (await town.child(plain, CHILD)).json()["person"]["id"]
    mother = acting(plain, child, "guardian")
    assert (await says(town, mother, "yes", f"/people/{child}")).status_code == 200
    young = replace(plain, caller=plain.caller._replace(person_id=uuid.UUID(child)))
    return mother, young, child


async def turns_fourteen(town: Town, child: str, days_ago: int) -> None:
    """As if the child's fourteenth birthday was so many days ago; what was said stays from before."""
    today = clock.today() - timedelta(days=days_ago)
    born = today.replace(year=today.year - 14, day=min(today.day, 28))
    for table in ("holders", "persons"):
        await town.execute(f"UPDATE {table} SET born = $2 WHERE id = $1", uuid.UUID(child), born)
    until = clock.at(rules.birthday(born, 14), clock.now().min.time()) + OWN_WORD
    await town.execute("UPDATE consents SET until = $1 WHERE until IS NOT NULL", until)


async def state(town: Town, who: Login, child: str) -> tuple[str, bool]:
    items = (await town.call("GET", f"/people/{child}/consents", caller=who.caller)).json()["items"]
    (one,) = [one for one in items if one["purpose"] == "health"]
    counts = await town.root.of("linli_gateway").read(consents.given, [uuid.UUID(child)], "health")
    assert one["given"] == bool(counts)
    return one["state"], one["given"]


async def asked(town: Town) -> int:
    found: int = await town.value("SELECT count(*) FROM notices WHERE type = 'identity.consent.asked_again'")
    return found


def test_a_guardians_word_says_how_long_it_counts(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, _, child = await scene(town)
        items = (await town.call("GET", f"/people/{child}/consents", caller=mother.caller)).json()["items"]
        (one,) = [one for one in items if one["purpose"] == "health"]
        assert one["history"][0]["until"] == "2029-07-15T00:00:00+08:00"
        assert one["history"][0]["person"]["name"] == "张三", "the guardian is named"
        assert await work(town, "ask_again") == 0
        await healthy(town)

    play(database_url, scenario)


def test_at_fourteen_the_child_is_asked_once_and_a_month_later_it_lapses(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, young, child = await scene(town)
        await turns_fourteen(town, child, 3)
        assert await state(town, mother, child) == ("given", True)
        assert await work(town, "ask_again") == 1
        assert await work(town, "ask_again") == 0
        assert await asked(town) == 1
        data = await town.value("SELECT data FROM notices WHERE type = 'identity.consent.asked_again'")
        assert set(data) == {"purpose", "version", "until"}
        await turns_fourteen(town, child, 40)
        assert await state(town, mother, child) == ("lapsed", False)
        refused = await says(town, mother, "yes", f"/people/{child}")
        assert code_of(refused) == (409, "own_word_required")
        own = await says(town, young, "yes")
        assert own.status_code == 200, own.text
        assert (own.json()["state"], own.json()["history"][0]["given_by"]) == ("given", "self")
        assert own.json()["history"][0]["until"] is None
        assert await state(town, mother, child) == ("given", True)
        assert (await says(town, mother, "no", f"/people/{child}")).json()["state"] == "withdrawn"
        await healthy(town)

    play(database_url, scenario)


def test_the_childs_own_word_in_time_stays(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, young, child = await scene(town)
        await turns_fourteen(town, child, 3)
        assert (await says(town, young, "yes")).json()["history"][0]["given_by"] == "self"
        assert len((await says(town, young, "yes")).json()["history"]) == 2, "the same again says nothing new"
        assert await work(town, "ask_again") == 0, "nobody is asked for what they have said"
        await turns_fourteen(town, child, 40)
        assert await state(town, mother, child) == ("given", True)
        await healthy(town)

    play(database_url, scenario)


def test_the_child_says_it_at_the_desk_too(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, _, child = await scene(town)
        clerk = staff(await adult(town, OTHER, ADULT_TOO))
        await turns_fourteen(town, child, 3)
        guardian = await says(town, clerk, "yes", f"/people/{child}", channel="desk", by=str(mother.caller.person_id))
        assert code_of(guardian) == (409, "own_word_required")
        own = await says(town, clerk, "yes", f"/people/{child}", channel="desk")
        assert (own.json()["history"][0]["given_by"], own.json()["history"][0]["channel"]) == ("self", "desk")
        await healthy(town)

    play(database_url, scenario)


def test_taking_back_one_purpose_leaves_the_others(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, PHONE, ADULT)
        for purpose in PURPOSES:
            assert (await says(town, who, "yes", purpose=purpose)).status_code == 200
        await says(town, who, "no", purpose="health")
        items = (await town.call("GET", "/me/consents", caller=who.caller)).json()["items"]
        assert {one["purpose"] for one in items if one["given"]} == set(PURPOSES) - {"health"}

    play(database_url, scenario)


def test_what_is_required_is_what_the_services_ask_of_everybody() -> None:

    required = {code for one in SERVICES for code in one.purposes}
    assert {code for code, one in PURPOSES.items() if one.is_required} == required
    told: Any = rules.birthday(date(2012, 2, 29), 14)
    assert told == date(2026, 3, 1)
