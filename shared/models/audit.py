"""What was done with people's data and with power over it: only ever added to, and chained so that a change shows."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, No


class AuditEntry(Base):
    """One deed: who did what, about whom, and why. It points nowhere, so that nothing it names has to stay for it.

    One writer at a time gives it its `position` and the `hash` that depends on every entry before it; a trigger refuses
    to change it then, and to forget it within 180 days.
    """

    __tablename__ = "audit"

    no: Mapped[No]
    at: Mapped[Made]
    account_no: Mapped[Big | None]
    action: Mapped[str]
    person_id: Mapped[uuid.UUID | None]
    community: Mapped[str]
    reason: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    position: Mapped[Big | None]
    hash: Mapped[Bytes | None]

    __table_args__ = (
        CheckConstraint("(position IS NULL) = (hash IS NULL)", name="a_link_has_its_hash"),
        Index("audit_person_id_idx", "person_id", "no"),
        Index("audit_at_idx", "at", postgresql_using="brin"),
        Index("one_audit_entry_per_position", "position", unique=True, postgresql_where=text("position IS NOT NULL")),
        Index("audit_unstamped_idx", "no", postgresql_where=text("position IS NULL")),
    )


class AuditHead(Base):
    """The end of the chain; whoever locks this row is the one writer."""

    __tablename__ = "audit_head"

    is_the_one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    position: Mapped[Big] = mapped_column(server_default=text("0"))
    hash: Mapped[Bytes] = mapped_column(server_default=text("decode(repeat('00', 32), 'hex')"))

    __table_args__ = (CheckConstraint("is_the_one", name="one_audit_head"),)


class SignedHead(Base):
    """Where the chain ended at some hour, signed and told to others. It outlives the entries before it."""

    __tablename__ = "audit_heads"

    id: Mapped[Id]
    position: Mapped[Big]
    hash: Mapped[Bytes]
    signed: Mapped[str]
    at: Mapped[Made]

    __table_args__ = (UniqueConstraint("position", name="one_signed_head_per_position"),)
