"""A children's room in a small town: carers, children with guardians, sessions, and a front door to ask at."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Any

import httpx
from psycopg.types.json import Jsonb

from services.cli.town.childcare import TERMS
from shared import clock
from shared.purposes import PURPOSES
from tests.gateway.test_front import Front
from tests.town import Resident

COMMUNITY = "330424101003"
REGION = "330424101"
VISITS = "/v1/childcare/visits"


class Nursery:
    """One room with a policy, terms and people; everything is committed."""

    def __init__(self, front: Front, **terms: Any) -> None:
        self.front = front
        self.town = front.town
        self.place_id, self.policy_id = uuid.uuid4(), uuid.uuid4()
        self.path = f"/v1/childcare/rooms/{self.place_id}"
        self.town.do(
            "INSERT INTO places (id, service, kind, name, community) VALUES (%s, 'childcare', 'children_room', %s, %s)",
            self.place_id,
            f"儿童之家 {self.place_id.hex[:6]}",
            COMMUNITY,
        )
        self.town.do(
            "INSERT INTO policies (id, place_id, version, body) VALUES (%s, %s, 1, %s)",
            self.policy_id,
            self.place_id,
            Jsonb({}),
        )
        self.town.do(
            "INSERT INTO terms (place_id, version, body) VALUES (%s, 1, %s)", self.place_id, Jsonb(TERMS | terms)
        )
        (self.carer,) = self.carers()

    def carers(self, count: int = 1, role: str = "carer", prefix: str = REGION) -> list[Resident]:
        """People who work here."""
        made = self.town.residents(count, community=COMMUNITY)
        for one in made:
            self.town.appoint(one, role, prefix, self.place_id)
        return made

    def children(self, parent: Resident, count: int = 1, *, age: int = 6, consent: bool = True) -> list[Resident]:
        """Children of this guardian, who consents to their care."""
        born = date(clock.today().year - age, 1, 1)
        made = self.town.residents(count, born=born, community=COMMUNITY)
        for one in made:
            self.town.relate(parent, one)
            for purpose in ("childcare", "health") if consent else ():
                self.consent(parent, one, purpose)
        return made

    def consent(self, parent: Resident, child: Resident, purpose: str) -> None:
        """The guardian consents for the child."""
        self.town.do(
            "WITH c AS (INSERT INTO consents (person_id, purpose, step, version, given, channel, given_by, by_account_no, "
            "by_person_id, community) VALUES (%s, %s, 1, %s, true, 'app', 'guardian', %s, %s, %s) RETURNING id) "
            "INSERT INTO notices (type, community, subject, holders, data) "
            "SELECT 'identity.consent.given', %s, id, '{}', '{}' FROM c",
            child.person_id,
            purpose,
            PURPOSES[purpose].version,
            parent.account_no,
            parent.person_id,
            COMMUNITY,
            COMMUNITY,
        )

    def family(self, count: int = 1, **more: Any) -> tuple[Resident, list[Resident]]:
        """A guardian and their children."""
        (parent,) = self.town.residents(community=COMMUNITY)
        return parent, self.children(parent, count, **more)

    def slot(self, minutes: int = 5, lasts: int = 120, **columns: Any) -> uuid.UUID:
        """A session that begins so many minutes from now; it may have begun already."""
        starts = clock.now() + timedelta(minutes=minutes)
        more = {
            "service": "childcare",
            "place_id": self.place_id,
            "policy_id": self.policy_id,
            "community": COMMUNITY,
            "title": "托管",
            "starts_at": starts,
            "ends_at": starts + timedelta(minutes=lasts),
            "closes_at": starts,
            "capacity": 30,
            "min_age": 3,
            "max_age": 12,
            "needs_guardian": True,
        }
        return self.town.slot(**(more | columns))

    def moved(self, slot: uuid.UUID, minutes: int) -> None:
        """As if time went by: the session and all that hangs on it are so many minutes earlier."""
        for table in ("slots", "claims"):
            self.town.do(
                f"UPDATE {table} SET starts_at = starts_at - %s, ends_at = ends_at - %s "
                f"WHERE {'id' if table == 'slots' else 'slot_id'} = %s",
                timedelta(minutes=minutes),
                timedelta(minutes=minutes),
                slot,
            )
        self.town.do(
            "UPDATE insides i SET ends_at = c.ends_at FROM claims c WHERE c.id = i.claim_id AND c.slot_id = %s", slot
        )

    def book(self, parent: Resident, slot: uuid.UUID, *children: Resident, **more: Any) -> httpx.Response:
        """The guardian asks for places."""
        body = {"slot_id": str(slot), "persons": [str(one.person_id) for one in children], "stays": False} | more
        return self.front.ask("POST", VISITS, parent, key=uuid.uuid4().hex, json=body)

    def booked(self, parent: Resident, slot: uuid.UUID, *children: Resident, **more: Any) -> dict[str, Any]:
        """The guardian has places."""
        answer = self.book(parent, slot, *children, **more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def code(self, parent: Resident, visit: dict[str, Any], child: Resident) -> str:
        """What the guardian shows at the door."""
        answer = self.front.get(f"{visit['href']}/pass", parent, params={"person": str(child.person_id)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"])

    def post(self, path: str, who: Resident, at: datetime | None = None, **more: Any) -> httpx.Response:
        """What a device at the door sends."""
        told = {"id": str(uuid.uuid4()), "at": (at or clock.now()).isoformat()} | more
        return self.front.ask("POST", path, who, json=told)

    def on_duty(self, *carers: Resident, inside: bool = True) -> None:
        """Carers come, or go."""
        for one in carers or (self.carer,):
            answer = self.post(f"{self.path}/carers", one, inside=inside)
            assert answer.status_code == 200, answer.text

    def bring(
        self, parent: Resident, visit: dict[str, Any], child: Resident, by: Resident | None = None, **more: Any
    ) -> httpx.Response:
        """The guardian brings a child and shows the code."""
        told = {
            "person": str(child.person_id),
            "code": more.pop("code", None) or self.code(parent, visit, child),
        } | more
        return self.post(f"{visit['href']}/sign-in", by or self.carer, **told)

    def collect(self, visit: dict[str, Any], child: Resident, **more: Any) -> httpx.Response:
        """Somebody wants to collect a child."""
        who = more.pop("by", self.carer)
        return self.post(f"{visit['href']}/sign-out", who, person=str(child.person_id), **more)

    def arrived(self, slot: uuid.UUID | None = None, **more: Any) -> tuple[Resident, Resident, dict[str, Any]]:
        """A guardian, and a child who is inside, and the visit."""
        parent, (child,) = self.family()
        visit = self.booked(parent, slot or self.slot(), child, **more)
        answer = self.bring(parent, visit, child)
        assert answer.status_code == 200, answer.text
        return parent, child, visit

    def now(self, who: Resident | None = None) -> dict[str, Any]:
        """Who is inside."""
        answer = self.front.get(f"{self.path}/now", who)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
