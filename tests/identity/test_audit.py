"""The audit is a chain: nothing in it can be changed without being found, and residents read what is about them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from typing import Any

import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.identity import actions, tasks
from shared import audit, wire
from shared.assertion import ActsFor, Caller, Role
from shared.settings import Settings
from shared.web import Context
from tests.identity.test_consents import HERE, adult, code_of, healthy
from tests.identity.town import ADULT_TOO, ANYONE, Login, Town, play

AUDITOR = ANYONE._replace(account_id=uuid.uuid4(), account_no=99, roles=(Role("auditor", "330411"),))
WORKER = "linli_identity"


async def deed(town: Town, action: str = "people.reveal", community: str = HERE, **more: Any) -> None:
    async with town.root.of("linli_gateway").transaction() as tx:
        await audit.record(tx, more.pop("account_no", None), action, community=community, **more)


def context(town: Town) -> Context:
    return Context(town.root.of(WORKER), town.keys, Settings(demo=True))


async def deeds(town: Town, count: int) -> None:
    """So many deeds, chained."""
    for n in range(count):
        await deed(town, data={"n": n}, reason="因办理登记")
    assert await tasks.chain(context(town)) == count


async def verified(town: Town, **params: int) -> Any:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    answer = await town.call("GET", f"/audit/verify?{query}", caller=AUDITOR)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def forge(town: Town, sql: str, *args: object) -> None:
    """What somebody does who may do everything with the database, triggers and all."""
    async with town.root.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute(sql, *args)


def test_the_chain_is_whole_in_one_piece_and_in_several(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        empty = await verified(town)
        assert (empty["whole"], empty["checked"], empty["next"]) == (True, 0, None)
        await deeds(town, 7)
        assert await tasks.chain(context(town)) == 0
        assert await verified(town) == {
            "whole": True,
            "first": 1,
            "last": 7,
            "checked": 7,
            "broken": None,
            "next": None,
        }
        part = await verified(town, limit=3)
        assert (part["whole"], part["last"], part["next"]) == (True, 3, 3)
        rest = await verified(town, after=3)
        assert (rest["first"], rest["last"], rest["next"]) == (4, 7, None)
        await healthy(town)

    play(database_url, scenario)


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        ("UPDATE audit SET data = '{\"n\": 0}' WHERE position = 4", "entry"),
        ("UPDATE audit SET reason = 'another' WHERE position = 4", "entry"),
        ("UPDATE audit SET account_no = 1 WHERE position = 4", "entry"),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE position = 4", "entry"),
        ("UPDATE audit SET hash = decode(repeat('00', 32), 'hex') WHERE position = 4", "entry"),
        ("DELETE FROM audit WHERE position = 4", "missing"),
        ("UPDATE audit SET position = position + 1000 WHERE position = 4", "missing"),
    ],
)
def test_one_changed_row_is_named(database_url: str, wish: str, what: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 7)
        await forge(town, wish)
        found = await verified(town)
        assert (found["whole"], found["broken"]) == (False, {"position": 4, "what": what})
        assert found["last"] == 3

    play(database_url, scenario)


def test_who_cuts_off_the_end_is_found(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 7)
        await forge(town, "DELETE FROM audit WHERE position > 5")
        assert (await verified(town))["broken"] == {"position": 6, "what": "missing"}

    play(database_url, scenario)


def test_who_writes_the_whole_chain_anew_is_found_by_what_was_signed(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 5)
        assert await tasks.sign(context(town)) == 5
        assert await tasks.sign(context(town)) == 0, "nothing was added"
        await deeds(town, 2)
        assert (await verified(town))["whole"]
        await forge(town, "UPDATE audit SET reason = NULL WHERE no = (SELECT min(no) FROM audit)")
        await forge(town, "UPDATE audit SET position = NULL, hash = NULL")
        await forge(town, "UPDATE audit_head SET position = 0, hash = decode(repeat('00', 32), 'hex')")
        assert await tasks.chain(context(town)) == 7
        assert (await verified(town))["broken"] == {"position": 5, "what": "head"}
        new = await town.value("SELECT hash FROM audit WHERE position = 5")
        await forge(town, "UPDATE audit_heads SET hash = $1", new)
        assert (await verified(town))["broken"] == {"position": 5, "what": "head"}, "the signature is about another"

    play(database_url, scenario)


def test_a_signed_head_is_announced_and_verifies_offline(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 3)
        await tasks.sign(context(town))
        told = await town.value("SELECT data FROM notices WHERE type = 'identity.audit.head_signed'")
        key: Ed25519PublicKey = town.keys.signing[0].public
        payload = wire.loads(jwt.PyJWS(algorithms=["EdDSA"]).decode(told["signed"], key, algorithms=["EdDSA"]))
        last = await town.value("SELECT hash FROM audit WHERE position = 3")
        assert (payload["position"], payload["hash"]) == (3, last.hex())
        assert (told["position"], told["hash"]) == (3, last.hex())
        await healthy(town)

    play(database_url, scenario)


def test_the_schema_lets_nobody_change_what_was_written_down(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 2)
        await deed(town)
        for wish in (
            "UPDATE audit SET reason = 'x' WHERE position = 1",
            "UPDATE audit SET position = 9, hash = hash WHERE position = 1",
            "UPDATE audit SET reason = 'x' WHERE position IS NULL",
            "DELETE FROM audit",
            "TRUNCATE audit",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="what was written down stays"):
                await town.execute(wish)
            with pytest.raises(asyncpg.PostgresError):
                async with town.root.of(WORKER).transaction() as tx:
                    await tx.execute(wish)
        assert await town.value("SELECT count(*) FROM audit") == 3

    play(database_url, scenario)


def test_auditors_read_their_regions_and_nobody_else_does(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await adult(town, "15400000001")
        await town.execute(
            "INSERT INTO roles (account_no, role, prefix, starts_at) VALUES ($1, 'staff', '330411105003', '2020-01-01')",
            clerk.caller.account_no,
        )
        someone = uuid.uuid4()
        await deed(town, "people.reveal", account_no=clerk.caller.account_no, person_id=someone, reason="补办")
        await deed(town, "roles.grant")
        await deed(town, "roles.grant", "330424101003")
        page = (await town.call("GET", "/audit?limit=1", caller=AUDITOR)).json()
        assert [one["action"] for one in page["items"]] == ["roles.grant"]
        page = (await town.call("GET", f"/audit?cursor={page['next']}", caller=AUDITOR)).json()
        assert page["next"] is None
        (first,) = page["items"]
        assert first["by"]["name"] == "张*"
        assert (first["by"]["role"], first["by"]["region"]) == ("staff", HERE)
        assert (first["action"], first["reason"], first["person_id"]) == ("people.reveal", "补办", str(someone))
        assert (first["position"], first["hash"]) == (None, None)
        for query, count in (
            (f"person={someone}", 1),
            (f"account={clerk.caller.account_id}", 1),
            ("action=roles", 1),
            ("action=role", 0),
            ("region=330411105", 2),
            ("from=2100-01-01T00:00:00Z", 0),
            ("to=2100-01-01T00:00:00Z", 2),
        ):
            found = (await town.call("GET", f"/audit?{query}", caller=AUDITOR)).json()
            assert len(found["items"]) == count, query
        assert code_of(await town.call("GET", "/audit?region=330424", caller=AUDITOR)) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/audit", caller=clerk.caller)) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/audit/verify", caller=clerk.caller)) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/audit/export", caller=clerk.caller)) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/audit")) == (401, "not_known")
        for bad in (
            "cursor=x",
            "from=yesterday",
            "region=x",
            "limit=0",
            "action=%00",
            "person=me",
            "to=0001-01-01T00:00:00%2B14:00",
        ):
            answer = await town.call("GET", f"/audit?{bad}", caller=AUDITOR)
            assert answer.status_code == (200 if bad.startswith("to=") else 422), bad

    play(database_url, scenario)


def test_what_is_exported_can_be_checked_with_nothing_but_sha256(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deeds(town, 3)
        await deed(town, "roles.grant", "330424101003", person_id=uuid.uuid4(), reason="secret elsewhere")
        await tasks.chain(context(town))
        await tasks.sign(context(town))
        answer = await town.call("GET", "/audit/export", caller=AUDITOR)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert "secret elsewhere" not in answer.text
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [one["kind"] for one in lines] == ["start", "entry", "entry", "entry", "digest", "head", "end"]
        before = bytes.fromhex(lines[0]["hash"])
        for one in lines[1:-1]:
            if one["kind"] == "head":
                assert one["hash"] == before.hex()
                continue
            if one["kind"] == "entry":
                text = json.dumps(one["entry"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
                one["digest"] = hashlib.sha256(text.encode()).hexdigest()
            before = hashlib.sha256(before + bytes.fromhex(one["digest"])).digest()
            assert one["hash"] == before.hex()
        assert lines[-1]["next"] is None
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'audit.export'") == 1

    play(database_url, scenario)


def test_two_writers_make_one_chain(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for n in range(40):
            await deed(town, data={"n": n})

        async def some(most: int) -> int:
            return int(await town.root.of(WORKER).run(audit.stamp, most=most))

        while sum(await asyncio.gather(*(some(3) for _ in range(6)))):
            pass
        assert (await verified(town))["checked"] == 40

    play(database_url, scenario)


def guardian_of(who: Login, person: uuid.UUID | None, relation: str = "guardian", services: Any = None) -> Caller:
    return who.caller._replace(acts_for=(ActsFor(person or uuid.uuid4(), 0, "", relation, services),))


def test_residents_read_who_saw_what_of_them(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        one, other = await adult(town, "15400000001"), await adult(town, "15400000002", ADULT_TOO)
        clerk = other.caller._replace(roles=(Role("staff", "330411"),))
        await deed(
            town,
            "people.reveal",
            account_no=other.caller.account_no,
            person_id=one.caller.person_id,
            reason="补办社保卡",
            data={"fields": ["phone"], "approved_by": one.caller.account_no},
        )
        await deed(town, "people.reveal", person_id=other.caller.person_id)
        (seen,) = (await town.call("GET", "/me/ledger", caller=one.caller)).json()["items"]
        assert (seen["what"], seen["reason"], seen["approved_by"]) == (["phone"], "补办社保卡", "张*")
        assert seen["by"] == {"role": None, "region": None, "name": "张*"}
        assert seen["is_self"] is False
        path = f"/people/{one.caller.person_id}/ledger"
        assert code_of(await town.call("GET", path, caller=other.caller)) == (404, "not_there")
        proxy = guardian_of(other, one.caller.person_id, "proxy", ("elder-meals",))
        assert code_of(await town.call("GET", path, caller=proxy)) == (403, "not_allowed")
        for caller in (guardian_of(other, one.caller.person_id), guardian_of(other, one.caller.person_id, "proxy")):
            assert len((await town.call("GET", path, caller=caller)).json()["items"]) == 1
        assert (await town.call("GET", path, caller=clerk)).status_code == 200
        items = (await town.call("GET", "/me/ledger", caller=one.caller)).json()["items"]
        assert [row["action"] for row in items] == ["people.ledger", "people.reveal"], "the desk's look is seen"
        assert code_of(await town.call("GET", "/me/ledger")) == (401, "not_known")
        assert code_of(await town.call("GET", f"/people/{uuid.uuid4()}/ledger", caller=clerk)) == (404, "not_there")

    play(database_url, scenario)


def test_the_kept_actions_are_there() -> None:
    assert {task.name for task in tasks.TASKS} >= {"identity.chain", "identity.sign"}
    assert {"auditor"} == actions.audit.AUDITORS


def test_what_is_written_down_is_an_object_and_not_its_text(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await deed(town, data={"id": uuid.uuid4(), "n": 1})
        assert await town.value("SELECT jsonb_typeof(data) FROM audit") == "object"

    play(database_url, scenario)
