"""What may be known of people: permission to look, what they ask, what follows their death, and how long things are kept."""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
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


class Death(Base):
    """Somebody has died, who says so and by what. `settled_at`: nothing goes on for them by itself any more."""

    __tablename__ = "deaths"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]
    died_on: Mapped[date]
    evidence: Mapped[str]
    account_no: Mapped[Big]
    settled_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("person_id", name="nobody_dies_twice"),
        CheckConstraint(
            "evidence IN ('death_certificate', 'cremation_certificate', 'household_register', 'court_ruling')",
            name="death_evidence_known",
        ),
    )


class Wish(Base):
    """What somebody wants for after their death: near relatives may see what is known of them, these people, or nobody."""

    __tablename__ = "wishes"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    community: Mapped[str]
    who: Mapped[str]
    named: Mapped[list[uuid.UUID]]
    account_no: Mapped[Big]
    changed_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("who IN ('relatives', 'named', 'nobody')", name="wish_known"),
        CheckConstraint("(who = 'named') = (cardinality(named) > 0)", name="who_is_wished_for_is_named"),
    )


class Relative(Base):
    """Leave for somebody close to a person who has died to speak for them about what is known of them, for a time."""

    __tablename__ = "relatives"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    relative_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]
    relation: Mapped[str]
    evidence: Mapped[str]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'asked'"))
    account_no: Mapped[Big]
    by_person_id: Mapped[uuid.UUID]
    decided_by: Mapped[Big | None]
    decided_person_id: Mapped[uuid.UUID | None]
    decided_at: Mapped[Moment | None]
    expires_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint(
            "relation IN ('spouse', 'child', 'parent', 'sibling', 'grandparent', 'grandchild', 'named')",
            name="nearness_known",
        ),
        CheckConstraint(
            "evidence IN ('household_register', 'marriage_certificate', 'birth_certificate', 'adoption_certificate', "
            "'court_ruling', 'committee_letter')",
            name="nearness_evidence_known",
        ),
        CheckConstraint("state IN ('asked', 'allowed', 'denied')", name="relative_state_known"),
        CheckConstraint("relative_id <> person_id", name="nobody_is_their_own_relative"),
        CheckConstraint(
            "(state = 'asked') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_person_id IS NULL) "
            "AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="a_word_about_a_relative_is_somebodys",
        ),
        CheckConstraint(
            "decided_by <> account_no AND decided_person_id <> by_person_id AND decided_person_id <> relative_id "
            "AND by_person_id <> relative_id",
            name="nobody_decides_on_their_own_relative",
        ),
        CheckConstraint("(state = 'allowed') = (expires_at IS NOT NULL)", name="leave_of_relatives_ends"),
        Index(
            "one_open_leave_each",
            "person_id",
            "relative_id",
            unique=True,
            postgresql_where=text("state = 'asked'"),
        ),
        Index("relatives_relative_id_idx", "relative_id"),
    )


class Retention(Base):
    """How many days a table's rows, or the words in `shreds` alone, are kept after the moment in `column_name`, and why.

    `person` says whose they are. What the law wants is between `least` and `most`.
    """

    __tablename__ = "retention"

    table_name: Mapped[str] = mapped_column(primary_key=True)
    column_name: Mapped[str]
    days: Mapped[int]
    person: Mapped[str | None]
    basis: Mapped[str]
    shreds: Mapped[str | None]
    least: Mapped[int]
    most: Mapped[int]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __table_args__ = (
        CheckConstraint("days >= 0", name="nothing_is_forgotten_before_it_was"),
        CheckConstraint("days BETWEEN least AND most", name="things_are_kept_as_long_as_the_law_says"),
        CheckConstraint("table_name <> 'audit' OR days >= 180", name="the_audit_is_kept_half_a_year"),
        CheckConstraint(
            "person IN ('person_id', 'holder_no', 'child_no', 'account_no', 'group_id', 'children', 'check_id', 'order_id')",
            name="kept_things_are_somebodys",
        ),
    )
