"""Power: granted below one's own region, never to oneself, taken back at once; and three powers in three hands."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.identity import actions
from shared import clock, errors
from tests.identity.counter import FAR, HERE, VILLAGE, appointed, ask, both, code_of, far_away, healthy
from tests.identity.town import Login, Town, play

ADMIN, GUARD, WATCH, SOMEONE, OTHER = (f"1540000000{n}" for n in range(1, 6))


def wish(who: Login, role: str = "staff", region: str = HERE, **more: Any) -> dict[str, Any]:
    return {"person": str(who.caller.person_id), "role": role, "region": region, "reason": "新入职"} | more


async def grant(town: Town, by: Login, to: Login, role: str = "staff", region: str = HERE, **more: Any) -> Any:
    return await ask(town, by, "POST", "/roles", wish(to, role, region, **more))


async def three(town: Town, prefix: str = "33") -> tuple[Login, Login, Login]:
    """An administrator, a security officer and an auditor."""
    return (
        await appointed(town, ADMIN, "administrator", prefix),
        await appointed(town, GUARD, "security", prefix),
        await appointed(town, WATCH, "auditor", prefix),
    )


def test_a_role_is_granted_listed_and_taken_back_under_audit(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        admin, guard, watch = await three(town)
        someone = await town.login(SOMEONE)
        made = await grant(town, admin, someone, "manager")
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["role"], told["region"], told["over"], told["until"]) == ("manager", HERE, False, None)
        assert told["person"] == {"id": str(someone.caller.person_id), "name": "新*", "phone": None}
        for reader in (admin, guard, watch):
            listed = (await ask(town, reader, "GET", f"/roles?region={HERE}")).json()["items"]
            assert listed == [told]
            assert (await ask(town, reader, "GET", f"/roles/{told['id']}")).json() == told
        assert code_of(await grant(town, admin, someone, "manager")) == (409, "exists")
        assert code_of(await ask(town, admin, "DELETE", f"/roles/{told['id']}")) == (422, "unprocessable")
        for _ in range(2):
            gone = await ask(town, admin, "DELETE", f"/roles/{told['id']}?reason=moved_on")
            assert gone.status_code == 204
        assert (await ask(town, admin, "GET", f"/roles?region={HERE}")).json()["items"] == []
        over = (await ask(town, admin, "GET", f"/roles?region={HERE}&state=over&role=manager")).json()["items"]
        assert [one["over"] for one in over] == [True]
        assert (await grant(town, admin, someone, "manager")).status_code == 201, "and may be had again"
        rows = await town.value(
            "SELECT jsonb_agg(jsonb_build_array(action, reason, data->>'role', person_id) ORDER BY no) FROM audit"
        )
        person = str(someone.caller.person_id)
        assert rows == [
            ["roles.grant", "新入职", "manager", person],
            ["roles.withdraw", "moved_on", "manager", person],
            ["roles.grant", "新入职", "manager", person],
        ]
        kinds = await town.value(
            "SELECT array_agg(type ORDER BY no) FROM notices WHERE holders = ARRAY[$1::bigint]",
            someone.caller.holder_no,
        )
        assert kinds == ["identity.role.granted", "identity.role.withdrawn", "identity.role.granted"]
        await healthy(town)

    play(database_url, scenario)


def test_who_may_grant_what(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        admin, guard, watch = await three(town)
        manager = await appointed(town, OTHER, "manager", "33")
        someone = await town.login(SOMEONE)
        may = {"administrator": admin, "staff": admin, "manager": admin, "courier": admin, "security": guard}
        for role in ("staff", "manager", "operator", "kitchen", "courier", "carer", "volunteer", "gate"):
            for by in (guard, watch, manager, someone):
                assert code_of(await grant(town, by, someone, role)) == (403, "not_allowed"), role
        for role in ("security", "auditor"):
            for by in (admin, watch, manager):
                assert code_of(await grant(town, by, someone, role)) == (403, "not_allowed"), role
        assert code_of(await grant(town, guard, someone, "administrator")) == (403, "not_allowed")
        for role, by in may.items():
            answer = await grant(town, by, someone, role)
            assert answer.status_code == (409 if role == "security" else 201), "who administrates keeps no security"
        assert code_of(await ask(town, someone, "GET", "/roles")) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/roles")) == (401, "not_known")
        assert code_of(await town.call("POST", "/roles", wish(someone))) == (401, "not_known")

    play(database_url, scenario)


def test_nobody_grants_to_themselves_nor_reaches_beyond_their_region(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        admin = await appointed(town, ADMIN, "administrator", HERE)
        someone = await town.login(SOMEONE)
        own = wish(admin)
        assert code_of(await ask(town, admin, "POST", "/roles", own)) == (403, "own_matter")
        by_account = {key: value for key, value in own.items() if key != "person"}
        by_account["account"] = str(admin.caller.account_id)
        assert code_of(await ask(town, admin, "POST", "/roles", by_account)) == (403, "own_matter")
        for region in ("33", VILLAGE, FAR, "330411105999"):
            assert code_of(await grant(town, admin, someone, region=region)) == (403, "not_allowed"), region
        elsewhere = await town.value(
            "INSERT INTO roles (account_no, role, prefix) VALUES ($1, 'staff', $2) RETURNING id",
            someone.caller.account_no,
            VILLAGE,
        )
        for method in ("GET", "DELETE"):
            found = await ask(town, admin, method, f"/roles/{elsewhere}?reason=mistake")
            assert code_of(found) == (404, "not_there")
        assert code_of(await ask(town, admin, "GET", f"/roles/{uuid.uuid4()}")) == (404, "not_there")
        mine = await town.value("SELECT id FROM roles WHERE account_no = $1", admin.caller.account_no)
        assert code_of(await ask(town, admin, "DELETE", f"/roles/{mine}?reason=mistake")) == (403, "own_matter")

    play(database_url, scenario)


def test_a_power_that_was_taken_back_grants_nothing_any_more(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        admin = await appointed(town, ADMIN, "administrator", "33")
        someone = await town.login(SOMEONE)
        await town.execute("UPDATE roles SET ends_at = now() WHERE role = 'administrator'")
        # The gateway's word about roles may be two seconds old; the grant looks itself.
        assert code_of(await grant(town, admin, someone)) == (403, "not_allowed")

    play(database_url, scenario)


def test_a_malformed_role_is_refused(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        admin, guard, _ = await three(town)
        someone = await town.login(SOMEONE)
        device = await town.value("INSERT INTO accounts (name, kind) VALUES ('闸机', 'device') RETURNING id")
        place = await town.value(
            "INSERT INTO places (service, kind, name, community) VALUES ('booking', 'hall', '厅', $1) RETURNING id",
            VILLAGE,
        )
        soon = (clock.now() + timedelta(days=1)).isoformat()
        past = (clock.now() - timedelta(days=1)).isoformat()
        both_of_them = {"account": str(device)}
        for by, told in (
            (admin, wish(someone, "king")),
            (admin, wish(someone, reason="")),
            (admin, wish(someone, region="x")),
            (admin, wish(someone, region="330411105999")),
            (admin, wish(someone, until=past)),
            (admin, wish(someone, until="2999-01-01T00:00:00+08:00")),
            (admin, wish(someone, until="soon")),
            (admin, wish(someone, place_id=str(place))),
            (admin, wish(someone, place_id=str(uuid.uuid4()))),
            (admin, wish(someone, granted_by=str(device))),
            (admin, wish(someone) | both_of_them),
            (admin, wish(someone, person=str(uuid.uuid4()))),
            (admin, wish(someone, "staff", person=None, account=str(device))),
            (guard, wish(someone, "security", region=VILLAGE, place_id=str(place))),
        ):
            assert code_of(await ask(town, by, "POST", "/roles", told)) == (422, "unprocessable"), told
        good = wish(someone, "gate", person=None, account=str(device), until=soon, region=VILLAGE, place_id=str(place))
        made = await ask(town, admin, "POST", "/roles", good)
        assert (made.status_code, made.json()["person"]) == (201, None)
        await healthy(town)

    play(database_url, scenario)


@pytest.mark.parametrize("is_refereed", [True, False])
def test_administrator_security_and_audit_are_three_people_even_at_once(
    database_url: str,
    is_refereed: bool,  # noqa: FBT001
) -> None:
    async def scenario(town: Town) -> None:
        admin, guard, _ = await three(town)
        if not is_refereed:
            for pair in ("administrator_and_security", "administrator_and_auditor", "security_and_auditor"):
                await town.execute(f"ALTER TABLE roles DROP CONSTRAINT nobody_is_{pair}")
        doubled = 0
        for n in range(10, 16):
            someone = await town.login(f"154000000{n}")
            other = ("security", "auditor")[n % 2]
            answers = await both(
                grant(town, admin, someone, "administrator"), grant(town, guard, someone, other, VILLAGE)
            )
            codes = sorted(code_of(one) for one in answers)
            doubled += codes[1][0] == 201
            if is_refereed:
                assert codes == [(201, ""), (409, "powers_apart")]
        assert (doubled == 0) == is_refereed
        if is_refereed:
            await healthy(town)

    play(database_url, scenario)


def test_a_power_may_be_had_twice_and_followed_by_another(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        admin, guard, _ = await three(town)
        someone = await town.login(SOMEONE)
        first = await grant(town, admin, someone, "administrator", HERE)
        second = await grant(town, admin, someone, "administrator", VILLAGE)
        assert [first.status_code, second.status_code] == [201, 201]
        assert code_of(await grant(town, guard, someone, "auditor")) == (409, "powers_apart")
        for one in (first, second):
            await ask(town, admin, "DELETE", f"/roles/{one.json()['id']}?reason=moved_on")
        assert (await grant(town, guard, someone, "auditor")).status_code == 201
        assert code_of(await grant(town, guard, someone, "security")) == (409, "powers_apart")
        with pytest.raises(asyncpg.ExclusionViolationError):
            await town.execute(
                "INSERT INTO roles (account_no, role, prefix) VALUES ($1, 'security', '33')", someone.caller.account_no
            )
        with pytest.raises(asyncpg.UniqueViolationError, match="one_account_per_person"):
            await town.execute("INSERT INTO accounts (person_id, name) VALUES ($1, 'x')", someone.caller.person_id)
        await healthy(town)

    play(database_url, scenario)


def test_the_first_of_a_deployment_are_named_by_whoever_runs_it(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await far_away(town)
        someone, other = await town.login(SOMEONE), await town.login(OTHER)
        first, second = someone.caller.person_id, other.caller.person_id
        assert first is not None
        assert second is not None
        await town.root.run(actions.roles.found, first, "administrator", "33")
        with pytest.raises(errors.PowersApart):
            await town.root.run(actions.roles.found, first, "security", "33")
        await town.root.run(actions.roles.found, second, "security", "33")
        with pytest.raises(errors.NotThere):
            await town.root.run(actions.roles.found, uuid.uuid4(), "security", "33")
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'roles.grant'") == 2
        await healthy(town)

    play(database_url, scenario)
