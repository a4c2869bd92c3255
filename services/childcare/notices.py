"""What children's rooms announce. Never a name, and never why somebody was refused: other guardians hear it, too."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from shared.claims import Freed, Group
from shared.grants import Grant
from shared.notices import Data, Notice, NoticeType
from shared.places import notices as places
from shared.texts import say


class VisitMade(Data):
    """Which sessions, how many children, and whether a guardian stays."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    persons: int
    stays: bool


class VisitCancelled(Data):
    """Which sessions' places came free."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    reason: str


class HandOver(Data):
    """At which visit, in which room, and when."""

    visit_id: uuid.UUID
    room_id: uuid.UUID
    at: datetime


class Strained(Data):
    """What a device told of a room too late to refuse it."""

    room_id: uuid.UUID
    reasons: list[str]
    at: datetime


class Missed(Data):
    """Where a child still is, since when it should not be, and which step this is."""

    visit_id: uuid.UUID
    room_id: uuid.UUID
    ends_at: datetime
    step: int


class Opened(Data):
    """What happened where, and how bad it is."""

    room_id: uuid.UUID
    kind: str
    severity: str
    report_to_authority: bool


class RoomClosed(Data):
    """Which room, and when it was looked at."""

    room_id: uuid.UUID
    at: datetime


_ID: Final = "01990000-0000-7000-8000-00000000000a"
_SLOT: Final = "01990000-0000-7000-8000-000000000001"
_BEGIN: Final = "2026-12-01T14:00:00+08:00"
_THE_VISIT: Final = say("the visit", "来访")
_THE_HAND_OVER: Final = say("the hand-over", "交接")
TYPES: Final = (
    NoticeType(
        "childcare.visit.made",
        VisitMade,
        _THE_VISIT,
        say(
            "Places in a children's room were confirmed. `persons` is how many children; `stays`: a guardian stays with them.",
            "儿童之家的名额已确认。`persons` 为儿童人数；`stays` 表示监护人陪同。",
        ),
        {"group_id": _ID, "slots": [_SLOT], "starts_at": _BEGIN, "persons": 1, "stays": False},
    ),
    NoticeType(
        "childcare.visit.cancelled",
        VisitCancelled,
        _THE_VISIT,
        say(
            "Somebody gave back all or some of its places; `slots` are those that came free.",
            "全部或部分名额已退还；`slots` 为释放名额的场次。",
        ),
        {"group_id": _ID, "slots": [_SLOT], "starts_at": _BEGIN, "reason": "cancelled"},
    ),
    NoticeType(
        "childcare.child.arrived",
        HandOver,
        _THE_HAND_OVER,
        say(
            "A carer signed a child in; `at` is when, which may be earlier than it was told.",
            "看护人员已为儿童签到；`at` 为实际时间，可能早于上报时间。",
        ),
        {"visit_id": _ID, "room_id": _SLOT, "at": _BEGIN},
    ),
    NoticeType(
        "childcare.child.collected",
        HandOver,
        _THE_HAND_OVER,
        say(
            "A child went home with somebody; who that was, guardians read in the child's hand-overs.",
            "儿童已被接走；接送人由监护人在交接记录中查看。",
        ),
        {"visit_id": _ID, "room_id": _SLOT, "at": _BEGIN},
    ),
    NoticeType(
        "childcare.collector.refused",
        HandOver,
        say("the try", "该次尝试"),
        say(
            "Somebody who may not collect a child wanted to. Who and why is not said here: all guardians hear it.",
            "有不被允许的人试图接走儿童。此处不说明何人与原因：所有监护人都会收到。",
        ),
        {"visit_id": _ID, "room_id": _SLOT, "at": _BEGIN},
    ),
    NoticeType(
        "childcare.collection.missed",
        Missed,
        say("the claim of the child", "该儿童的名额"),
        say(
            "A child is still inside so long after the end of its session; once for each `step` of the room's terms.",
            "场次结束后儿童仍未被接走；按房间细则的每个 `step` 各通知一次。",
        ),
        {"visit_id": _ID, "room_id": _SLOT, "ends_at": _BEGIN, "step": 1},
    ),
    NoticeType(
        "childcare.incident.opened",
        Opened,
        say("the incident", "事件"),
        say(
            "Somebody wrote down an incident (`reported`), a room was not empty at its close (`count`), or a child had gone "
            "with somebody who may not collect it (`collection`).",
            "登记了一起事件（`reported`）、闭馆时仍有人（`count`），或儿童被不允许的人接走（`collection`）。",
        ),
        {"room_id": _ID, "kind": "reported", "severity": "minor", "report_to_authority": False},
    ),
    NoticeType(
        "childcare.room.strained",
        Strained,
        say("the hand-over, or the carer's presence", "交接，或看护人员的在岗记录"),
        say(
            "A device told of what had happened already: a child came in over the room's places (`room_full`), its ratio "
            "(`too_few_carers`) or before any carer was written down (`no_carer_recorded`); or the last carer went "
            "(`last_carer`). Somebody should look.",
            "设备补报了已发生的情况：入室儿童超出名额（`room_full`）、超出照护比例（`too_few_carers`）、尚无照护人员到岗记录"
            "（`no_carer_recorded`），或最后一名照护人员离岗（`last_carer`）。请及时查看。",
        ),
        {"room_id": _ID, "reasons": ["no_carer_recorded"], "at": _BEGIN},
    ),
    NoticeType(
        "childcare.room.closed",
        RoomClosed,
        say("the head-count", "清点"),
        say("Carers looked, and the room was empty.", "看护人员已确认房间无人。"),
        {"room_id": _ID, "at": _BEGIN},
    ),
    places.released("childcare"),
)


def visit_made(grant: Grant, visit_id: uuid.UUID, *, stays: bool) -> Notice:
    """Places in a room were confirmed."""
    return Notice(
        "childcare.visit.made",
        grant.slots[0].community,
        visit_id,
        tuple(dict.fromkeys(claim.holder_no for claim in grant.claims)),
        {
            "group_id": grant.group_id,
            "slots": [slot.id for slot in grant.slots],
            "starts_at": grant.slots[0].starts_at,
            "persons": len({claim.holder_no for claim in grant.claims}),
            "stays": stays,
        },
    )


def visit_cancelled(group: Group, freed: Sequence[Freed]) -> Notice:
    """Some or all places of a visit were given back."""
    first = group.claims[0]
    return Notice(
        "childcare.visit.cancelled",
        first["community"],
        group.resource_id or group.group_id,
        tuple(dict.fromkeys(one.holder_no for one in freed)),
        {
            "group_id": group.group_id,
            "slots": list(dict.fromkeys(one.slot_id for one in freed)),
            "starts_at": first["starts_at"],
            "reason": "cancelled",
        },
    )


def child_arrived(
    community: str, handover_id: uuid.UUID, place_id: uuid.UUID, visit_id: uuid.UUID, child_no: int, at: datetime
) -> Notice:
    """A child was brought."""
    data = {"visit_id": visit_id, "room_id": place_id, "at": at}
    return Notice("childcare.child.arrived", community, handover_id, (child_no,), data)


def child_collected(
    community: str, handover_id: uuid.UUID, place_id: uuid.UUID, visit_id: uuid.UUID, child_no: int, at: datetime
) -> Notice:
    """A child went home with an adult."""
    data = {"visit_id": visit_id, "room_id": place_id, "at": at}
    return Notice("childcare.child.collected", community, handover_id, (child_no,), data)


def collector_refused(
    community: str, try_id: uuid.UUID, place_id: uuid.UUID, visit_id: uuid.UUID, child_no: int, at: datetime
) -> Notice:
    """Somebody wanted to collect a child and may not."""
    data = {"visit_id": visit_id, "room_id": place_id, "at": at}
    return Notice("childcare.collector.refused", community, try_id, (child_no,), data)


def collection_missed(row: Any, step: int) -> Notice:
    """A child is still inside so long after the end of the session; `step` counts from one."""
    return Notice(
        "childcare.collection.missed",
        row["community"],
        row["claim_id"],
        (row["child_no"],),
        {"visit_id": row["visit_id"], "room_id": row["place_id"], "ends_at": row["ends_at"], "step": step},
    )


def incident_opened(
    community: str,
    incident_id: uuid.UUID,
    place_id: uuid.UUID,
    kind: str,
    severity: str,
    *,
    is_for_authority: bool,
    children: Sequence[int],
) -> Notice:
    """Something happened in a room and was written down; who and what stays there.

    Guardians hear at once when a child has gone with somebody who may not collect it; of the rest the carers tell them.
    """
    return Notice(
        "childcare.incident.opened",
        community,
        incident_id,
        tuple(children) if kind == "collection" else (),
        {"room_id": place_id, "kind": kind, "severity": severity, "report_to_authority": is_for_authority},
    )


def room_strained(
    community: str, subject: uuid.UUID, place_id: uuid.UUID, reasons: Sequence[str], at: datetime
) -> Notice:
    """What a device told of a room went over what it can watch over; for those who work there."""
    data = {"room_id": place_id, "reasons": list(reasons), "at": at}
    return Notice("childcare.room.strained", community, subject, (), data)


def room_closed(community: str, count_id: uuid.UUID, place_id: uuid.UUID, at: datetime) -> Notice:
    """Carers looked, and the room was empty."""
    return Notice("childcare.room.closed", community, count_id, (), {"room_id": place_id, "at": at})
