"""What the kitchens announce."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, Literal

from shared.claims import Freed, Group
from shared.grants import Grant
from shared.notices import Data, Notice, NoticeType
from shared.places import notices as places
from shared.texts import say


class OrderMade(Data):
    """A meal was ordered."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    portions: int


class OrderCancelled(Data):
    """A meal was given back."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    reason: str


class OrderOutcome(Data):
    """What happened at the door."""

    group_id: uuid.UUID
    outcome: str
    at: datetime


class StandingRefused(Data):
    """A standing order did not get a meal."""

    date: date
    code: str


class StandingEnded(Data):
    """Why it ended without anybody saying so."""

    reason: Literal["nobody_speaks"]


class WelfareOpened(Data):
    """Nobody opened."""

    order_id: uuid.UUID
    kitchen_id: uuid.UUID
    opened_at: datetime


class WelfareEscalated(Data):
    """The next step is due."""

    order_id: uuid.UUID
    kitchen_id: uuid.UUID
    rung: int
    step: str
    opened_at: datetime


class WelfareClosed(Data):
    """It was found out."""

    order_id: uuid.UUID
    kitchen_id: uuid.UUID
    outcome: str
    closed_at: datetime


_GROUP: Final = "01990000-0000-7000-8000-00000000000a"
_SLOT: Final = "01990000-0000-7000-8000-000000000001"
_ORDER: Final = "01990000-0000-7000-8000-00000000000e"
_NOON: Final = "2026-12-01T11:00:00+08:00"

TYPES: Final = (
    NoticeType(
        "elder-meals.order.made",
        OrderMade,
        say("the order", "订单"),
        say("A meal was ordered for an elder.", "已为长者订餐。"),
        {"group_id": _GROUP, "slots": [_SLOT], "starts_at": _NOON, "portions": 1},
    ),
    NoticeType(
        "elder-meals.order.cancelled",
        OrderCancelled,
        say("the order", "订单"),
        say("A meal was given back.", "订餐已取消。"),
        {"group_id": _GROUP, "slots": [_SLOT], "starts_at": _NOON, "reason": "cancelled"},
    ),
    NoticeType(
        "elder-meals.order.visited",
        OrderOutcome,
        say("the order", "订单"),
        say(
            "Somebody was at the door, or the meal was to be fetched: `outcome` is delivered, to_neighbour, refused or unanswered.",
            "送餐员已到门口，或已到自取时间：`outcome` 为 delivered、to_neighbour、refused 或 unanswered。",
        ),
        {"group_id": _GROUP, "outcome": "delivered", "at": _NOON},
    ),
    NoticeType(
        "elder-meals.standing.refused",
        StandingRefused,
        say("the standing order", "长期订餐"),
        say("A standing order did not get a meal that day; `code` says why.", "长期订餐当日未能下单；`code` 为原因。"),
        {"date": "2026-12-01", "code": "full"},
    ),
    NoticeType(
        "elder-meals.standing.passed",
        Data,
        say("the standing order", "长期订餐"),
        say(
            "Whoever made it may not act for the elder any more: it goes on in the elder's own name.",
            "原代办人已无权代办：长期订餐转由长者本人名义继续。",
        ),
        {},
    ),
    NoticeType(
        "elder-meals.standing.ended",
        StandingEnded,
        say("the standing order", "长期订餐"),
        say(
            "Whoever made it may not act for the elder any more, and the elder has no account: it ended.",
            "原代办人已无权代办，且长者本人没有账号：长期订餐已终止。",
        ),
        {"reason": "nobody_speaks"},
    ),
    NoticeType(
        "elder-meals.welfare.opened",
        WelfareOpened,
        say("the welfare check", "探视任务"),
        say("Nobody opened the door to a meal, or came to fetch it.", "送餐时无人应门，或自取的餐无人来取。"),
        {"order_id": _ORDER, "kitchen_id": _SLOT, "opened_at": _NOON},
    ),
    NoticeType(
        "elder-meals.welfare.escalated",
        WelfareEscalated,
        say("the welfare check", "探视任务"),
        say(
            "Nobody has found out yet, and the next step of the kitchen's ladder is due: `step`.",
            "情况尚未查明，下一步 `step` 已到时限。",
        ),
        {"order_id": _ORDER, "kitchen_id": _SLOT, "rung": 1, "step": "contact_reached", "opened_at": _NOON},
    ),
    NoticeType(
        "elder-meals.welfare.closed",
        WelfareClosed,
        say("the welfare check", "探视任务"),
        say("Somebody found out how the elder is, and said so.", "已查明长者情况并结束任务。"),
        {"order_id": _ORDER, "kitchen_id": _SLOT, "outcome": "safe_out", "closed_at": _NOON},
    ),
    places.released("elder-meals"),
)


def order_made(grant: Grant, order_id: uuid.UUID, portions: int) -> Notice:
    """A meal was ordered for an elder."""
    return Notice(
        "elder-meals.order.made",
        grant.slots[0].community,
        order_id,
        tuple(dict.fromkeys(claim.holder_no for claim in grant.claims)),
        {
            "group_id": grant.group_id,
            "slots": [slot.id for slot in grant.slots],
            "starts_at": grant.slots[0].starts_at,
            "portions": portions,
        },
    )


def order_cancelled(group: Group, freed: Sequence[Freed]) -> Notice:
    """A meal was given back. What was said about it stays in the ledger."""
    first = group.claims[0]
    return Notice(
        "elder-meals.order.cancelled",
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


def order_came_to(
    order_id: uuid.UUID, group_id: uuid.UUID, community: str, holder_no: int, outcome: str, at: datetime
) -> Notice:
    """A meal was handed over, or was not."""
    return Notice(
        "elder-meals.order.visited",
        community,
        order_id,
        (holder_no,),
        {"group_id": group_id, "outcome": outcome, "at": at},
    )


def standing_refused(standing_id: uuid.UUID, community: str, holder_no: int, day: date, code: str) -> Notice:
    """A standing order did not get a meal that day."""
    return Notice("elder-meals.standing.refused", community, standing_id, (holder_no,), {"date": day, "code": code})


def standing_passed(standing_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """A standing order goes on in the elder's own name."""
    return Notice("elder-meals.standing.passed", community, standing_id, (holder_no,))


def standing_ended(standing_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """A standing order ended, for nobody speaks for the elder."""
    return Notice("elder-meals.standing.ended", community, standing_id, (holder_no,), {"reason": "nobody_speaks"})


def welfare_opened(check_id: uuid.UUID, order: Any, opened_at: datetime) -> Notice:
    """Nobody opened the door to a meal: the elder's people are told."""
    about = {"order_id": order["id"], "kitchen_id": order["place_id"], "opened_at": opened_at}
    return Notice("elder-meals.welfare.opened", order["community"], check_id, (order["holder_no"],), about)


def welfare_escalated(check: Any, holders: Sequence[int], rung: tuple[int, str]) -> Notice:
    """The next step is due. Said to the elder's people and contacts, and to the staff of the region."""
    told = {
        "order_id": check["order_id"],
        "kitchen_id": check["place_id"],
        "rung": rung[0],
        "step": rung[1],
        "opened_at": check["opened_at"],
    }
    whom = tuple(dict.fromkeys(holders))
    return Notice("elder-meals.welfare.escalated", check["community"], check["id"], whom, told)


def welfare_closed(check: Any, holders: Sequence[int], outcome: str, closed_at: datetime) -> Notice:
    """Somebody found out how the elder is."""
    told = {
        "order_id": check["order_id"],
        "kitchen_id": check["place_id"],
        "outcome": outcome,
        "closed_at": closed_at,
    }
    whom = tuple(dict.fromkeys(holders))
    return Notice("elder-meals.welfare.closed", check["community"], check["id"], whom, told)
