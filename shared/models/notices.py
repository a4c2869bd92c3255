"""What happened, for those who must be told: written in the transaction of its fact, numbered afterwards by one relay."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Made

_STAMPED = text("position IS NOT NULL")


class Notice(Base):
    """One fact. `position` is gap-free and given by the relay to what is already visible; every reader reads by it.

    `places`, where it happened, the relay writes with the position: those it names, and those of its slots.
    """

    __tablename__ = "notices"

    no: Mapped[int] = mapped_column(BigInteger, Identity(always=True, cache=1), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(server_default=text("uuidv7()"))
    position: Mapped[Big | None]
    type: Mapped[str]
    community: Mapped[str]
    subject: Mapped[uuid.UUID]
    holders: Mapped[list[int]]
    data: Mapped[dict[str, Any]]
    places: Mapped[list[uuid.UUID]] = mapped_column(server_default=text("'{}'::uuid[]"))
    occurred_at: Mapped[Made]

    __table_args__ = (
        Index("one_notice_per_position", "position", unique=True, postgresql_where=_STAMPED),
        Index("notices_holders_idx", "holders", postgresql_using="gin", postgresql_where=_STAMPED),
        Index("notices_places_idx", "places", postgresql_using="gin", postgresql_where=_STAMPED),
        Index("notices_unstamped_idx", "no", postgresql_where=text("position IS NULL")),
        {"postgresql_with": {"fillfactor": 90}},
    )


class NoticeHead(Base):
    """The last position given; whoever locks this row is the relay."""

    __tablename__ = "notice_head"

    is_the_one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    position: Mapped[Big] = mapped_column(server_default=text("0"))

    __table_args__ = (CheckConstraint("is_the_one", name="one_notice_head"),)
