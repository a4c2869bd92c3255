"""Kitchens and children's rooms tell all they know of somebody, and forget it when somebody is closed."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import Any

from services.gateway import tasks as gateway_tasks
from services.identity import actions, tasks
from shared import clock, crypto
from shared.web import Context
from tests.childcare.nursery import Nursery
from tests.elder_meals.kitchens import Kitchen
from tests.gateway.test_front import Front, examined
from tests.identity.test_rights import front
from tests.town import Resident

__all__ = ["front"]

CANARY = "小金鱼-7261"


def work(front: Front, task: Any) -> int:
    parts = front.parts
    rights = gateway_tasks.People(parts)
    return int(
        front.runner.run(task(Context(parts.db.of("linli_identity"), parts.keys, parts.settings, rights=rights)))
    )


def copy_for(front: Front, who: Resident, of: str = "me") -> dict[str, Any]:
    """All that somebody is told of themselves, or of a child."""
    asked = front.ask("POST", f"/v1/identity/{of}/export", who)
    assert asked.status_code == 202, asked.text
    assert work(front, tasks.export) == 1
    answer = front.get(f"{asked.headers['location']}/archive", who)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("data.json"))["services"]
    return told


def closed(front: Front, who: Resident, of: str = "me") -> None:
    asked = front.ask("POST", f"/v1/identity/{of}/closure", who)
    assert asked.status_code == 202, asked.text
    front.town.do("UPDATE requests SET acts_at = now() WHERE state = 'asked'")
    assert work(front, tasks.close) == 1


def opened_everywhere(front: Front) -> str:
    """Whatever is still sealed in the services' tables, opened."""
    found = []
    for table, column, row in (
        ("meal_orders", "sealed", "id"),
        ("elder_profiles", "sealed", "person_id"),
        ("child_records", "body", "child_no"),
        ("collectors", "about", "id"),
        ("visits", "note", "id"),
    ):
        for key, sealed in front.town.all(f"SELECT {row}, {column} FROM {table} WHERE {column} IS NOT NULL"):
            found.append(crypto.unseal(front.keys, bytes(sealed), table=table, column=column, row=str(key)))
    return " ".join(found)


def test_an_elder_is_told_and_forgotten_by_kitchens(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    (elder,) = kitchen.elder()
    kitchen.knows(elder, note=CANARY, contacts=[{"name": CANARY}])
    order = kitchen.order(elder, note=CANARY).json()
    front.town.do("UPDATE meal_orders SET outcome = NULL WHERE id = %s", order["id"])
    told = copy_for(front, elder)["elder-meals"]
    assert told["profile"][0]["note"] == CANARY
    assert told["orders"][0]["said"]["note"] == CANARY
    assert told["orders"][0]["pay_fen"] == order["pay_fen"]
    assert CANARY in opened_everywhere(front)
    closed(front, elder)
    assert CANARY not in opened_everywhere(front)
    seen = front.get(order["href"], kitchen.cook).json()
    assert (seen["state"], seen["pay_fen"]) == ("released", order["pay_fen"]), "what it cost can still be counted"
    assert [one["name"] for one in seen["persons"]] == ["已注销"]
    assert seen["note"] is None
    sheet = front.get(f"{kitchen.path}/production?date={kitchen.day(2)}", kitchen.cook)
    assert sheet.status_code == 200
    assert elder.name not in sheet.text
    assert examined(front) == []


def test_a_child_is_told_and_forgotten_by_childrens_rooms(front: Front) -> None:
    room = Nursery(front)
    parent, (child,) = room.family()
    about = f"/v1/childcare/children/{child.person_id}"
    said = {"allergies": [CANARY], "notes": CANARY, "contacts": []}
    assert front.ask("PUT", about, parent, json=said).status_code == 200
    collector = {"kind": "allowed", "name": CANARY, "id_digits": "1234"}
    made = front.ask("POST", f"{about}/collectors", parent, json=collector)
    visit = room.booked(parent, room.slot(60 * 48), child, note=CANARY)
    told = copy_for(front, parent, f"people/{child.person_id}")["childcare"]
    assert told["record"][0]["notes"] == CANARY
    assert told["visits"][0]["note"] == CANARY
    if made.status_code == 201:
        assert told["collectors"][0]["about"]["name"] == CANARY
    assert copy_for(front, parent)["childcare"]["record"] == [], "a parent's own copy is about the parent"
    closed(front, parent, f"people/{child.person_id}")
    assert CANARY not in opened_everywhere(front)
    assert front.get(visit["href"], parent).status_code in (200, 404)
    assert front.town.one("SELECT state FROM claims WHERE holder_no = %s", child.holder_no) == "released"
    assert front.get(about, parent).status_code == 404, "nobody's child any more"
    assert examined(front) == []


def test_what_is_forgotten_twice_is_forgotten_once(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    (elder,) = kitchen.elder()
    kitchen.knows(elder, note=CANARY)
    asked = front.ask("POST", "/v1/identity/me/closure", elder)
    front.town.do("UPDATE requests SET acts_at = now()")
    parts = front.parts
    context = Context(parts.db.of("linli_identity"), parts.keys, parts.settings, rights=gateway_tasks.People(parts))
    ((_, whom),) = front.runner.run(context.db.read(actions.rights.due, "closure"))
    for _ in range(2):  # as if the worker had died between the services and the last step
        assert context.rights is not None
        front.runner.run(context.rights.forget(whom))
    assert work(front, tasks.close) == 1
    assert front.town.one("SELECT state FROM requests WHERE id = %s", uuid.UUID(asked.json()["id"])) == "done"
    assert examined(front) == []


def test_what_lets_the_staff_in_goes_with_them(front: Front) -> None:
    clerk, _ = front.town.residents(2)
    front.town.appoint(clerk, "staff")
    front.town.do("INSERT INTO passwords (account_no, hash) VALUES (%s, 'x')", clerk.account_no)
    front.town.do("INSERT INTO second_factors (account_no, secret_sealed) VALUES (%s, '\\x00')", clerk.account_no)
    front.town.do("INSERT INTO recovery_codes (account_no, code_hash) VALUES (%s, '\\x00')", clerk.account_no)
    closed(front, clerk)
    for table in ("passwords", "second_factors", "recovery_codes"):
        assert front.town.one(f"SELECT count(*) FROM {table}") == 0, table
    assert front.town.one("SELECT count(*) FROM roles WHERE ends_at IS NULL OR ends_at > now()") == 0
    assert examined(front) == []


def kept(front: Front) -> list[str]:
    """Words that are still there: incidents, doors, welfare checks, and orders."""
    tables = {"incidents": "body", "meal_outcomes": "sealed", "welfare_steps": "sealed", "meal_orders": "sealed"}
    found = [name for name, one in tables.items() if front.town.one(f"SELECT count({one}) FROM {name}")]
    assert [one for one in tables if front.town.one(f"SELECT count(*) FROM {one}") == 0 and one in found] == []
    return found


def purged(front: Front) -> None:
    """A day later, as for the purge."""
    front.town.do("UPDATE audit_head SET position = position")
    front.town.do("ALTER TABLE audit DISABLE TRIGGER audit_stays")
    front.town.do("DELETE FROM audit WHERE action = 'retention.purged'")
    front.town.do("ALTER TABLE audit ENABLE TRIGGER audit_stays")
    work(front, tasks.purge)


def test_an_incidents_words_go_when_its_children_are_gone_and_its_time_is_over(front: Front) -> None:
    room = Nursery(front)
    parent, (child, sibling) = room.family(2)
    room.booked(parent, room.slot(), child, sibling)
    carer, (clerk,) = room.carer, front.town.residents()
    body = {
        "room": str(room.place_id),
        "persons": [str(child.person_id), str(sibling.person_id)],
        "text": CANARY,
        "severity": "minor",
        "witnessed_by": [CANARY],
    }
    made = room.post("/v1/childcare/incidents", carer, **body)
    assert made.status_code == 201, made.text
    where = f"/v1/childcare/incidents/{made.json()['id']}"
    front.town.do("UPDATE incidents SET at = at - interval '1096 days'")
    purged(front)
    assert front.get(where, carer).json()["text"] == CANARY, "they are still children of the town"
    closed(front, parent, f"people/{child.person_id}")
    purged(front)
    assert kept(front) == ["incidents"], "one of them is"
    closed(front, parent, f"people/{sibling.person_id}")
    front.town.do("UPDATE incidents SET at = now() - interval '1000 days'")
    purged(front)
    assert kept(front) == ["incidents"], "three years"
    front.town.do("UPDATE incidents SET at = now() - interval '1099 days'")
    assert "nothing is kept longer than its table's days" in dict(examined(front))
    hold = "INSERT INTO legal_holds (person_id, community, reason, account_no) VALUES (%s, '33', 'x', %s)"
    front.town.do(hold, child.person_id, clerk.account_no)
    purged(front)
    assert kept(front) == ["incidents"], "a court still needs it"
    front.town.do("UPDATE legal_holds SET ended_at = now(), ended_by = 1")
    purged(front)
    assert kept(front) == []
    shown = front.get(where, carer).json()
    assert (shown["text"], shown["witnessed_by"], shown["severity"]) == (None, [], "minor"), "that it happened stays"
    assert [one["name"] for one in shown["persons"]] == ["已注销", "已注销"]
    assert front.get(f"/v1/childcare/incidents?room={room.place_id}", carer).status_code == 200
    assert examined(front) == []


def test_words_from_doors_and_welfare_checks_go_in_time(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    (elder,) = kitchen.elder()
    kitchen.knows(elder)
    order = kitchen.order(elder, note=CANARY).json()
    assert kitchen.outcome(order["id"], kitchen.courier, "unanswered", note=CANARY).status_code in (200, 201)
    (check,) = front.get("/v1/elder-meals/welfare-checks", kitchen.manager).json()["items"]
    step = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "knocked", "note": CANARY}
    steps = f"/v1/elder-meals/welfare-checks/{check['id']}/steps"
    assert front.ask("POST", steps, kitchen.manager, json=step).status_code in (200, 201)
    ending = step | {"id": str(uuid.uuid4()), "kind": "closed", "outcome": "safe_home"}
    assert front.ask("POST", steps, kitchen.manager, json=ending).status_code in (200, 201)
    closed(front, elder)
    purged(front)
    assert kept(front) == ["meal_outcomes", "welfare_steps", "meal_orders"]
    front.town.do("UPDATE meal_outcomes SET at = at - interval '370 days'")
    front.town.do("UPDATE welfare_steps SET at = at - interval '1100 days'")
    front.town.do("UPDATE meal_orders SET starts_at = starts_at - interval '1100 days'")
    front.town.do(
        "INSERT INTO legal_holds (person_id, community, reason, account_no) VALUES (%s, '33', 'x', 1)", elder.person_id
    )
    purged(front)
    assert kept(front) == ["meal_outcomes", "welfare_steps", "meal_orders"], "held"
    front.town.do("UPDATE legal_holds SET ended_at = now(), ended_by = 1")
    purged(front)
    assert kept(front) == []
    assert front.get(order["href"], kitchen.cook).json()["pay_fen"] == order["pay_fen"]
    shown = front.get(f"/v1/elder-meals/welfare-checks/{check['id']}", kitchen.manager).json()
    assert [one["note"] for one in shown["steps"]] == [None, None]
    assert shown["outcome"] == "safe_home"
