"""The kitchen's sheet, rounds, doors, and what is done when nobody opens one."""

from __future__ import annotations

import uuid
from datetime import date as Date  # noqa: N812 - a field is called date
from typing import Literal, Self

from pydantic import Field, model_validator

from services.elder_meals.rules import Closing, Doing, Ending
from shared.claiming import Moment, NamedOut, Text
from shared.texts import say
from shared.uploads import UploadIn
from shared.web import In, Out


class TotalOut(Out):
    """So many portions of a dish."""

    dish_id: uuid.UUID
    name: str
    portions: int


class TicketLineOut(Out):
    """A dish of one box."""

    name: str
    portions: int


class TicketOut(Out):
    """One box: what goes in and what must not."""

    no: int
    order_id: uuid.UUID
    lines: list[TicketLineOut]
    diet: list[str]
    allergens: list[str]
    texture: str
    note: str | None
    delivered: bool


class WindowOut(Out):
    """What is cooked for one window."""

    slot_id: uuid.UUID
    title: str
    starts_at: Moment
    ends_at: Moment
    orders: int
    portions: int
    dishes: list[TotalOut]
    tickets: list[TicketOut]


class ProductionOut(Out):
    """What a kitchen cooks on a day."""

    facility: NamedOut
    date: Date
    windows: list[WindowOut]


class PlanIn(In):
    """Who brings the meals of one window; nobody named: one round for whoever takes it."""

    slot_id: uuid.UUID
    couriers: list[uuid.UUID] = Field(
        default_factory=list, max_length=50, description=say("Persons who are couriers.", "送餐员的人员编号。")
    )

    @model_validator(mode="after")
    def _has_each_once(self) -> Self:
        if len(set(self.couriers)) != len(self.couriers):
            raise ValueError("a courier is named twice")
        return self


class StopOut(Out):
    """A door, with what it needs."""

    order_id: uuid.UUID
    no: int
    name: str
    region: str | None
    address: str | None
    phone: str | None = Field(
        description=say(
            "Masked, except for the kitchen, and for the courier about the hour of the meal.",
            "脱敏显示；厨房及临近送餐时段的送餐员可见完整号码。",
        )
    )
    note: str | None
    lat: float | None
    lon: float | None
    dishes: int = Field(description=say("Portions to hand over.", "应交付份数。"))
    neighbour: str | None = Field(description=say("Who may take it, as the elder has agreed.", "长者同意代收的邻居。"))
    state: str
    outcome: Ending | None


class RoundOut(Out):
    """A way from door to door."""

    id: uuid.UUID
    facility: NamedOut
    slot_id: uuid.UUID
    date: Date
    n: int
    courier: NamedOut | None = Field(description=say("null: whoever takes it.", "空值：由任一送餐员承担。"))
    mine: bool
    stops_total: int
    stops_open: int
    stops: list[StopOut] | None = Field(
        default=None, description=say("Only when one round is read.", "仅在查看单个路线时提供。")
    )


class RoundsOut(Out):
    """Rounds of a day or of a window."""

    items: list[RoundOut]


class Position(In):
    """Where the courier stood."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class OutcomeIn(UploadIn):
    """What happened at a door, or to a meal that is fetched."""

    outcome: Ending = Field(
        description=say(
            "Of a meal that is fetched, `delivered`: handed out; `unanswered`: nobody came; `to_neighbour` is refused.",
            "自取的餐：`delivered` 为已领取，`unanswered` 为无人来取，不能登记 `to_neighbour`。",
        )
    )
    position: Position | None = None
    note: Text | None = None


class OutcomeOut(Out):
    """What was written down, and what follows from it."""

    id: uuid.UUID
    order_id: uuid.UUID
    outcome: Ending
    at: Moment
    reasons: list[str] = Field(
        description=say(
            "What was odd: not_on_your_round, recorded_late, given_back, neighbour_not_agreed, elder_is_absent, check_was_open.",
            "异常说明：not_on_your_round 已不在您的路线上、recorded_late 补录、given_back 此餐已取消、neighbour_not_agreed 未同意邻居代收、"
            "elder_is_absent 已报备外出、check_was_open 已有探视任务。",
        )
    )
    welfare_check_id: uuid.UUID | None = Field(
        description=say("Opened because nobody answered, or came.", "无人应门或无人来取时发起的探视任务。")
    )


class StepIn(UploadIn):
    """What was done about a closed door."""

    kind: Literal[Doing, "closed"] = Field(
        description=say(
            "What was done; `closed`: the check is over.",
            "所做的事；`closed`：结束探视。",
        ),
    )
    outcome: Closing | None = Field(
        default=None, description=say("Only, and always, with `closed`.", "仅在 `closed` 时填写且必填。")
    )
    note: Text | None = None

    @model_validator(mode="after")
    def _says_why_it_ends(self) -> Self:
        if (self.kind == "closed") != (self.outcome is not None):
            raise ValueError("closing needs its outcome, and only closing has one")
        return self


class StepOut(Out):
    """A step."""

    id: uuid.UUID
    kind: str = Field(description=say("What was done; escalated: what was due.", "所做的事；escalated 为到期提醒。"))
    step: str | None = Field(default=None, description=say("What was due.", "应做的事。"))
    outcome: str | None = None
    at: Moment
    note: str | None = None


class RungOut(Out):
    """What is to be done, and when."""

    step: str
    due_at: Moment


class CheckOut(Out):
    """A welfare check: somebody did not open or come for their meal, and what was done about it."""

    id: uuid.UUID
    person: NamedOut
    facility: NamedOut
    order_id: uuid.UUID
    state: str = Field(
        description=say("open: somebody must still look; closed: it is over.", "open 进行中，closed 已结束。")
    )
    outcome: str | None
    opened_at: Moment
    closed_at: Moment | None
    next: RungOut | None = Field(
        description=say("What nobody has done yet, and when it is due.", "尚未完成的下一步及其时限。")
    )
    steps: list[StepOut] = Field(default_factory=list)
