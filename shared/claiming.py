"""Claiming as callers see it: one body to ask with and one shape to hear, the same in every service."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, TypeVar

from fastapi import Request, Response
from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints, model_validator

from shared import claims, clock, errors, web, wire
from shared.assertion import Caller
from shared.claims import Group, Subject, Take
from shared.db import Tx
from shared.grants import Grant, GrantedSlot
from shared.line import SKIPPED, Answer, Line, Skip
from shared.texts import say
from shared.web import In, Out

Moment = Annotated[datetime, PlainSerializer(lambda moment: clock.local(moment).isoformat(), when_used="json")]
"""An instant, told in the town's zone."""


def _no_controls(text: str) -> str:
    if any((character < " " and character not in "\n\t") or character == "\x7f" for character in text):
        raise ValueError("control characters")
    text.encode("utf-8")  # lone surrogates cannot be stored
    return text


def _is_seen(text: str) -> str:
    if all(unicodedata.category(character)[0] in "CZM" for character in text):
        raise ValueError("nobody can read this")
    return text


Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_no_controls)]
"""Free text of a caller: bounded, and nothing in it that a terminal or a database would trip over."""
Long = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_no_controls)]
Short = Annotated[
    str, StringConstraints(min_length=1, max_length=80), AfterValidator(_no_controls), AfterValidator(_is_seen)
]


class ClaimIn(In):
    """What every claim says; a service's own body adds its own fields, some of which may stand `instead` of slots."""

    instead: ClassVar[tuple[str, ...]] = ()
    names_subject: ClassVar[str] = ""
    """Where a body names the n-th of the subjects it takes, for the problem that says which is not offered."""
    public: ClassVar[frozenset[str]] = frozenset({"slot_id", "slot_ids", "if_full"})
    """Fields that say nothing of a person: a body of these alone is said by many in a rush, and remembered once it was read."""
    slot_id: uuid.UUID | None = Field(default=None, description=say("The slot to claim.", "要预约的场次。"))
    slot_ids: list[uuid.UUID] | None = Field(
        default=None,
        min_length=1,
        max_length=60,
        description=say(
            "Several slots, all or none; instead of slot_id.", "多个场次，全部成功或全部不成功；代替 slot_id。"
        ),
    )
    persons: list[uuid.UUID] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description=say(
            "For whom, all or none; left out: the caller.", "为谁预约，全部成功或全部不成功；省略则为本人。"
        ),
    )
    guests: int = Field(
        default=0, ge=0, le=20, description=say("Guests brought along by each person.", "每人携带的访客数。")
    )
    if_full: Literal["refuse", "wait"] = Field(
        default="refuse", description=say("What to do when it is full.", "名额已满时：拒绝或候补。")
    )
    channel: Literal["app", "desk", "phone", "paper"] = Field(
        default="app",
        description=say("How the resident asked; staff name the others.", "居民的预约渠道；其他渠道由工作人员填写。"),
    )
    holder: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}$")] | None = Field(
        default=None,
        description=say(
            "Instead of persons: the committee of this region holds the places (its staff).",
            "代替 persons：由该区划的居（村）委会占用名额（其工作人员）。",
        ),
    )

    @model_validator(mode="after")
    def _is_one_ask(self) -> ClaimIn:
        ways = ("slot_id", "slot_ids", *self.instead)
        if sum(getattr(self, way) is not None for way in ways) != 1:
            raise ValueError("name one of " + ", ".join(ways))
        if self.slot_ids is not None and len(set(self.slot_ids)) != len(self.slot_ids):
            raise ValueError("a slot is named twice")
        if self.persons is not None and len(set(self.persons)) != len(self.persons):
            raise ValueError("a person is named twice")
        if self.holder is not None and (self.persons is not None or self.channel != "app"):
            raise ValueError("a committee holds places by itself")
        if self.channel != "app" and self.persons is None:
            raise ValueError("name the persons whom staff act for")
        return self

    @property
    def slots(self) -> list[uuid.UUID]:
        """The slots, however they were named."""
        return self.slot_ids if self.slot_ids is not None else [self.slot_id] if self.slot_id is not None else []


TOLD: Final = "linli.told"
"""In the scope of a request of this very process: the body as the gateway has read it with the service's own schema."""


def express(schema: type[ClaimIn], route: Callable[..., Awaitable[Response]]) -> web.Endpoint:
    """The express way to a route `route(told, ctx, who)` that takes places."""

    async def endpoint(request: Request) -> Response:
        who = await web.caller(request)
        told = request.scope.get(TOLD)
        if isinstance(told, schema):  # read once is enough
            return await route(told, await web.context(request, who), who)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise errors.WrongMediaType
        told = schema.model_validate_json(await request.body())
        return await route(told, await web.context(request, who), who)

    return endpoint


REFUSALS: Final = (
    errors.IdempotencyKeyMissing,
    errors.KeyReused,
    errors.InFlight,
    errors.NotOpenYet,
    errors.Closed,
    errors.Cancelled,
    errors.Full,
    errors.Held,
    errors.AlreadyYours,
    errors.AlreadyWaiting,
    errors.Overlaps,
    errors.LimitReached,
    errors.Suspended,
    errors.TooYoung,
    errors.TooOld,
    errors.OutsideArea,
    errors.VerificationRequired,
    errors.GuardianRequired,
    errors.ConsentRequired,
    errors.NotOffered,
    errors.NotWaitable,
    errors.NotYours,
    errors.HoldLapsed,
    errors.LineFull,
    errors.Unknown,
)
"""What any claim may be told instead, whatever its service adds."""


class Taking(Protocol):
    """What a service's body must be able to say of itself."""

    persons: list[uuid.UUID] | None
    channel: Literal["app", "desk", "phone", "paper"]
    if_full: Literal["refuse", "wait"]
    holder: str | None

    @property
    def takes(self) -> tuple[Take | Subject, ...]:
        """The slots and units it needs, for each person."""


def granted(who: Caller, told: Taking) -> tuple[Grant, int]:
    """The grant that the gateway gave to this caller for exactly this body, and the account's number; refuses any other."""
    grant = who.grant
    if grant is None or who.account_no is None:
        raise errors.GrantMissing
    if not claims.matches(grant, told.takes, told.persons, who.person_id, holder=told.holder):
        raise errors.GrantMissing
    return grant, who.account_no


class Recording(Protocol):
    """A granted group that is to become a service's row with this id."""

    @property
    def grant(self) -> Grant:
        """What was granted."""

    @property
    def id(self) -> uuid.UUID:
        """Of the row to be."""


R = TypeVar("R", bound=Recording)


async def confirm(
    tx: Tx, several: Sequence[R], refused: Sequence[errors.Refusal | Skip | None] = (), *, skip_locked: bool
) -> tuple[list[R], list[Answer[uuid.UUID]]]:
    """Confirm those that the service does not refuse itself: those whose rows are to be written now, and everybody's answer.

    `refused` says for each why not (SKIPPED: not yet), or None. When nobody is left the transaction leaves nothing behind.
    """
    whys = refused or [None] * len(several)
    able = [one for one, why in zip(several, whys, strict=True) if why is None]
    states = iter(
        await claims.confirm(tx, [(one.grant, one.id) for one in able], skip_locked=skip_locked) if able else ()
    )
    made: list[R] = []
    answers: list[Answer[uuid.UUID]] = []
    for one, why in zip(several, whys, strict=True):
        if why is not None:
            answers.append(why)
            continue
        is_confirmed = next(states)
        answers.append(one.id if is_confirmed else SKIPPED if is_confirmed is None else errors.HoldLapsed())
        if is_confirmed:
            made.append(one)
    if not made:
        tx.discard()
    return made, answers


def line_of(name: str, context: web.Context, action: Any) -> Line[Any, Any]:
    """The line in front of a service's recording action, within the deployment's limits."""
    settings = context.settings
    return Line(
        name,
        context.db,
        action,
        batch=settings.line_batch,
        waiting=settings.line_waiting,
        seconds=min(settings.line_seconds, settings.upstream_seconds),
    )


class NamedOut(Out):
    """Something with a name."""

    id: uuid.UUID
    name: str


RESOURCE: Final = say(
    "Where in the facility: a court, a hall; null when it is none of them.",
    "场所内的场地，如某块球场；无具体场地时为空。",
)


def named(one: uuid.UUID | None, name: str | None) -> dict[str, Any] | None:
    """A NamedOut as plain values; None of nothing."""
    return {"id": one, "name": name} if one is not None else None


class SlotOut(Out):
    """A slot, as far as a claim shows it."""

    id: uuid.UUID
    facility: NamedOut
    resource: NamedOut | None = Field(default=None, description=RESOURCE)
    title: str
    community: str
    starts_at: Moment
    ends_at: Moment
    cancel_by: Moment | None
    state: str


class PersonOut(Out):
    """One person of a claim and how it stands for them."""

    id: uuid.UUID
    name: str
    state: str


class ClaimOut(Out):
    """One group of claims; the same in every answer about it."""

    id: uuid.UUID | None = Field(description=say("The service's own id; null while waiting.", "业务编号；候补时为空。"))
    group_id: uuid.UUID
    service: str
    state: str = Field(description=say("The ledger's word for it.", "名额账本中的状态。"))
    progress: str | None = Field(default=None, description=say("The service's word for it.", "业务进度。"))
    reason: str | None = Field(
        default=None, description=say("Why it was released, lapsed or lost.", "释放、超时或落空的原因。")
    )
    slot: SlotOut
    slots: list[SlotOut]
    persons: list[PersonOut]
    made_by: uuid.UUID | None
    position: int | None = None
    held_until: Moment | None = None
    href: str


def href(service: str, collection: str, resource_id: uuid.UUID | None, group_id: uuid.UUID) -> str:
    """Where the claim can be read."""
    return f"/v1/{service}/{collection}/{resource_id}" if resource_id else f"/v1/claims/{group_id}"


def slot_out(told: Any) -> SlotOut:
    """A GrantedSlot as it is shown."""
    return SlotOut(
        id=told.id,
        facility=NamedOut(id=told.place_id, name=told.place_name),
        resource=named(told.resource_id, told.resource_name),
        title=told.title,
        community=told.community,
        starts_at=told.starts_at,
        ends_at=told.ends_at,
        cancel_by=told.cancel_by,
        state=told.state,
    )


@lru_cache(maxsize=4096)
def _shown(slot: GrantedSlot) -> wire.Written:
    """A SlotOut as it is written: in a rush the same few are told again and again."""
    return wire.Written(
        wire.dumps(
            {
                "id": slot.id,
                "facility": {"id": slot.place_id, "name": slot.place_name},
                "resource": named(slot.resource_id, slot.resource_name),
                "title": slot.title,
                "community": slot.community,
                "starts_at": clock.local(slot.starts_at),
                "ends_at": clock.local(slot.ends_at),
                "cancel_by": clock.local(slot.cancel_by) if slot.cancel_by is not None else None,
                "state": slot.state,
            }
        )
    )


def of_grant(
    grant: Grant, *, service: str, where: str, resource_id: uuid.UUID, made_by: uuid.UUID | None
) -> dict[str, Any]:
    """A ClaimOut as plain values, for a group that was just confirmed: the answer that is made most often."""
    slots = [_shown(slot) for slot in grant.slots]
    people = {claim.person_id: claim.name for claim in grant.claims}
    return {
        "id": resource_id,
        "group_id": grant.group_id,
        "service": service,
        "state": "confirmed",
        "progress": None,
        "reason": None,
        "slot": slots[0],
        "slots": slots,
        "persons": [{"id": person, "name": name, "state": "confirmed"} for person, name in people.items()],
        "made_by": made_by,
        "position": None,
        "held_until": None,
        "href": f"/v1/{where}/{resource_id}",
    }


def of_group(group: Group, *, where: str) -> dict[str, Any]:
    """The fields of a ClaimOut for a group as the ledger knows it."""
    slots: dict[uuid.UUID, SlotOut] = {}
    people: dict[uuid.UUID, PersonOut] = {}
    active = {"held", "confirmed", "attended"}
    for row in group.claims:
        if row["slot_id"] not in slots:
            slots[row["slot_id"]] = SlotOut(
                id=row["slot_id"],
                facility=NamedOut(id=row["place_id"], name=row["place_name"]),
                resource=named(row["slot_resource_id"], row["slot_resource_name"]),
                title=row["title"],
                community=row["community"],
                starts_at=row["starts_at"],
                ends_at=row["ends_at"],
                cancel_by=row["cancel_by"],
                state=row["slot_state"],
            )
        known = people.get(row["person_id"])
        if known is None or (known.state not in active and row["state"] in active):
            people[row["person_id"]] = PersonOut(id=row["person_id"], name=row["person_name"], state=row["state"])
    state = group.state
    held = [row["held_until"] for row in group.claims if row["held_until"] is not None]
    listed: Sequence[SlotOut] = list(slots.values())
    return {
        "id": group.resource_id,
        "group_id": group.group_id,
        "service": group.service,
        "state": state,
        "reason": None if state in active else next((row["reason"] for row in group.claims if row["reason"]), None),
        "slot": listed[0],
        "slots": list(listed),
        "persons": list(people.values()),
        "made_by": group.claims[0]["made_by"],
        "held_until": min(held) if held else None,
        "href": f"/v1/{where}/{group.resource_id}" if group.resource_id else f"/v1/claims/{group.group_id}",
    }
