"""What was done with people's data and with power over it: only ever added to."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Made, No


class AuditEntry(Base):
    """One deed: who did what, about whom, and why. It points nowhere, so that nothing it names has to stay for it."""

    __tablename__ = "audit"

    no: Mapped[No]
    at: Mapped[Made]
    account_no: Mapped[Big | None]
    action: Mapped[str]
    person_id: Mapped[uuid.UUID | None]
    community: Mapped[str]
    reason: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (
        Index("audit_person_id_idx", "person_id", "no"),
        Index("audit_at_idx", "at", postgresql_using="brin"),
    )
