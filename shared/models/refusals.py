"""Why somebody was refused: kept for a while, so that whoever is asked about it can answer."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Made, No


class Refused(Base):
    """A claim that was refused, folded: so many times within a second, for the same slot and people, for one reason.

    It is a log. It points nowhere, so writing it waits for nobody and looks at nothing; nothing depends on it.
    """

    __tablename__ = "refused"

    no: Mapped[No]
    at: Mapped[Made]
    account_no: Mapped[Big]
    holder_nos: Mapped[list[int]]
    holder_no: Mapped[Big | None]
    service: Mapped[str]
    slot_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    place_id: Mapped[uuid.UUID | None]
    community: Mapped[str]
    code: Mapped[str]
    request_id: Mapped[str] = mapped_column(index=True)
    count: Mapped[int]

    __table_args__ = (
        CheckConstraint("count > 0", name="a_refusal_happened_at_least_once"),
        Index("refused_holder_nos_idx", "holder_nos", postgresql_using="gin"),
        Index("refused_at_idx", "at", postgresql_using="brin"),
    )
