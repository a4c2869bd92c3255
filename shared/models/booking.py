"""Booking's own rows: what the ledger does not need to know about a reservation."""

from __future__ import annotations

import uuid

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Made, Moment


class Reservation(Base):
    """One group of claims in a facility. Its state is the ledger's; here is who made it and what was said."""

    __tablename__ = "reservations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    group_id: Mapped[uuid.UUID]
    place_id: Mapped[uuid.UUID]
    """Its slots' place; no reference of its own, which would lock the place's one row at every booking."""
    community: Mapped[str]
    account_no: Mapped[Big]
    note: Mapped[str | None]
    starts_at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("group_id", name="one_reservation_per_group"),
        Index("reservations_place_id_starts_at_idx", "place_id", "starts_at"),
    )
