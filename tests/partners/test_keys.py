"""Keys: made by managers, shown once, and good for nothing that they were not made for."""

from __future__ import annotations

import uuid

import pytest

from services.gateway import console
from services.gateway.console import operations
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway.test_front import Front, is_problem, opened
from tests.partners.town import System, a_manager, a_system, announce


def forget(front: Front) -> None:
    """Two seconds go by."""
    front.parts.credentials._partners.clear()
    front.parts.credentials._facts.clear()


def test_a_key_is_shown_once_and_kept_as_a_hash(front: Front) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    key = system.told["key"]
    assert key.startswith("lk_")
    assert len(key) > 40
    read = front.get(f"/v1/partners/keys/{system.id}", manager)
    assert read.status_code == 200
    assert "key" not in read.json()
    assert key not in front.get("/v1/partners/keys", manager).text
    kept = front.town.one("SELECT key_hash FROM partner_keys")
    assert len(kept) == 32
    assert key not in front.town.one("SELECT partner_keys::text FROM partner_keys")
    assert front.town.one("SELECT kind FROM accounts WHERE id = %s", system.told["account_id"]) == "partner"


def test_a_key_opens_what_it_names_and_nothing_else(front: Front) -> None:
    system = a_system(front, operations=["partners.notices.list", "slots.*"])
    assert system.get("partners/notices").status_code == 200
    assert system.get("slots").status_code == 200
    assert is_problem(system.get("partners/consumers"), 403, "not_in_scope")
    assert is_problem(system.get("identity/me"), 403, "not_in_scope")
    assert is_problem(system.get("nothing/here"), 403, "not_in_scope")
    assert is_problem(system.ask("POST", "booking/reservations", json={}), 403, "not_in_scope")


def test_when_a_key_was_last_used_is_known(front: Front) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    assert front.get(f"/v1/partners/keys/{system.id}", manager).json()["last_used_at"] is None
    system.get("partners/notices")
    assert front.get(f"/v1/partners/keys/{system.id}", manager).json()["last_used_at"] is not None


def test_a_revoked_key_is_refused_and_revoking_again_changes_nothing(front: Front) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    assert system.get("partners/notices").status_code == 200
    first = front.ask("DELETE", f"/v1/partners/keys/{system.id}", manager)
    assert first.status_code == 200
    assert first.json()["revoked_at"] is not None
    again = front.ask("DELETE", f"/v1/partners/keys/{system.id}", manager)
    assert (again.status_code, again.json()) == (200, first.json())
    forget(front)
    assert is_problem(system.get("partners/notices"), 401, "not_known")


def test_a_made_up_key_is_nobody(front: Front) -> None:
    for key in ("lk_", "lk_" + "x" * 43, "lk_" + "x" * 500):
        assert is_problem(System(front, {"id": 0, "key": key}).get("partners/notices"), 401, "not_known")


def test_managers_make_keys_for_their_own_region_only(front: Front) -> None:
    manager = a_manager(front)
    body = {"name": "x", "types": ["*"], "region": "330424101"}
    assert is_problem(front.ask("POST", "/v1/partners/keys", manager, json=body), 403, "not_allowed")
    assert is_problem(front.ask("POST", "/v1/partners/keys", manager, json=body | {"region": "33"}), 403)
    (resident,) = front.town.residents()
    assert is_problem(front.ask("POST", "/v1/partners/keys", resident, json=body | {"region": "330411105"}), 403)
    assert is_problem(front.ask("POST", "/v1/partners/keys", json=body), 401)
    other = a_manager(front, "330424101")
    system = a_system(front, manager)
    assert is_problem(front.get(f"/v1/partners/keys/{system.id}", other), 404)
    assert is_problem(front.ask("DELETE", f"/v1/partners/keys/{system.id}", other), 404)
    assert front.get("/v1/partners/keys", other).json()["items"] == []
    assert [one["id"] for one in front.get("/v1/partners/keys", manager).json()["items"]] == [system.id]


def test_no_key_makes_keys(front: Front) -> None:
    system = a_system(front, operations=["*"])
    front.town.do(
        "INSERT INTO roles (account_no, role, prefix) SELECT no, 'manager', '330411105' FROM accounts WHERE id = %s",
        system.told["account_id"],
    )
    forget(front)
    body = {"name": "x", "types": ["*"], "region": "330411105"}
    assert is_problem(system.ask("POST", "partners/keys", json=body), 403, "not_allowed")


def test_a_partner_may_have_several_keys(front: Front) -> None:
    manager = a_manager(front)
    one = a_system(front, manager)
    two = a_system(front, manager, account_id=one.told["account_id"])
    assert two.told["account_id"] == one.told["account_id"]
    body = {"name": "x", "types": ["*"], "region": "330411105"}
    for account in (str(uuid.uuid4()), str(manager.account_id)):
        answer = front.ask("POST", "/v1/partners/keys", manager, json=body | {"account_id": account})
        assert is_problem(answer, 422)
    other = a_manager(front, "330424101")
    stolen = {"region": "330424101", "account_id": one.told["account_id"]}
    assert is_problem(front.ask("POST", "/v1/partners/keys", other, json=body | stolen), 422)
    for key in (one, two):
        front.ask("DELETE", f"/v1/partners/keys/{key.id}", manager)
    assert is_problem(front.ask("POST", "/v1/partners/keys", other, json=body | stolen), 422), "also when none is left"


def test_a_key_narrows_the_roles_of_its_account(front: Front) -> None:
    system = a_system(front, operations=["*"], region="330411105003")
    front.town.do(
        "INSERT INTO roles (account_no, role, prefix) SELECT no, 'staff', '330411' FROM accounts WHERE id = %s",
        system.told["account_id"],
    )
    forget(front)
    announce(front, community="330411105204")
    announce(front, community="330411105003")
    assert [one["community"] for one in system.poll()["items"]] == ["330411105003"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"types": []},
        {"types": ["booking.reservation.eaten"]},
        {"types": ["(.*)"]},
        {"types": ["a" * 500]},
        {"region": "33041110599"},
        {"region": "x"},
        {"operations": []},
        {"operations": ["partners.*", "partners.notices.eat"]},
        {"operations": ["partner.*"]},
        {"types": ["weather.*"]},
        {"operations": ["'; DROP TABLE x"]},
        {"facility_id": str(uuid.uuid4())},
        {"name": ""},
        {"name": "a\x00b"},
        {"name": "a" * 81},
        {"is_admin": True},
    ],
)
def test_what_cannot_be_a_key_is_refused(shared_front: Front, wrong: dict[str, object]) -> None:
    front = shared_front
    body = {"name": "x", "types": ["*"], "region": "330411105"} | wrong
    answer = front.ask("POST", "/v1/partners/keys", a_manager(front), json=body)
    assert is_problem(answer, 422), answer.text
    assert front.town.one("SELECT count(*) FROM partner_keys") == 0


def test_a_key_hears_which_of_its_words_means_nothing_here(shared_front: Front) -> None:
    manager = a_manager(shared_front)
    body = {"name": "x", "types": ["booking.*", "*"], "operations": ["slots.list", "*"], "region": "330411105"}
    for wrong, pointer, code in (
        ({"types": ["*", "booking.reservation.eaten"]}, "/types/1", "unknown_type"),
        ({"types": ["booking.*", "weather.*"]}, "/types/1", "unknown_type"),
        ({"operations": ["slots.list", "slots.lists"]}, "/operations/1", "unknown_operation"),
        ({"operations": ["slot.*"]}, "/operations/0", "unknown_operation"),
    ):
        answer = shared_front.ask("POST", "/v1/partners/keys", manager, json=body | wrong)
        assert is_problem(answer, 422)
        assert answer.json()["errors"] == [{"in": "body", "pointer": pointer, "code": code}]


def test_what_a_key_may_do_is_worked_out_before_the_door_opens(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    operations.table.cache_clear()
    with opened(database_url, keys, settings) as front:
        assert operations.table.cache_info().currsize == 1
        told = {one["operationId"] for item in console.document("en")["paths"].values() for one in item.values()}
        assert console.operation_ids() == told
        assert a_system(front, operations=["events.calendar.*", "claims.by_key"]).told["operations"]


def test_names_are_kept_as_they_were_said(front: Front) -> None:
    name = "<script>alert(1)</script> '; -- \u202e龘"
    assert a_system(front, name=name).told["name"] == name
