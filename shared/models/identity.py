"""People and how they are known. Numbers and phones are kept only sealed, with a blind index to find them by."""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, literal_column, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
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
    """A human being of the town. `id` is also the id of their holder in the ledger.

    Of somebody who is closed only the row is left, so that what they held can still be counted.
    """

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
    phone_index: Mapped[Bytes | None]
    level: Mapped[Small] = mapped_column(server_default=text("0"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    made_at: Mapped[Made]
    closed_at: Mapped[Moment | None]

    __table_args__ = (
        UniqueConstraint("document_index", name="one_person_per_document"),
        CheckConstraint(
            "(document_sealed IS NULL) = (document_index IS NULL)", name="a_kept_number_is_sealed_and_indexed"
        ),
        CheckConstraint("phone_index IS NULL OR phone_sealed IS NOT NULL", name="an_indexed_phone_is_kept"),
        CheckConstraint(
            "closed_at IS NULL OR (name = '已注销' AND level = 0 "
            "AND num_nonnulls(sex, born, document_kind, document_sealed, document_last4, phone_sealed, phone_index) = 0)",
            name="nothing_is_left_of_who_is_closed",
        ),
        Index("persons_name_idx", "name", postgresql_ops={"name": "text_pattern_ops"}),
        Index("persons_phone_index_idx", "phone_index", postgresql_where=text("phone_index IS NOT NULL")),
    )


class PersonPlace(Base):
    """How a person belongs to a region, from when to when. The primary home is where the ledger says they live."""

    __tablename__ = "person_places"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"), index=True)
    kind: Mapped[str]
    community: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    is_home: Mapped[bool] = mapped_column(server_default=text("false"))
    starts_on: Mapped[date]
    ended_on: Mapped[date | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint(
            "kind IN ('resident', 'registered_elsewhere', 'works_here', 'emigrant', 'visitor', 'business')",
            name="person_place_kind_known",
        ),
        CheckConstraint("NOT is_home OR kind = 'resident'", name="a_home_is_lived_in"),
        CheckConstraint("ended_on >= starts_on", name="person_place_ends_after_it_starts"),
        Index("one_primary_home", "person_id", unique=True, postgresql_where=text("is_home AND ended_on IS NULL")),
        Index(
            "one_tie_of_a_kind_to_a_region",
            "person_id",
            "kind",
            "community",
            unique=True,
            postgresql_where=text("ended_on IS NULL"),
        ),
    )


class IdentityConflict(Base):
    """Somebody said a number that is another person's. Nothing is overwritten: the staff look at it.

    `person_id` tried, `owner_id` has the number, `community` is the owner's.
    """

    __tablename__ = "identity_conflicts"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"))
    community: Mapped[str]
    document_kind: Mapped[str]
    tries: Mapped[int] = mapped_column(server_default=text("1"))
    opened_at: Mapped[Made]
    closed_at: Mapped[Moment | None]
    closed_by: Mapped[Big | None] = mapped_column(ForeignKey("accounts.no"))
    outcome: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("person_id <> owner_id", name="nobody_is_in_conflict_with_themselves"),
        CheckConstraint("outcome IN ('unfounded', 'corrected', 'same_person')", name="conflict_outcome_known"),
        CheckConstraint(
            "(closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name="a_closed_conflict_was_closed_by_somebody",
        ),
        Index(
            "one_open_conflict_each",
            "person_id",
            "owner_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
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

    __table_args__ = (
        CheckConstraint("kind IN ('person', 'device', 'partner')", name="account_kind_known"),
        Index("one_account_per_person", "person_id", unique=True, postgresql_where=text("closed_at IS NULL")),
    )


class Login(Base):
    """One way into an account: a provider and, as a blind index, what that provider calls the account.

    `has_second`: whoever added it had shown a second factor, so that the provider's may stand for ours.
    """

    __tablename__ = "logins"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), index=True)
    provider: Mapped[str]
    subject_index: Mapped[Bytes]
    made_at: Mapped[Made]
    has_second: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        UniqueConstraint("provider", "subject_index", name="one_account_per_login"),
        Index("one_staff_name_each", "account_no", unique=True, postgresql_where=text("provider = 'password'")),
    )


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
    Where `idle_seconds` is set, it also ends when it was not refreshed for so long. `has_second`: it began with a second
    factor.
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
    idle_seconds: Mapped[int | None]
    was_reused: Mapped[bool] = mapped_column(server_default=text("false"))
    has_second: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        CheckConstraint("NOT was_reused OR revoked_at IS NOT NULL", name="a_reused_session_is_over"),
        Index("sessions_revoked_at_idx", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
    )


class Relation(Base):
    """One person may act for another: a guardian for a child, a proxy for an elder (then for some services only).

    It counts from `starts_at` to `ends_at`; a trigger ends a guardian's with the child's eighteenth birthday. It is closed
    when its end was announced, and until then no other of its kind begins between the two. Whoever was barred keeps the
    pair's one row for ever, so that nothing can make them a guardian again while it says so. `sealed` is what is known
    of the evidence, and of the reason of a bar. `level`: 0 declared, 1 checked, 2 confirmed by staff. A proxy with a cap is
    held by each of their orders in turn, which leaves its time in `used_at`.
    """

    __tablename__ = "relations"

    id: Mapped[Id]
    actor_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"), index=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"), index=True)
    kind: Mapped[str]
    services: Mapped[list[str] | None]
    starts_at: Mapped[Made]
    ends_at: Mapped[Moment | None]
    level: Mapped[Small] = mapped_column(server_default=text("0"))
    evidence: Mapped[str | None]
    sealed: Mapped[Bytes | None]
    cap_fen: Mapped[int | None]
    used_at: Mapped[Moment | None]
    closed_at: Mapped[Moment | None]
    barred_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("kind IN ('guardian', 'proxy')", name="relation_kind_known"),
        CheckConstraint("actor_id <> person_id", name="nobody_is_their_own_relation"),
        CheckConstraint("level BETWEEN 0 AND 2", name="relation_level_known"),
        CheckConstraint(
            "evidence IN ('birth_certificate', 'household_register', 'court', 'seen')", name="evidence_known"
        ),
        CheckConstraint("kind = 'guardian' OR (evidence IS NULL AND level = 0)", name="only_guardians_show_evidence"),
        CheckConstraint("cap_fen IS NULL OR (kind = 'proxy' AND cap_fen >= 0)", name="only_proxies_have_a_cap"),
        CheckConstraint("cardinality(services) > 0", name="a_scope_is_not_empty"),
        CheckConstraint("ends_at >= starts_at", name="nothing_ends_before_it_began"),
        CheckConstraint("closed_at IS NULL OR ends_at IS NOT NULL", name="what_is_closed_has_ended"),
        CheckConstraint(
            "barred_at IS NULL OR (kind = 'guardian' AND closed_at IS NOT NULL)", name="who_is_barred_is_no_guardian"
        ),
        Index(
            "one_relation_each",
            "actor_id",
            "person_id",
            "kind",
            unique=True,
            postgresql_where=text("closed_at IS NULL OR barred_at IS NOT NULL"),
        ),
        Index("relations_ending_idx", "ends_at", postgresql_where=text("closed_at IS NULL")),
    )


class Offer(Base):
    """Not yet a relation: an invitation to be a child's second guardian, or the wish to be somebody's proxy.

    It gives nobody any power. An invitation is for whoever brings its code, once; a proxy is named, and the person they
    want to act for says yes, in the app or with a code at the desk. Of codes only keyed hashes are kept. The relation
    that comes of it has the same id, so of one offer there is never a second.
    """

    __tablename__ = "offers"

    id: Mapped[Id]
    kind: Mapped[str]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("persons.id"), index=True)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("persons.id"))
    by_account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    services: Mapped[list[str] | None]
    cap_fen: Mapped[int | None]
    ends_at: Mapped[Moment | None]
    code_hash: Mapped[Bytes | None]
    code_ends_at: Mapped[Moment | None]
    tries: Mapped[Small] = mapped_column(server_default=text("0"))
    made_at: Mapped[Made]
    expires_at: Mapped[Moment]
    answered_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("kind IN ('guardian', 'proxy')", name="offer_kind_known"),
        CheckConstraint("actor_id <> person_id", name="nobody_offers_themselves_to_themselves"),
        CheckConstraint("kind = 'guardian' OR actor_id IS NOT NULL", name="a_proxy_to_be_is_named"),
        CheckConstraint("kind = 'proxy' OR code_hash IS NOT NULL", name="an_invitation_has_its_code"),
        CheckConstraint("(code_hash IS NULL) = (code_ends_at IS NULL)", name="a_code_has_its_end"),
        CheckConstraint("cardinality(services) > 0", name="an_offered_scope_is_not_empty"),
        CheckConstraint("cap_fen >= 0", name="an_offered_cap_is_not_negative"),
        UniqueConstraint("code_hash", name="one_offer_per_code"),
        Index(
            "one_open_ask_of_a_proxy_each",
            "actor_id",
            "person_id",
            unique=True,
            postgresql_where=text("kind = 'proxy' AND answered_at IS NULL"),
        ),
    )


def _never_both(one: str, other: str) -> ExcludeConstraint:
    """No account has these two roles at the same time, in whatever regions.

    The two stand side by side on a line: [0,1) touches [1,2), and neither touches itself.
    """
    return ExcludeConstraint(
        (
            func.int8range(literal_column("account_no"), literal_column("account_no"), literal_column("'[]'")),
            "&&",
        ),
        (literal_column(f"(CASE role WHEN '{one}' THEN '[0,1)'::int4range ELSE '[1,2)'::int4range END)"), "-|-"),
        (func.tstzrange(literal_column("starts_at"), literal_column("ends_at")), "&&"),
        name=f"nobody_is_{one}_and_{other}",
        using="gist",
        where=text(f"role IN ('{one}', '{other}')"),
    )


class Role(Base):
    """What an account may do, below which region code. Administrator, security and audit are three different people."""

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
            "role IN ('staff', 'manager', 'auditor', 'administrator', 'security', 'operator', 'kitchen', 'courier', "
            "'carer', 'volunteer', 'gate')",
            name="role_known",
        ),
        CheckConstraint("ends_at >= starts_at", name="role_ends_after_it_starts"),
        CheckConstraint(
            "place_id IS NULL OR role NOT IN ('administrator', 'security')",
            name="who_grants_is_not_bound_to_a_place",
        ),
        _never_both("administrator", "security"),
        _never_both("administrator", "auditor"),
        _never_both("security", "auditor"),
        Index(
            "one_role_each",
            "account_no",
            "role",
            "prefix",
            "place_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("ends_at IS NULL"),
        ),
        Index("roles_account_no_idx", "account_no"),
    )


class Consent(Base):
    """One word of a person about one purpose, given or withdrawn, and who said it: the ledger is only added to.

    The row with the highest `step` counts. `given_by` is how they stood to the person: `by_person_id` is then the person
    themselves, the guardian or the proxy, also when the staff wrote it down. What a guardian said for a child counts
    `until` thirty days after the fourteenth birthday: from then on it takes the child's own word.
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
    until: Mapped[Moment | None]

    __table_args__ = (
        UniqueConstraint("person_id", "purpose", "step", name="one_word_after_another"),
        CheckConstraint(
            "until IS NULL OR (given AND given_by = 'guardian')", name="only_a_guardians_word_for_a_child_ends"
        ),
        Index("consents_until_idx", "until", postgresql_where=text("until IS NOT NULL")),
        CheckConstraint("step > 0", name="consent_steps_count_from_one"),
        CheckConstraint("channel IN ('app', 'desk', 'phone', 'paper')", name="consent_channel_known"),
        CheckConstraint("given_by IN ('self', 'guardian', 'proxy')", name="consent_giver_known"),
        CheckConstraint("(given_by = 'self') = (by_person_id = person_id)", name="nobody_consents_under_anothers_name"),
    )


class AskedAgain(Base):
    """A guardian's word about which a child was asked when it turned fourteen: once."""

    __tablename__ = "asked_again"

    consent_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("consents.id"), primary_key=True)
    asked_at: Mapped[Made]
