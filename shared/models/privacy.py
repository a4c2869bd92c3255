"""What may be known of people: permission to look, what people ask about their own data, and how long things are kept."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment


class Reveal(Base):
    """Permission for one member of the staff to see fields of one person for some minutes. What was seen is not kept."""

    __tablename__ = "reveals"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]
    account_no: Mapped[Big]
    by_person_id: Mapped[uuid.UUID]
    fields: Mapped[list[str]]
    reason: Mapped[str]
    needs_approval: Mapped[bool]
    is_beyond_limit: Mapped[bool]
    state: Mapped[str]
    decided_by: Mapped[Big | None]
    decided_person_id: Mapped[uuid.UUID | None]
    decided_at: Mapped[Moment | None]
    expires_at: Mapped[Moment | None]
    seen_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("state IN ('asked', 'allowed', 'denied')", name="reveal_state_known"),
        CheckConstraint("cardinality(fields) > 0", name="a_reveal_is_of_something"),
        CheckConstraint(
            "(decided_by IS NULL) = (decided_person_id IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="a_decision_has_its_decider",
        ),
        CheckConstraint(
            "decided_by <> account_no AND decided_person_id <> by_person_id", name="nobody_decides_on_their_own_reveal"
        ),
        CheckConstraint(
            "state = 'asked' OR decided_by IS NOT NULL OR NOT needs_approval", name="what_needs_approval_is_approved"
        ),
        CheckConstraint("(state = 'allowed') = (expires_at IS NOT NULL)", name="permission_ends"),
        CheckConstraint("seen_at IS NULL OR state = 'allowed'", name="only_the_allowed_is_seen"),
        Index("reveals_account_no_made_at_idx", "account_no", "made_at"),
        Index("reveals_person_id_idx", "person_id"),
    )


class PersonRequest(Base):
    """What somebody asks about what is known of them: a copy, a correction, or an end. `body` is sealed."""

    __tablename__ = "requests"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]
    kind: Mapped[str]
    field: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default=text("'asked'"))
    account_no: Mapped[Big]
    body: Mapped[Bytes | None]
    due_at: Mapped[Moment]
    acts_at: Mapped[Moment | None]
    decided_by: Mapped[Big | None]
    decided_person_id: Mapped[uuid.UUID | None]
    decided_at: Mapped[Moment | None]
    answer: Mapped[str | None]
    reminded_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("kind IN ('export', 'correction', 'closure')", name="request_kind_known"),
        CheckConstraint("state IN ('asked', 'done', 'denied', 'withdrawn')", name="request_state_known"),
        CheckConstraint("(kind = 'correction') = (field IS NOT NULL)", name="a_correction_is_of_a_field"),
        CheckConstraint("(kind = 'closure') = (acts_at IS NOT NULL)", name="a_closure_waits_first"),
        CheckConstraint("(state = 'asked') = (decided_at IS NULL)", name="an_asked_request_is_undecided"),
        CheckConstraint("state <> 'denied' OR answer IS NOT NULL", name="who_is_denied_hears_why"),
        CheckConstraint(
            "decided_by <> account_no AND decided_person_id <> person_id", name="nobody_decides_on_their_own_request"
        ),
        CheckConstraint("state = 'asked' OR body IS NULL", name="what_is_decided_keeps_no_words"),
        Index(
            "one_open_request_each",
            "person_id",
            "kind",
            "field",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("state = 'asked'"),
        ),
        Index("requests_person_id_idx", "person_id", "id"),
        Index("requests_due_at_idx", "due_at", postgresql_where=text("state = 'asked'")),
    )


class Archive(Base):
    """The copy that somebody asked for, sealed, for a week."""

    __tablename__ = "archives"

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("requests.id"), primary_key=True)
    sealed: Mapped[Bytes]
    expires_at: Mapped[Moment]


class LegalHold(Base):
    """What is known of a person must not be forgotten for now, and who says so."""

    __tablename__ = "legal_holds"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]
    reason: Mapped[str]
    account_no: Mapped[Big]
    made_at: Mapped[Made]
    ended_at: Mapped[Moment | None]
    ended_by: Mapped[Big | None]

    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="somebody_ends_a_legal_hold"),
        Index("one_legal_hold_each", "person_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )


class Retention(Base):
    """How many days a table's rows are kept after the moment in `column_name`, and why. `person` says whose they are."""

    __tablename__ = "retention"

    table_name: Mapped[str] = mapped_column(primary_key=True)
    column_name: Mapped[str]
    days: Mapped[int]
    person: Mapped[str | None]
    basis: Mapped[str]

    __table_args__ = (
        CheckConstraint("days >= 0", name="nothing_is_forgotten_before_it_was"),
        CheckConstraint("table_name <> 'audit' OR days >= 180", name="the_audit_is_kept_half_a_year"),
        CheckConstraint(
            "person IN ('person_id', 'holder_no', 'child_no', 'account_no')", name="kept_things_are_somebodys"
        ),
    )
