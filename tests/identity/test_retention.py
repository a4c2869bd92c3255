"""What has been kept long enough is forgotten, proves it, and stays where a court still needs it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from services import doctor
from services.identity import tasks
from shared.assertion import Caller
from shared.settings import Settings
from shared.web import Context
from tests.identity.test_audit import AUDITOR, deed, deeds, forge, verified
from tests.identity.test_consents import adult, code_of, healthy
from tests.identity.test_reveals import WHY, cast, notices, officer, reveal
from tests.identity.town import ANYONE, Town, play

LONG_AGO = "now() - interval '1200 days'"


def context(town: Town) -> Context:
    return Context(town.root.of("linli_identity"), town.keys, Settings(demo=True))


async def refused(town: Town, count: int) -> None:
    await town.execute(
        "INSERT INTO refused (at, account_no, holder_nos, service, community, code, request_id, count) "
        "SELECT now() - n * interval '10 days', 1, '{}', 'booking', '33', 'full', 'r', 1 FROM generate_series(1, $1) n",
        count,
    )


async def kept_too_long(town: Town) -> list[str]:
    url = town.root.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    found = dict(await doctor.examine(url))
    return found["nothing is kept longer than its table's days"]


def test_what_is_old_goes_once_a_day_and_is_proven(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await refused(town, 9)
        assert await kept_too_long(town) == ["refused"]
        assert await tasks.purge(context(town)) == 7, "3 × 10 days are as old as it gets"
        assert await kept_too_long(town) == []
        proof = await town.value("SELECT data FROM audit WHERE action = 'retention.purged'")
        assert proof["counts"]["refused"] == 7
        assert proof["counts"]["reveals"] == 0
        await refused(town, 9)
        assert await tasks.purge(context(town)) == 0, "once a day"
        seen = (await town.call("GET", "/audit?action=retention", caller=AUDITOR)).json()["items"]
        assert [one["by"] for one in seen] == [None], "auditors of every region see it"
        shown = (await town.call("GET", "/retention")).json()["items"]
        assert {one["table"]: one["days"] for one in shown}["audit"] == 1095
        assert all(one["basis"] for one in shown)

    play(database_url, scenario)


def test_the_table_says_how_long(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await refused(town, 9)
        await town.execute("UPDATE retention SET days = 7 WHERE table_name = 'refused'")
        assert await kept_too_long(town) == ["refused"]
        assert await tasks.purge(context(town)) == 9
        await healthy(town)

    play(database_url, scenario)


def test_the_security_officer_says_how_long_within_the_law_and_auditors_hear_of_it(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who, auditor = await town.login("15400000001"), await town.login("15400000002")
        await town.execute(
            "INSERT INTO roles (account_no, role, prefix) VALUES ($1, 'auditor', '33')", auditor.caller.account_no
        )
        keeper = officer(who, "security", "33")

        async def says(days: int, caller: Caller = keeper, match: str | None = '"1"', table: str = "refused") -> Any:
            told = {"days": days, "reason": WHY}
            return await town.call("PUT", f"/retention/{table}", told, caller, **({"if-match": match} if match else {}))

        for caller in (
            ANYONE,
            who.caller,
            officer(who, "administrator", "33"),
            officer(who, "auditor", "33"),
            officer(who, "manager", "33"),
            officer(who, "security", "330411"),
        ):
            assert (await says(20, caller)).status_code in (401, 403)
        assert code_of(await says(20, match=None)) == (428, "condition_missing")
        assert code_of(await says(20, match='"7"')) == (412, "changed")
        assert code_of(await says(20, table="claims")) == (404, "not_there")
        for table, days in (("refused", 6), ("refused", 31), ("audit", 179), ("reveals", 365), ("archives", 1)):
            assert code_of(await says(days, table=table))[0] == 422, (table, days)
        assert (await says(-1)).status_code == 422
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'retention.changed'") == 0
        done = await says(20)
        assert (done.status_code, done.json()["days"], done.headers["etag"]) == (200, 20, '"2"'), done.text
        assert (await says(20, match='"2"')).json()["version"] == 2, "again changes nothing"
        assert code_of(await says(10)) == (412, "changed")
        (told,) = await notices(town, "identity.retention.changed")
        assert told["holders"] == [auditor.caller.holder_no]
        assert told["data"] == {"table": "refused", "days": 20}
        entry = await town.value(
            "SELECT data || jsonb_build_object('why', reason) FROM audit WHERE action = 'retention.changed'"
        )
        assert (entry["before"], entry["days"], entry["why"]) == (30, 20, WHY)
        at_once = await asyncio.gather(*(says(days, match='"2"', table="refused") for days in (8, 9)))
        assert sorted(one.status_code for one in at_once) == [200, 412]
        assert (await says(20, match='"3"')).status_code == 200
        await refused(town, 3)
        assert await tasks.purge(context(town)) == 2, "the purge goes by it"
        shown = await town.call("GET", "/retention/refused")
        assert (shown.json()["days"], shown.json()["least"], shown.headers["etag"]) == (20, 7, '"4"')
        await healthy(town)

    play(database_url, scenario)


def test_what_vouched_once_is_not_kept_for_ever(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await town.execute(
            "INSERT INTO used_proofs (digest, at) VALUES ('\\x01', now() - interval '8 days'), ('\\x02', now())"
        )
        assert await tasks.purge(context(town)) == 1
        assert await town.value("SELECT count(*) FROM used_proofs") == 1

    play(database_url, scenario)


def test_nothing_of_who_is_under_a_legal_hold_goes(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, child, clerk, boss = await cast(town)
        for person in (parent.caller.person_id, child):
            await reveal(town, officer(clerk), person)
        chief, path = officer(boss, "manager"), f"/people/{child}/legal-hold"
        assert code_of(await town.call("GET", path, caller=chief)) == (404, "not_there")
        for _ in range(2):
            held = await town.call("PUT", path, {"reason": "法院要求保全"}, chief)
            assert (held.status_code, held.json()["reason"]) == (200, "法院要求保全")
        assert (await town.call("GET", path, caller=chief)).status_code == 200
        for caller in (officer(clerk), officer(boss, "manager", "330424"), parent.caller):
            assert code_of(await town.call("PUT", path, {"reason": WHY}, caller)) == (404, "not_there")
        await town.execute(f"UPDATE reveals SET made_at = {LONG_AGO}")
        assert await kept_too_long(town) == ["reveals"]
        assert await tasks.purge(context(town)) == 1
        assert await town.value("SELECT person_id FROM reveals") == uuid.UUID(child)
        assert await kept_too_long(town) == [], "what is held is not too old"
        for _ in range(2):
            assert (await town.call("DELETE", path, caller=chief)).status_code == 204
        assert await kept_too_long(town) == ["reveals"]
        actions = "SELECT array_agg(action ORDER BY no) FROM audit WHERE action LIKE 'people.h%'"
        assert await town.value(actions) == ["people.held", "people.hold_ended"]

    play(database_url, scenario)


def test_the_audit_is_forgotten_from_its_beginning_to_a_signed_head(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 4)
        await tasks.sign(context(town))
        await deeds(town, 3)
        await tasks.sign(context(town))
        await deeds(town, 2)

        async def aged(until: int) -> None:
            """As if written long ago, and chained then."""
            await forge(town, f"UPDATE audit SET at = {LONG_AGO} WHERE position <= $1", until)

        await aged(6)
        before = await verified(town, after=7)
        assert before["whole"]
        assert await tasks.purge(context(town)) == 4, "from 5 on no head was signed before the first that stays"
        assert await town.value("SELECT min(position) FROM audit") == 5
        assert (await verified(town, after=7))["whole"]
        start: Any = await verified(town)
        assert start["first"] == 5 or start["broken"] == {"position": 5, "what": "entry"}, "the forged dates show"
        await healthy(town)

    play(database_url, scenario)


def test_the_audit_is_kept_half_a_year_whatever_the_table_says(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="the_audit_is_kept_half_a_year"):
            await town.execute("UPDATE retention SET days = 179 WHERE table_name = 'audit'")
        await deeds(town, 2)
        await tasks.sign(context(town))
        await forge(town, "UPDATE retention SET days = 0, least = 0 WHERE table_name <> 'audit'")
        assert await tasks.purge(context(town)) == 0
        await town.execute("ALTER TABLE retention DROP CONSTRAINT the_audit_is_kept_half_a_year")
        await town.execute("UPDATE retention SET days = 0, least = 0 WHERE table_name = 'audit'")
        with pytest.raises(asyncpg.RestrictViolationError):
            await town.value("SELECT forget_old('audit', 10)")

    play(database_url, scenario)


def test_an_entry_about_somebody_under_a_legal_hold_keeps_all_behind_it(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, "15400000001")
        await deed(town)
        await tasks.chain(context(town))
        await tasks.sign(context(town))
        await deed(town, person_id=who.caller.person_id)
        await deed(town)
        await tasks.chain(context(town))
        await tasks.sign(context(town))
        await town.execute(
            "INSERT INTO legal_holds (person_id, community, reason, account_no) VALUES ($1, '33', 'x', 1)",
            who.caller.person_id,
        )
        await forge(town, f"UPDATE audit SET at = {LONG_AGO}")
        assert await tasks.purge(context(town)) == 1
        assert await town.value("SELECT min(position) FROM audit") == 2

    play(database_url, scenario)


def test_only_identity_may_purge_and_only_what_the_table_names(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for role in ("linli_booking", "linli_gateway", "linli_partners"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with town.root.of(role).transaction() as tx:
                    await tx.value("SELECT forget_old('refused', 1)")
        with pytest.raises(asyncpg.NoDataFoundError):
            async with town.root.of("linli_identity").transaction() as tx:
                await tx.value("SELECT forget_old('claims', 1)")

    play(database_url, scenario)
