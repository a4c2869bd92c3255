"""A claim's way through the gateway: ask the arbiter, let the service confirm, and account for every way it can end.

    granted ─► service ─► 2xx   the service's answer
                       ├► 4xx   it refused by itself: the hold is freed at once
                       └► none  unknown: the ledger is asked. Confirmed there is a 201; what is still held is freed.

No POST is ever sent to a service twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import asyncpg
import pydantic
from starlette.types import Scope

from services import SERVICES, Service, load
from services import service as service_named
from services.gateway import actions, credentials, shapes
from services.gateway import sql as gateway_sql
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.rules import Refused, Replayed, Waiting
from services.gateway.credentials import INTERNAL
from services.gateway.refusals import Refusals
from services.gateway.upstreams import Answer, Guard, NoAnswer
from shared import assertion, claiming, claims, clock, crypto, errors, problems, wire
from shared.assertion import Caller
from shared.claims import Subject, Take
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.grants import Grant
from shared.line import Line, Readers
from shared.texts import language

_HINT_SECONDS: Final = 2.0
_MOST_HINTS: Final = 10_000
_ITS_ID: Final = b"the-id-of-the-request-that-is-told"
"""Stands for the request's id in a problem that is written before there is one who hears it."""
KEY: Final = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_KEPT_BACK: Final = INTERNAL | {b"authorization", b"content-length", b"cookie", b"x-request-id"}
OURS: Final = frozenset({errors.HoldLapsed.code, errors.AssertionMissing.code})
"""What a service refuses because of us, and not because of who asked."""
_JSON: Final = [(b"content-type", b"application/json")]


class Call(NamedTuple):
    """One request as the front door read it. Of a header that came twice the last counts, here and in every service."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes
    caller: Caller
    request_id: str
    query: bytes = b""
    told: claiming.ClaimIn | None = None
    """The body of a claim as its service's schema has read it already."""

    def header(self, name: bytes) -> str | None:
        """The header of this (lower-case) name."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def scope(self, headers: list[tuple[bytes, bytes]], method: str | None = None, path: str | None = None) -> Scope:
        """The ASGI scope of the same request for a service."""
        path = path or self.path
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method or self.method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),  # the path was decoded: what it held back must not come out as ? or #
            "query_string": self.query if path == self.path else b"",
            "root_path": "",
            "headers": headers,
            "client": ("gateway", 0),
            "server": ("service", 80),
            claiming.TOLD: self.told,
        }


class Claiming:
    """The pipeline of claims; also forwards everything else with a signed assertion."""

    def __init__(
        self,
        db: Database,
        keys: Keyring,
        line: Line[Asked, Outcome],
        guards: Mapping[str, Guard],
        refusals: Refusals,
        guardians: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._guardians = guardians
        self._db = db
        self._keys = keys
        self._line = line
        self._guards = guards
        self._refusals = refusals
        self._told: OrderedDict[tuple[str, Refused, uuid.UUID | None, str], tuple[float, Answer]] = OrderedDict()
        self._asking: set[tuple[int | None, str | None]] = set()
        """Accounts and keys of asks that wait, while their service is asked whether they may."""
        self._others_line = Readers("alternatives", db, alternatives)
        self._bodies = {f"/v1/{one.name}/{one.collection}": one for one in SERVICES if one.claims}

    def is_claim(self, method: str, path: str) -> bool:
        """Whether this request asks for places."""
        return method == "POST" and path in self._bodies

    async def forward(
        self,
        service: str,
        call: Call,
        *,
        grant: Grant | None = None,
        method: str | None = None,
        path: str | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """The service's answer to this call, with the assertion about its caller and what was granted."""
        guard = self._guards[service]
        token = assertion.sign(
            call.caller, audience=service, key=self._keys.assertion, grant=grant, known=guard.is_local
        )
        body = call.body if body is None else body
        kept_back = _KEPT_BACK if call.path.startswith("/v1/") else _KEPT_BACK - {b"cookie"}
        headers = [
            (assertion.HEADER.encode(), token.encode()),
            *[(key, value) for key, value in call.headers.items() if key not in kept_back],
            (b"x-request-id", call.request_id.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        return await guard.call(call.scope(headers, method, path), body, more=_waits(call))

    async def claim(self, call: Call) -> Answer:
        """Ask for places, and have the service confirm them."""
        service = self._bodies[call.path]
        call.caller.known()
        if call.caller.holder_no is None:
            raise errors.NotAllowed
        key = idempotency_key(call.header(b"idempotency-key"))
        takes, persons, channel, waits, fingerprint, holder, told = reading(service, call)
        asked = Asked(
            service.name,
            call.caller,
            key,
            fingerprint,
            takes,
            persons,
            channel,
            waits,
            sealed_body=crypto.seal(
                self._keys, call.body.decode(), table="waits", column="body", row=f"{call.caller.account_no}|{key}"
            )
            if waits
            else b"",
            holder=holder,
        )
        try:
            outcome = await self._line.submit(asked)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise claims.refusal_of(error) or errors.Broken() from error
        if isinstance(outcome.decision, Refused):
            return await self._refused(outcome.decision, outcome.slot_id, asked, call)
        return await self.settle(service, call._replace(told=told), outcome)

    async def settle(self, service: Service, call: Call, outcome: Outcome) -> Answer:
        """Turn the arbiter's outcome into an answer, with the service's help where there is a grant."""
        decision = outcome.decision
        if isinstance(decision, Refused):
            raise refusal(decision)
        if isinstance(decision, Replayed):
            if (call.caller.account_no, call.header(b"idempotency-key")) in self._asking:
                raise errors.InFlight(retry_after=1)  # the service has not said yet whether it may wait
            answer = await self.show(service, call, decision.group_id)
            return Answer(answer.status, [*answer.headers, (b"idempotency-replayed", b"true")], answer.body)
        if isinstance(decision, Waiting):
            refused = await self._refused_anyway(service, call, outcome)
            return refused or await self.show(service, call, outcome.group_id)
        try:
            answer = await self.forward(service.name, call, grant=outcome.grant)
        except NoAnswer as none:
            return await self._unanswered(service, outcome, none)
        if answer.status >= 500:
            return await self._unanswered(
                service, outcome, NoAnswer(errors.Unavailable(retry_after=1), may_have_arrived=True)
            )
        if answer.status >= 400:
            with contextlib.suppress(errors.Unavailable):  # then the hold lapses by itself
                await self._db.run(claims.release, outcome.group_id, reason="refused", only_held=True)
            self._note_service(service, call, outcome, answer)
        return answer

    async def _refused_anyway(self, service: Service, call: Call, outcome: Outcome) -> Answer | None:
        """What the service refuses whatever comes free, so that nobody waits in vain; None when nothing stands against it.

        It is asked as if there were places. The grant names claims that nobody holds, so what suits hears that they lapsed.
        """
        if outcome.grant is None:
            return None
        asking = (call.caller.account_no, call.header(b"idempotency-key"))
        self._asking.add(asking)
        try:
            return await self._refusal_of(service, call, outcome, outcome.grant)
        finally:
            self._asking.discard(asking)

    async def _refusal_of(self, service: Service, call: Call, outcome: Outcome, grant: Grant) -> Answer | None:
        try:
            answer = await self.forward(service.name, call, grant=grant)
        except NoAnswer:
            return None
        if answer.status >= 500 or answer.status == errors.TooMany.status or code_of(answer) in OURS:
            return None
        self._note_service(service, call, outcome, answer)
        with contextlib.suppress(errors.InFlight):  # served at this very moment: it hears so by itself
            await self._db.run(actions.leave, outcome.group_id, "lost", "refused")
        return answer

    def _note(self, decision: Refused, slot_id: uuid.UUID | None, asked: Asked, call: Call) -> None:
        """Remember why, for who asks about it later; a request that is still at work was not refused."""
        if decision.code == "in_flight":
            return
        if slot_id is None:
            slot_id = next((take.slot_id for take in asked.takes if isinstance(take, Take)), None)
        self._refusals.note(
            call.caller, asked.service, slot_id, decision.code, call.request_id, asked.persons, decision.person
        )

    def _note_service(self, service: Service, call: Call, outcome: Outcome, answer: Answer) -> None:
        """Remember a service's own refusal of what the arbiter had granted."""
        code = code_of(answer)
        if code is not None and outcome.grant is not None:
            persons = tuple(dict.fromkeys(claim.person_id for claim in outcome.grant.claims))
            self._refusals.note(
                call.caller, service.name, outcome.grant.slots[0].id, code[:64], call.request_id, persons
            )

    async def _refused(self, decision: Refused, slot_id: uuid.UUID | None, asked: Asked, call: Call) -> Answer:
        """The problem that says so: what most of a rush hears, so it is written once for all who hear the same.

        The alternatives in it are a hint, at most two seconds old.
        """
        self._note(decision, slot_id, asked, call)
        lang = language(call.header(b"accept-language"))
        told = self._told.get((asked.service, decision, slot_id, lang))
        if told is None or told[0] <= time.monotonic():
            is_full = decision.code in ("full", "held")
            others = await self._others_line.submit(slot_id) if is_full and slot_id is not None else None
            answer = Answer(
                *problems.render(
                    refusal(decision, others, asked.service), accept_language=lang, request_id=_ITS_ID.decode()
                )
            )
            told = self._told[asked.service, decision, slot_id, lang] = (time.monotonic() + _HINT_SECONDS, answer)
            if len(self._told) > _MOST_HINTS:
                self._told.popitem(last=False)
        status, headers, body = told[1]
        return Answer(status, headers, body.replace(_ITS_ID, call.request_id.encode(), 1))

    async def _unanswered(self, service: Service, outcome: Outcome, none: NoAnswer) -> Answer:
        """Ask the ledger what became of a group whose service did not say; free what is still held."""
        await self._db.run(claims.release, outcome.group_id, reason="unanswered", only_held=True)
        group = await self._db.read(claims.group, outcome.group_id)
        if group is not None and group.resource_id is not None:
            return of(201, shapes.shape(service, group), [(b"location", shapes.location(service, group).encode())])
        raise none.refusal from none

    async def show(self, service: Service, call: Call, group_id: uuid.UUID) -> Answer:
        """What a group is now, as far as the caller may see it still: 404 for who has nothing to do with its people any more.

        The service's own words if it can be asked, else the ledger's. 202 while it waits.
        """
        # Reading needs to know for whom the caller acts, which claiming looks up by itself.
        (facts,) = await self._db.read(credentials.facts, [call.caller], self._guardians)
        call = call._replace(caller=credentials.told_of(call.caller, facts))
        found = await self._db.read(claims.group, group_id)
        if found is None or found.resource_id is None:
            waiting = await self._db.read(shapes.waiting_shape, group_id, call.caller)
            if waiting is not None:
                return of(202, waiting, [(b"location", f"/v1/claims/{group_id}".encode())])
        group = shapes.seen(found, call.caller) if found is not None else None
        if group is None:
            raise errors.NotThere
        headers = [(b"location", shapes.location(service, group).encode())]
        if group.resource_id is not None:
            try:
                answer = await self.forward(
                    service.name, call, method="GET", path=shapes.location(service, group), body=b""
                )
            except NoAnswer:
                answer = None
            if answer is not None and answer.status == 200:
                kept = [(k, v) for k, v in answer.headers if k in (b"content-type", b"etag")]
                return Answer(201, [*kept, *headers], answer.body)
        return of(201, shapes.shape(service, group), headers)


def code_of(answer: Answer) -> str | None:
    """Which problem an answer is."""
    with contextlib.suppress(ValueError, AttributeError):
        code = wire.loads(answer.body).get("code")
        return code if isinstance(code, str) else None
    return None


_WAIT: Final = re.compile(rb"(?:^|&)wait=([0-9]{1,2})(?:&|$)")


def _waits(call: Call) -> float:
    """Seconds that a reader is ready to wait for something new: so much longer its answer may take."""
    found = _WAIT.search(call.query) if call.method == "GET" else None
    return min(30.0, float(found[1])) if found else 0.0


def idempotency_key(told: str | None) -> str:
    """The key, quotes dropped; refuses a missing or malformed one."""
    key = (told or "").strip().strip('"')
    if not KEY.fullmatch(key):
        raise errors.IdempotencyKeyMissing
    return key


class Reading(NamedTuple):
    """What a body asks for, as its service's schema reads it, and its fingerprint."""

    takes: tuple[Take | Subject, ...]
    persons: tuple[uuid.UUID, ...] | None
    channel: str
    waits: bool
    fingerprint: bytes
    holder: str | None
    told: claiming.ClaimIn


_readings: OrderedDict[tuple[str, bytes], Reading] = OrderedDict()
"""Of bodies that say nothing of a person, by service: in a rush many say the same."""
_MOST_READINGS: Final = 4096
_LONGEST_READING: Final = 500


def reading(service: Service, call: Call) -> Reading:
    """What this call asks for: 415, 400 or 422 when it cannot be read."""
    media = call.headers.get(b"content-type", b"")
    if media != b"application/json" and media.partition(b";")[0].strip().lower() != b"application/json":
        raise errors.WrongMediaType
    known = _readings.get((service.name, call.body))
    if known is not None:
        return known
    try:
        told = load(service.claims or "").model_validate_json(call.body)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise problems.of_validation(found) from None
    made = Reading(
        told.takes,
        tuple(told.persons) if told.persons is not None else None,
        told.channel,
        told.if_full == "wait",
        hashlib.sha256(f"/v1/{service.name}/{service.collection}".encode() + b"\0" + call.body).digest()[:16],
        told.holder,
        told,
    )
    if len(call.body) <= _LONGEST_READING and told.model_fields_set <= told.public:
        _readings[service.name, call.body] = made
        if len(_readings) > _MOST_READINGS:
            _readings.popitem(last=False)
    return made


async def alternatives(tx: Tx, slot_ids: Sequence[uuid.UUID]) -> list[list[dict[str, Any]]]:
    """Slots like these that have places, for each of these, as a refusal names them."""
    found = await gateway_sql.alternatives(tx, list(set(slot_ids)))
    return [
        [
            {
                "id": row["id"],
                "title": row["title"],
                "starts_at": clock.local(row["starts_at"]),
                "ends_at": clock.local(row["ends_at"]),
                "free": row["free"],
            }
            for row in found[slot_id]
        ]
        for slot_id in slot_ids
    ]


def refusal(
    decision: Refused, others: list[dict[str, Any]] | None = None, service: str | None = None
) -> errors.Refusal:
    """A decision as the problem its caller hears: which person, slot or subject it was, and until when."""
    kind = errors.by_code(decision.code)
    pointer = f"/persons/{decision.person}" if decision.person is not None else None
    if decision.subject is not None and service is not None:
        pointer = load(service_named(service).claims or "").names_subject.format(decision.subject)
    retry = 1 if decision.code == "in_flight" else None
    until = {"held": "held_until", "not_open_yet": "opens_at", "suspended": "until"}.get(decision.code)
    extra: dict[str, Any] = {until: decision.until} if until else {}
    if decision.purposes:
        extra["purposes"] = decision.purposes
    if others:
        extra["alternatives"] = others
    if pointer:
        extra["errors"] = [{"pointer": pointer, "code": decision.code}]
    return kind(retry_after=retry, **extra)


def of(status: int, model: pydantic.BaseModel, headers: list[tuple[bytes, bytes]] | None = None) -> Answer:
    """An answer out of a model."""
    return Answer(status, [*_JSON, *(headers or [])], model.model_dump_json().encode())
