"""People and how they are known. Numbers and phones are kept only sealed, with a blind index to find them by."""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment, No, Small


class Deployment(Base):
    """Which keys this database was made with: another deployment's keys must not be used on it by mistake."""

    __tablename__ = "deployment"

    is_the_one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    fingerprint: Mapped[str]
    is_demo: Mapped[bool] = mapped_column(server_default=text("false"))
    field_version: Mapped[Small] = mapped_column(server_default=text("1"))
    made_at: Mapped[Made]

    __table_args__ = (CheckConstraint("is_the_one", name="one_deployment"),)


class Person(Base):
    """A human being of the town. `id` is also the id of their holder in the ledger."""

    __tablename__ = "persons"

    id: Mapped[uuid.UUID] = mapped_column(ForeignKey("holders.id"), primary_key=True)
    name: Mapped[str]
    sex: Mapped[str | None]
    born: Mapped[date | None]
    community: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    document_kind: Mapped[str | None]
    document_sealed: Mapped[Bytes | None]
    document_index: Mapped[Bytes | None]
    document_last4: Mapped[str | None]
    phone_sealed: Mapped[Bytes | None]
    level: Mapped[Small] = mapped_column(server_default=text("0"))
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("document_index", name="one_person_per_document"),
        CheckConstraint(
            "(document_sealed IS NULL) = (document_index IS NULL)", name="a_kept_number_is_sealed_and_indexed"
        ),
    )


class Account(Base):
    """What logs in. Roles and requests belong to it; it is usually one person's."""

    __tablename__ = "accounts"

    no: Mapped[No]
    id: Mapped[uuid.UUID] = mapped_column(unique=True, server_default=text("uuidv7()"))
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("persons.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default=text("'person'"))
    closed_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (CheckConstraint("kind IN ('person', 'device', 'partner')", name="account_kind_known"),)


class Login(Base):
    """One way into an account: a provider and, as a blind index, what that provider calls the account."""

    __tablename__ = "logins"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), index=True)
    provider: Mapped[str]
    subject_index: Mapped[Bytes]
    made_at: Mapped[Made]

    __table_args__ = (UniqueConstraint("provider", "subject_index", name="one_account_per_login"),)


class UsedProof(Base):
    """The digest of something that vouched for somebody once: whoever copies it gets nothing for it a second time."""

    __tablename__ = "used_proofs"

    digest: Mapped[Bytes] = mapped_column(primary_key=True)
    at: Mapped[Made]


class LoginCode(Base):
    """A code sent to a phone, kept as a hash, for a few minutes and a few tries."""

    __tablename__ = "login_codes"

    phone_index: Mapped[Bytes] = mapped_column(primary_key=True)
    code_hash: Mapped[Bytes]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    sent: Mapped[int] = mapped_column(server_default=text("1"))
    first_sent_at: Mapped[Made]
    sent_at: Mapped[Made]
    expires_at: Mapped[Moment]


class Session(Base):
    """One login on one device: a chain of refresh tokens, of which only hashes are kept.

    Within thirty seconds a retry with the last token gets the same successor; later use of an old token ends the chain.
    """

    __tablename__ = "sessions"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), index=True)
    provider: Mapped[str]
    device: Mapped[str | None]
    refresh_hash: Mapped[Bytes]
    previous_hash: Mapped[Bytes | None]
    successor_sealed: Mapped[Bytes | None]
    rotated_at: Mapped[Moment | None]
    made_at: Mapped[Made]
    expires_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]
    was_reused: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        CheckConstraint("NOT was_reused OR revoked_at IS NOT NULL", name="a_reused_session_is_over"),
        Index("sessions_revoked_at_idx", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
    )


class Relation(Base):
    """One person may act for another: a guardian for a child, a proxy for an elder (then for some services only)."""

    __tablename__ = "relations"

    id: Mapped[Id]
    actor_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"), index=True)
    kind: Mapped[str]
    services: Mapped[list[str] | None]
    starts_at: Mapped[Made]
    ends_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("kind IN ('guardian', 'proxy')", name="relation_kind_known"),
        CheckConstraint("actor_id <> person_id", name="nobody_is_their_own_relation"),
        Index(
            "one_relation_each", "actor_id", "person_id", "kind", unique=True, postgresql_where=text("ends_at IS NULL")
        ),
    )


class Role(Base):
    """What an account may do, below which region code."""

    __tablename__ = "roles"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    role: Mapped[str]
    prefix: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    place_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("places.id"))
    starts_at: Mapped[Made]
    ends_at: Mapped[Moment | None]
    granted_by: Mapped[uuid.UUID | None]

    __table_args__ = (
        CheckConstraint(
            "role IN ('staff', 'manager', 'auditor', 'administrator', 'operator', 'kitchen', 'courier', 'carer', "
            "'volunteer', 'gate')",
            name="role_known",
        ),
        Index("roles_account_no_idx", "account_no"),
    )


class Consent(Base):
    """One word of a person about one purpose, given or withdrawn, and who said it: the ledger is only added to.

    The row with the highest `step` counts. `given_by` is how they stood to the person: `by_person_id` is then the person
    themselves, the guardian or the proxy, also when the staff wrote it down.
    """

    __tablename__ = "consents"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    purpose: Mapped[str]
    step: Mapped[int]
    version: Mapped[int]
    given: Mapped[bool]
    at: Mapped[Made]
    channel: Mapped[str]
    given_by: Mapped[str]
    by_account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    by_person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]

    __table_args__ = (
        UniqueConstraint("person_id", "purpose", "step", name="one_word_after_another"),
        CheckConstraint("step > 0", name="consent_steps_count_from_one"),
        CheckConstraint("channel IN ('app', 'desk', 'phone', 'paper')", name="consent_channel_known"),
        CheckConstraint("given_by IN ('self', 'guardian', 'proxy')", name="consent_giver_known"),
        CheckConstraint("(given_by = 'self') = (by_person_id = person_id)", name="nobody_consents_under_anothers_name"),
    )
