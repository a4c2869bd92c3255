"""Regions merge and split: codes end and point to those that follow, and nobody and nothing is left behind."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from services import doctor
from services.gateway.arbiter import rules
from services.identity import sql
from services.identity.actions import audit as auditing
from services.identity.actions import regions as changing
from services.identity.sql.audit import Wanted
from services.partners.actions import reading
from shared import audit, clock, notices, regions
from shared.assertion import Caller, Role
from shared.db import Database
from shared.regions import Region
from tests.town import Resident, Town

COUNTY = "339901"
TOWNS = [f"{COUNTY}{n}" for n in range(101, 126)]


def region(code: str, name: str = "某地") -> Region:
    return Region(code, name, regions.level_of(code), regions.above(code))


def tree(root: str, *below: str) -> list[Region]:
    return [region(root), *(region(root + one) for one in below)]


def pairs(follows: list[regions.Follows]) -> list[tuple[str, str]]:
    return [(one.old, one.new.code) for one in follows]


def test_a_merged_regions_communities_keep_their_numbers_or_get_the_next_free_one() -> None:
    found = regions.merged(
        [tree("330411101", "001", "001-01", "002"), tree("330411102", "001", "001-02", "003")],
        region("330411201"),
        ["330411201", "330411201002"],
    )
    assert pairs(found) == [
        ("330411101", "330411201"),
        ("330411101001", "330411201001"),
        ("330411101001-01", "330411201001-01"),
        ("330411101002", "330411201003"),
        ("330411102", "330411201"),
        ("330411102001", "330411201004"),
        ("330411102001-02", "330411201004-02"),
        ("330411102003", "330411201005"),
    ]
    assert all(regions.is_code(one.new.code) for one in found)
    assert all(one.new.code.startswith(one.new.parent_code or "") for one in found)


def test_counties_merge_with_their_streets() -> None:
    found = regions.merged(
        [[region("339902"), region("339902001"), region("339902001001")]], region("339903"), ["339903", "339903001"]
    )
    assert pairs(found) == [
        ("339902", "339903"),
        ("339902001", "339903002"),
        ("339902001001", "339903002001"),
    ]


def test_a_split_region_is_followed_by_all_and_each_community_by_one() -> None:
    found = regions.split(
        tree("330411101", "001", "001-01", "002"),
        [region("330411201"), region("330411202")],
        {"330411101001": "330411202"},
    )
    assert [
        (*one, principal) for one, principal in zip(pairs(found), (x.is_principal for x in found), strict=True)
    ] == [
        ("330411101", "330411201", True),
        ("330411101", "330411202", False),
        ("330411101001", "330411202001", True),
        ("330411101001-01", "330411202001-01", True),
        ("330411101002", "330411201002", True),
    ]


def run(url: str, scenario: Callable[[Database], Awaitable[None]]) -> None:
    async def inside() -> None:
        db = Database.connect(url, pool_size=2)
        try:
            await scenario(db)
        finally:
            await db.close()

    asyncio.run(inside())


def examined(url: str) -> list[tuple[str, list[str]]]:
    return [one for one in asyncio.run(doctor.examine(url)) if one[1]]


class County(Town):
    """A county of 25 towns, each with two communities, people, a manager, a hall and a session for its residents."""

    def __init__(self, url: str, towns: list[str]) -> None:
        super().__init__(url)
        codes = ["3399", COUNTY, *(town + below for town in towns for below in ("", "001", "002"))]
        for code in codes:
            self.do(
                "INSERT INTO regions (code, name, level, parent_code) VALUES (%s, %s, %s, %s)",
                *(code, f"地{code}", regions.level_of(code), regions.above(code)),
            )
        self.people: dict[str, list[Resident]] = {}
        self.managers: dict[str, Resident] = {}
        self.slots: dict[str, uuid.UUID] = {}
        for town in towns:
            self.people[town] = [self.residents(1, community=town + below)[0] for below in ("001", "002")]
            self.do(
                "INSERT INTO person_places (person_id, kind, community, is_home, starts_on) SELECT id, 'resident', community,"
                " true, '2020-01-01' FROM persons WHERE community LIKE %s",
                town + "%",
            )
            (self.managers[town],) = self.residents(1, community="33")
            self.appoint(self.managers[town], "manager", town)
            place, policy = uuid.uuid4(), uuid.uuid4()
            self.place(place, policy)
            self.do("UPDATE places SET community = %s WHERE id = %s", town + "001", place)
            self.do(
                "UPDATE policies SET body = %s WHERE id = %s",
                Jsonb({"audience": {"regions": [town]}, "limits": {}}),
                policy,
            )
            self.slots[town] = self.slot(
                place_id=place, policy_id=policy, community=town + "001", regions=[town], taken=1
            )
            self.do(
                "INSERT INTO claims (group_id, slot_id, holder_no, account_no, community, service, place_id, starts_at,"
                " ends_at, channel, state, is_active, is_exclusive, held_until) SELECT uuidv7(), id, %s, %s, community,"
                " service, place_id, starts_at, ends_at, 'app', 'held', true, true, now() + interval '1 hour' FROM slots"
                " WHERE id = %s",
                *(self.people[town][0].holder_no, self.people[town][0].account_no, self.slots[town]),
            )
            self.do(
                "UPDATE slots SET next_lapse = now() + interval '30 minutes' WHERE id = %s",
                self.slots[town],
            )

    def home(self, one: Resident) -> str:
        told = self.all(
            "SELECT h.community, p.community, t.community FROM holders h JOIN persons p ON p.id = h.id JOIN person_places t"
            " ON t.person_id = h.id AND t.is_home AND t.ended_on IS NULL WHERE h.id = %s",
            one.person_id,
        )
        assert len(told) == 1
        assert len(set(told[0])) == 1
        return str(told[0][0])

    def reach(self, one: Resident) -> list[str]:
        rows = self.all(
            "SELECT prefix FROM roles WHERE account_no = %s AND role = 'manager' AND ends_at IS NULL ORDER BY prefix",
            one.account_no,
        )
        return [row[0] for row in rows]

    def check(self) -> None:
        """Whoever managed a town's people, halls and sessions still does, and they are still for the same people."""
        for town, manager in self.managers.items():
            reach = tuple(self.reach(manager))
            ((slot, audience, place, claim),) = self.all(
                "SELECT s.community, s.regions, p.community, c.community FROM slots s JOIN places p ON p.id = s.place_id"
                " JOIN claims c ON c.slot_id = s.id WHERE s.id = %s",
                self.slots[town],
            )
            assert slot == place == claim
            assert slot.startswith(reach)
            for one in self.people[town]:
                assert self.home(one).startswith(reach), town
                assert rules.inside(self.home(one), audience), town
        assert examined(self.url) == []


GROUPS = [TOWNS[2 * n : 2 * n + 2] for n in range(10)] + [[one] for one in TOWNS[20:]]
"""Ten pairs and five towns of their own: twenty-five become six streets and nine towns."""
FOLLOWING = [f"{COUNTY}{n:03}" for n in (*range(1, 7), *range(201, 210))]


def test_twenty_five_towns_become_six_streets_and_nine_towns_and_nobody_loses_anything(database_url: str) -> None:
    county = County(database_url, TOWNS)
    county.check()
    today = clock.today()

    async def merge(db: Database) -> None:
        for towns, code in zip(GROUPS, FOLLOWING, strict=True):
            await db.run(changing.merge, towns, code, f"新{code}", today)

    run(database_url, merge)
    county.check()
    for towns, code in zip(GROUPS, FOLLOWING, strict=True):
        for town in towns:
            assert county.reach(county.managers[town]) == [code]
            assert county.home(county.people[town][0]).startswith(code)
            newest = county.one(
                "SELECT body->'audience'->'regions' FROM policies WHERE place_id = (SELECT place_id FROM slots WHERE id = %s)"
                " ORDER BY version DESC LIMIT 1",
                county.slots[town],
            )
            assert newest == [town, code]
    standing = county.one(
        "SELECT count(*) FROM regions WHERE parent_code = %s AND ended_on IS NULL AND level = 'street'", COUNTY
    )
    assert standing == 15
    homes = {county.home(one) for several in county.people.values() for one in several}
    assert len(homes) == 50, "communities stay apart, under numbers of their own"

    async def split(db: Database) -> None:
        first = f"{COUNTY}001"
        below = [row[0] for row in county.all("SELECT code FROM regions WHERE parent_code = %s ORDER BY code", first)]
        assert len(below) == 4
        into = {f"{COUNTY}301": "甲镇", f"{COUNTY}302": "乙镇"}
        done = await db.run(changing.split, first, into, {below[0]: f"{COUNTY}302"}, today)
        assert len(done.follows) == 6
        # Codes of the first generation lead to those of today.
        found = await db.read(sql.places.successors, TOWNS[0])
        assert found == [f"{COUNTY}301", f"{COUNTY}302"]
        assert await db.read(sql.places.successors, f"{COUNTY}301") == []
        assert await db.read(sql.places.successors, f"{COUNTY}999") is None

    run(database_url, split)
    county.check()
    assert county.reach(county.managers[TOWNS[0]]) == [f"{COUNTY}301", f"{COUNTY}302"]
    written = county.all("SELECT action FROM audit WHERE action LIKE 'regions.%%' ORDER BY no")
    assert written == [("regions.merge",)] * 15 + [("regions.split",)]


def test_one_town_takes_in_another_and_ties_committees_and_roles_are_not_doubled(database_url: str) -> None:
    towns = TOWNS[:2]
    county = County(database_url, towns)
    staying, ending = towns
    both = county.managers[staying]
    county.appoint(both, "manager", ending)
    person = county.people[ending][0]
    for code in towns:
        county.do(
            "INSERT INTO person_places (person_id, kind, community, starts_on) VALUES (%s, 'works_here', %s, '2020-01-01')",
            *(person.person_id, code),
        )
        county.do(
            "INSERT INTO holders (id, kind, name, community, level) VALUES (gen_random_uuid(), 'organisation', 'x', %s, 3)",
            code,
        )
    run(database_url, lambda db: db.run(changing.merge, [ending], staying, None, clock.today()))
    county.check()
    assert county.reach(both) == [staying]
    works = "SELECT community FROM person_places WHERE person_id = %s AND kind = 'works_here' AND ended_on IS NULL"
    assert county.all(works, person.person_id) == [(staying,)]
    committees = county.all("SELECT community FROM holders WHERE kind = 'organisation' ORDER BY no")
    assert committees == [(staying,), (ending,)], "a second one keeps what it had under its old code"


def test_what_was_written_under_codes_that_ended_is_read_in_the_regions_that_follow(database_url: str) -> None:
    first, second, elsewhere = TOWNS[:3]
    county = County(database_url, [first, second, elsewhere])
    for code in (f"{first}001", second, f"{elsewhere}001"):
        county.do("INSERT INTO audit (action, community, person_id, data) VALUES ('t.done', %s, uuidv7(), '{}')", code)
        county.do(
            "INSERT INTO notices (type, community, subject, holders, data) VALUES ('test.fact.came', %s, uuidv7(), '{}', '{}')",
            code,
        )

    def read(code: str) -> tuple[list[str], list[str], list[str]]:
        """What an auditor there reads and takes away, and what a manager's system reads of notices."""
        auditor = Caller(account_no=county.managers[first].account_no, roles=(Role("auditor", code),))
        manager = Caller(account_no=auditor.account_no, roles=(Role("manager", code),))
        wanted = reading.Wanted(0, ("test.fact.*",), code, 100)
        got: dict[str, list[str]] = {}

        async def look(db: Database) -> None:
            asked = db.of("linli_identity")
            rows = await asked.read(auditing.entries, auditor, None, Wanted(action="t"), None, 100)
            lines = await asked.run(auditing.export, auditor, None, 0, 100)
            found = await db.of("linli_partners").read(reading.look, manager, wanted)
            got["read"] = [row["community"] for row in rows]
            got["taken"] = [one["entry"]["community"] for one in lines if one["kind"] == "entry"]
            got["noticed"] = [row["community"] for row in found.items]

        run(database_url, look)
        return (
            got["read"],
            [one for one in got["taken"] if one in (f"{first}001", second, f"{elsewhere}001")],
            got["noticed"],
        )

    async def merge(db: Database) -> None:
        await db.run(notices.stamp)
        await db.run(audit.stamp)
        await db.run(changing.merge, [first, second], FOLLOWING[0], "新", clock.today())

    run(database_url, merge)
    mine = [f"{first}001", second]
    assert read(FOLLOWING[0]) == (mine[::-1], mine, mine)
    assert read(elsewhere) == ([f"{elsewhere}001"],) * 3, "and nobody else's"
    into = {f"{COUNTY}301": "甲镇", f"{COUNTY}302": "乙镇"}
    child = county.home(county.people[first][0])
    run(database_url, lambda db: db.run(changing.split, FOLLOWING[0], into, {child: f"{COUNTY}302"}, clock.today()))
    assert read(f"{COUNTY}302") == (mine[::-1], mine, mine), "what was the whole town's is for both that follow"
    assert read(f"{COUNTY}301") == ([second],) * 3, "and a community's for the one to which it went"


@pytest.mark.parametrize(
    ("change", "told", "why"),
    [
        (changing.merge, ([TOWNS[0], "339901999"], FOLLOWING[0], "新"), "not a region that stands"),
        (changing.merge, ([TOWNS[0], TOWNS[1] + "001"], FOLLOWING[0], "新"), "one level"),
        (changing.merge, ([TOWNS[0], TOWNS[1]], TOWNS[0], None), "become another one"),
        (changing.merge, ([TOWNS[0]], FOLLOWING[0], None), "needs a name"),
        (changing.merge, ([TOWNS[0]], "330411", "新"), "not the code of a street"),
        (changing.merge, ([TOWNS[0]], "339999001", "新"), "not a region that stands"),
        (changing.merge, ([TOWNS[0]], "x", "新"), "not the code of"),
        (changing.split, (TOWNS[0], {FOLLOWING[0]: "新"}, {}), "two or more"),
        (changing.split, (TOWNS[0], {FOLLOWING[0]: "新", TOWNS[1]: "新"}, {}), "there already"),
        (
            changing.split,
            (TOWNS[0], {FOLLOWING[0]: "新", FOLLOWING[1]: "新"}, {TOWNS[1] + "001": FOLLOWING[0]}),
            "does not go from",
        ),
    ],
    ids=range(10),
)
def test_what_cannot_be_changes_nothing(database_url: str, change: Any, told: Any, why: str) -> None:
    county = County(database_url, TOWNS[:2])

    async def scenario(db: Database) -> None:
        with pytest.raises(changing.Impossible, match=why):
            await db.run(change, *told, clock.today())

    run(database_url, scenario)
    assert county.one("SELECT count(*) FROM regions WHERE ended_on IS NOT NULL") == 0
    assert county.one("SELECT count(*) FROM region_changes") == 0


def test_a_region_ends_once_and_not_before_the_day(database_url: str) -> None:
    County(database_url, TOWNS[:2])

    async def scenario(db: Database) -> None:
        told = ([TOWNS[0]], FOLLOWING[0], "新")
        with pytest.raises(changing.Impossible, match="not yet there"):
            await db.run(changing.merge, *told, clock.today() + timedelta(days=1))
        await db.run(changing.merge, *told, date(2026, 1, 1))
        with pytest.raises(changing.Impossible, match="not a region that stands"):
            await db.run(changing.merge, *told, clock.today())
        with pytest.raises(changing.Impossible, match="has ended"):
            await db.run(changing.merge, [TOWNS[1]], TOWNS[0], None, clock.today())

    run(database_url, scenario)
