"""The demo town: the same from the same number, with people who can be tried out, and places that can be booked."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import psycopg
import pytest

from services.gateway.app import Gateway
from shared import clock, embedded
from shared.db import Database
from shared.settings import Settings
from tests.cli import commands
from tests.conftest import copy_of

PERSONAS = {
    *("resident", "neighbour", "elder", "child-parent", "villager", "outsider", "manager", "auditor"),
    *("kitchen", "courier", "carer", "steward", "organiser", "administrator", "security", "gate", "partner"),
}
SEED = ("seed", "--residents", 200, "--seed", 7)


class DemoTown(NamedTuple):
    """A database with the demo town in it, and the data dir with its keys."""

    url: str
    data_dir: Path

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def linli(self, *words: object) -> str:
        return commands.said(*words, "--data-dir", self.data_dir, url=self.url)

    def refusal(self, *words: object) -> str:
        return commands.refusal(*words, "--data-dir", self.data_dir, url=self.url)


@pytest.fixture(scope="module")
def seeded(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoTown]:
    """A town that every test of a test process shares; what they book, they cancel."""
    with copy_of(server, template) as url:
        town = DemoTown(url, tmp_path_factory.mktemp("seeded"))
        town.linli(*SEED)
        yield town


def token(town: DemoTown, persona: str) -> str:
    """A persona's token: all that the command prints."""
    printed = town.linli("demo", "token", persona)
    assert printed.endswith("\n")
    (only,) = printed.split()
    return only


def asked(town: DemoTown, *questions: Any) -> list[httpx.Response]:
    """What a gateway in this process answers; a question that is a function is given the answers before it."""

    async def ask() -> list[httpx.Response]:
        db = Database.connect(town.url, pool_size=6)
        settings = Settings(data_dir=town.data_dir, demo=True, database_url=town.url)
        try:
            async with (
                Gateway(db, commands.keys_of(town.data_dir), settings).running() as gateway,
                httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://linli") as client,
            ):
                answers: list[httpx.Response] = []
                for one in questions:
                    method, path, token, *more = one(answers) if callable(one) else one
                    headers = {"Accept-Language": "en"}
                    if token is not None:
                        headers["Authorization"] = f"Bearer {token}"
                    if method == "POST":
                        headers["Idempotency-Key"] = uuid.uuid4().hex
                    answers.append(await client.request(method, path, headers=headers, **(more[0] if more else {})))
                return answers
        finally:
            await db.close()

    return asyncio.run(ask())


def test_the_same_number_makes_the_same_town_and_making_it_again_changes_nothing(
    seeded: DemoTown, server: embedded.Embedded, template: str, tmp_path: Path
) -> None:
    residents = "SELECT name, born, community, level FROM persons ORDER BY name, born, community, level"
    homes = (
        "SELECT array_agg(name || born ORDER BY name, born) AS members FROM holders WHERE household_no IS NOT NULL "
        "GROUP BY household_no ORDER BY members"
    )
    places = (
        "SELECT p.kind, p.name, p.name_en, p.community, p.address, p.lat, p.lon, array_agg((r.name, r.capacity)::text "
        "ORDER BY r.name) FROM places p JOIN resources r ON r.place_id = p.id GROUP BY p.id ORDER BY p.name"
    )
    ids = "SELECT id FROM persons UNION ALL SELECT id FROM places UNION ALL SELECT id FROM accounts ORDER BY id"
    with copy_of(server, template) as url:
        again = DemoTown(url, tmp_path)
        assert "[debug" not in again.linli(*SEED)
        for what in (residents, homes, places):
            assert again.all(what) == seeded.all(what)
        assert again.all(ids) != seeded.all(ids)
        assert len(again.all(residents)) == 200 + 15 + 1  # the personas who are people, and the child
        before = again.all(ids)
        again.linli(*SEED)
        assert again.all(ids) == before
        again.linli("seed", "--residents", 220, "--seed", 7)
        assert len(again.all(residents)) == 220 + 16
        assert set(before) < set(again.all(ids))
        assert commands.said("doctor", url=url)


def test_every_persona_has_a_token_and_is_known_by_it(seeded: DemoTown) -> None:
    tokens = {persona: token(seeded, persona) for persona in sorted(PERSONAS)}
    answers = dict(
        zip(tokens, asked(seeded, *(("GET", "/v1/identity/me", one) for one in tokens.values())), strict=True)
    )
    assert {persona: answer.status_code for persona, answer in answers.items()} == dict.fromkeys(PERSONAS, 200)
    known = {persona: answer.json() for persona, answer in answers.items()}
    assert {persona for persona, me in known.items() if me["person"] is None} == {"gate", "partner"}
    roles = {persona: [role["role"] for role in me["roles"]] for persona, me in known.items()}
    assert {persona for persona, held in roles.items() if set(held) == {persona}} == {
        *("manager", "auditor", "kitchen", "courier", "carer", "gate", "administrator", "security")
    }
    assert [one["relation"] for one in known["child-parent"]["acts_for"]] == ["guardian"]
    assert [one["person"]["id"] for one in known["resident"]["acts_for"]] == [known["elder"]["person"]["id"]]
    people = seeded.linli("demo", "people")
    assert "linli-demo-organiser" in people
    assert "linli-demo-resident" not in people
    assert all(f" {persona} " in people for persona in PERSONAS)
    assert {"fitness", "six-year-old", "facilities"} <= set(people.split()), "no word is broken in 80 columns"
    assert seeded.refusal("demo", "token", "nobody") == "There is no persona nobody; see `linli demo people`."


def test_a_town_that_is_older_than_a_persona_says_so(seeded: DemoTown) -> None:
    """As a town that was built before there were kitchens: it is kept, and nobody is told to build what stands."""
    couriers = "SELECT account_no FROM roles WHERE role = 'courier'"
    change = f"UPDATE logins SET provider = %s WHERE provider = %s AND account_no IN ({couriers})".encode()
    with psycopg.connect(seeded.url, autocommit=True) as connection:
        connection.execute(change, ["gone", "demo"])
        try:
            assert seeded.refusal("demo", "token", "courier") == (
                "This demo town was built by an older Linli, which had no courier; another --data-dir makes a new one."
            )
        finally:
            connection.execute(change, ["demo", "gone"])


def test_tokens_for_load_are_those_of_different_grown_up_residents(seeded: DemoTown) -> None:
    printed = [line.split("\t") for line in seeded.linli("demo", "tokens", 20).splitlines()]
    assert len({person for person, _ in printed}) == len({one for _, one in printed}) == len(printed) == 20
    youngest = clock.today() - timedelta(days=18 * 365)
    grown_up = {str(row[0]) for row in seeded.all(f"SELECT id FROM persons WHERE born < '{youngest}'")}
    assert {person for person, _ in printed} <= grown_up
    for person, one in printed:
        told = orjson.loads(base64.urlsafe_b64decode(one.split(".")[1] + "=="))
        assert person in told.values()
    answers = asked(seeded, *(("GET", "/v1/identity/me", one) for _, one in printed[:3]))
    assert [answer.json()["person"]["id"] for answer in answers] == [person for person, _ in printed[:3]]
    told = seeded.refusal("demo", "tokens", 5000)
    assert told.startswith("There are only ")
    assert told.endswith(" grown-up residents with an account; make more with `linli seed`.")


def test_there_are_slots_today_and_on_each_of_the_next_seven_days(seeded: DemoTown) -> None:
    made = seeded.all("SELECT min(made_at) FROM deployment")[0][0]
    days: dict[str, set[Any]] = {}
    for name, starts_at in seeded.all("SELECT p.name, s.starts_at FROM slots s JOIN places p ON p.id = s.place_id"):
        days.setdefault(name, set()).add(clock.local(starts_at).date())
    assert len(days) == len(seeded.all("SELECT 1 FROM places")) >= 4
    # Seeding began when the deployment was written down and may have gone past midnight; today's last slots may be over.
    for first in {clock.local(made).date(), clock.today()}:
        wanted = {first + timedelta(days=n) for n in range(1, 8)}
        if all(wanted <= found for found in days.values()):
            break
    else:
        raise AssertionError(days)
    if clock.local(made).hour < 9 and clock.local(made).date() == clock.today():
        assert all(clock.today() in found for found in days.values())


def test_a_resident_finds_books_sees_and_cancels_and_an_outsider_is_refused(seeded: DemoTown) -> None:
    resident, outsider = token(seeded, "resident"), token(seeded, "outsider")
    tomorrow = clock.today() + timedelta(days=1)
    slots_path = f"/v1/slots?service=booking&community=330411105&from={tomorrow}&limit=100"

    def bookable(answer: httpx.Response) -> dict[str, Any]:
        return next(one for one in answer.json()["items"] if one["bookable"])

    def body(before: list[httpx.Response]) -> dict[str, Any]:
        return {"json": {"slot_id": bookable(before[0])["id"]}}

    public, found, refused, booked, seen, full, cancelled, gone, after = asked(
        seeded,
        ("GET", slots_path, None),
        ("GET", slots_path, resident),
        lambda before: ("POST", "/v1/booking/reservations", outsider, body(before[1:])),
        lambda before: ("POST", "/v1/booking/reservations", resident, body(before[1:])),
        ("GET", "/v1/claims?when=upcoming", resident),
        lambda before: ("GET", f"/v1/slots/{bookable(before[1])['id']}", resident),
        lambda before: ("DELETE", before[3].json()["href"], resident),
        ("GET", "/v1/claims?when=upcoming&state=confirmed", resident),
        lambda before: ("GET", f"/v1/slots/{bookable(before[1])['id']}", resident),
    )
    slot = bookable(found)
    assert {one["bookable"] for one in public.json()["items"]} == {None}
    assert refused.status_code in (403, 409), refused.text
    assert refused.json()["code"] == "outside_area"
    assert booked.status_code == 201, booked.text
    assert (booked.json()["state"], booked.json()["slot"]["id"]) == ("confirmed", slot["id"])
    assert booked.headers["location"] == booked.json()["href"]
    assert [one["group_id"] for one in seen.json()["items"]] == [booked.json()["group_id"]]
    assert (full.json()["free"], full.json()["bookable"]) == (slot["free"] - 1, False)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "released")
    assert gone.json()["items"] == []
    assert (after.json()["free"], after.json()["bookable"]) == (slot["free"], True)
    assert commands.said("doctor", url=seeded.url)


def test_a_file_of_regions_is_read_whole_or_not_at_all(database_url: str, tmp_path: Path) -> None:
    town = DemoTown(database_url, tmp_path)
    file = tmp_path / "regions.csv"
    lines = ["code,name,level,parent_code", "33,浙江省,province,", "3304,嘉兴市,city,33", "330411,秀洲区,county,3304"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    assert town.linli("regions", "import", file) == "3 regions\n"
    file.write_text("\n".join([*lines[:3], "330411,秀州区,county,3304"]), encoding="utf-8")
    assert town.linli("regions", "import", file) == "3 regions\n"
    regions = [("33", "浙江省"), ("3304", "嘉兴市"), ("330411", "秀州区")]
    assert town.all("SELECT code, name FROM regions ORDER BY code") == regions
    file.write_text("\n".join([*lines[:2], "3305,湖州市,city,33", "330411,秀洲区,county,3304"]), encoding="utf-8")
    told = town.refusal("regions", "import", file)
    assert told == f"The file {file} cannot be used: line 4: the parent 3304 does not come before."
    file.write_text("\n".join([*lines, "33041,五位码,county,3304"]), encoding="utf-8")
    assert "line 5: '33041' is not a region code" in town.refusal("regions", "import", file)
    assert town.all("SELECT code, name FROM regions ORDER BY code") == regions
    missing = tmp_path / "missing.csv"
    told = town.refusal("regions", "import", missing)
    assert told == f"The file {missing} cannot be read (No such file or directory)."
