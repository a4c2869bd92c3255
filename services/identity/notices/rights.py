"""What identity announces of what is asked about what is known, of how long it is kept, and of a death."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final, Literal

from shared.notices import Data, Notice, NoticeType
from shared.texts import say


class Requested(Data):
    """What was asked: export, correction or closure."""

    kind: str


class Answered(Requested):
    """What came of it: done, denied, or withdrawn by another."""

    state: str


class Due(Requested):
    """By when it must be answered."""

    due_at: datetime


class Kept(Data):
    """Of which table, and how many days it is kept now."""

    table: str
    days: int


class Said(Data):
    """What was decided."""

    state: Literal["allowed", "denied"]


_REQUEST: Final = say("the request", "申请")
_DEATH: Final = say("the record of the death", "死亡登记")
_RELATIVE: Final = say("the relative's leave", "近亲属权限")

TYPES: Final = (
    NoticeType(
        "identity.request.made",
        Requested,
        _REQUEST,
        say(
            "Somebody asks about what is known of them; they are told when another did so for them.",
            "居民就本人信息提出申请；由他人代为提出的，已通知本人。",
        ),
        {"kind": "export"},
    ),
    NoticeType(
        "identity.request.answered",
        Answered,
        _REQUEST,
        say(
            "It was done, denied with a reason, or withdrawn by another; the person is told.",
            "申请已办结、不予批准或被他人撤回，已通知本人。",
        ),
        {"kind": "correction", "state": "done"},
    ),
    NoticeType(
        "identity.request.reminded",
        Due,
        _REQUEST,
        say("It must be answered soon; the staff of the region are told.", "申请临近答复期限，已通知本区域工作人员。"),
        {"kind": "correction", "due_at": "2026-12-22T10:00:00+08:00"},
    ),
    NoticeType(
        "identity.retention.changed",
        Kept,
        say("the change", "变更记录"),
        say(
            "How long something is kept was changed; auditors are told, and the audit says by whom and why.",
            "保存期限已调整，已通知审计员；调整人与理由见审计记录。",
        ),
        {"table": "refused", "days": 60},
    ),
    NoticeType(
        "identity.death.recorded",
        Data,
        _DEATH,
        say(
            "Somebody has died: what goes on for them by itself ends, and nobody is to remind them of anything.",
            "已登记死亡：为其自动进行的事项终止，不再发送任何提醒。",
        ),
        {},
    ),
    NoticeType(
        "identity.death.withdrawn",
        Data,
        _DEATH,
        say("The record of a death was a mistake.", "死亡登记有误，已撤销。"),
        {},
    ),
    NoticeType(
        "identity.relative.asked",
        Data,
        _RELATIVE,
        say(
            "A relative asks to speak for somebody who has died; the managers are told.",
            "近亲属申请行使死者的个人信息权利，已通知负责人。",
        ),
        {},
    ),
    NoticeType(
        "identity.relative.answered",
        Said,
        _RELATIVE,
        say("The relative has leave for a time, or was denied it.", "近亲属的申请已获准（限期）或未获准。"),
        {"state": "allowed"},
    ),
)


def request_made(request_id: uuid.UUID, community: str, holders: tuple[int, ...], kind: str) -> Notice:
    """Somebody asks about what is known of them, or another does for them: then they are told."""
    return Notice("identity.request.made", community, request_id, holders, {"kind": kind})


def request_answered(request_id: uuid.UUID, community: str, holders: tuple[int, ...], kind: str, state: str) -> Notice:
    """What came of a request."""
    return Notice("identity.request.answered", community, request_id, holders, {"kind": kind, "state": state})


def request_due(request_id: uuid.UUID, community: str, holders: tuple[int, ...], kind: str, due_at: datetime) -> Notice:
    """The staff is reminded of a request."""
    return Notice("identity.request.reminded", community, request_id, holders, {"kind": kind, "due_at": due_at})


def death_recorded(death_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """Somebody has died. On which day and who says so stays with the staff."""
    return Notice("identity.death.recorded", community, death_id, (holder_no,))


def death_withdrawn(death_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """Nobody has died."""
    return Notice("identity.death.withdrawn", community, death_id, (holder_no,))


def relative_asked(leave_id: uuid.UUID, community: str, holders: tuple[int, ...]) -> Notice:
    """A relative asks for leave, and these may give it."""
    return Notice("identity.relative.asked", community, leave_id, holders)


def relative_answered(leave_id: uuid.UUID, community: str, holder_no: int, state: str) -> Notice:
    """The relative is told."""
    return Notice("identity.relative.answered", community, leave_id, (holder_no,), {"state": state})


def retention_changed(change: uuid.UUID, region: str, holders: tuple[int, ...], table: str, days: int) -> Notice:
    """How long a table is kept was changed."""
    return Notice("identity.retention.changed", region, change, holders, {"table": table, "days": days})
