"""What devices and doorsteps have sent: told once, however often it arrives."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped

from shared.models.base import Base, Big, Bytes, Made, Moment


class Upload(Base):
    """One report of an account, under the id that its device gave it, with the answer it got."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID]
    account_no: Mapped[Big]
    kind: Mapped[str]
    fingerprint: Mapped[Bytes]
    """Of the whole report: the same id with other words is another report, and refused."""
    answer: Mapped[dict[str, Any] | None]
    at: Mapped[Moment]
    """When it happened, as the device says."""
    received_at: Mapped[Made]

    __table_args__ = (
        PrimaryKeyConstraint("id", "account_no", name="one_upload_per_id_of_an_account"),
        Index("uploads_received_at_idx", "received_at", postgresql_using="brin"),
    )
