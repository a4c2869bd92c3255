"""Other systems: their keys, where notices are sent, what was sent, who reads by name, and the open feed of slots."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment


class PartnerKey(Base):
    """What a partner's system shows at the gateway, kept as a hash, and how far it reaches."""

    __tablename__ = "partner_keys"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), index=True)
    name: Mapped[str]
    key_hash: Mapped[Bytes]
    types: Mapped[list[str]]
    community: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    place_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("places.id"))
    operations: Mapped[list[str]]
    made_by: Mapped[uuid.UUID | None]
    made_at: Mapped[Made]
    last_used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]

    __table_args__ = (UniqueConstraint("key_hash", name="one_key_of_each_secret"),)


class Endpoint(Base):
    """An address that wants notices, and the secrets with which they are signed.

    It hears what was stamped behind `since`; up to `position`, deliveries have been made out. `failing_since` is the first
    failure after the last success; nothing is sent before `throttled_until`.
    """

    __tablename__ = "endpoints"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), index=True)
    key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("partner_keys.id"), index=True)
    community: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    url: Mapped[str]
    types: Mapped[list[str]]
    ordering: Mapped[str] = mapped_column(server_default=text("'best_effort'"))
    description: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default=text("'unproven'"))
    reason: Mapped[str | None]
    secret_sealed: Mapped[Bytes]
    previous_sealed: Mapped[Bytes | None]
    previous_until: Mapped[Moment | None]
    seed_sealed: Mapped[Bytes]
    public_key: Mapped[str]
    since: Mapped[Big]
    position: Mapped[Big]
    failing_since: Mapped[Moment | None]
    throttled_until: Mapped[Moment | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("ordering IN ('best_effort', 'strict')", name="endpoint_ordering_known"),
        CheckConstraint("state IN ('unproven', 'enabled', 'disabled')", name="endpoint_state_known"),
        CheckConstraint("(state = 'disabled') = (reason IS NOT NULL)", name="what_is_disabled_has_its_reason"),
        CheckConstraint("since <= position", name="an_endpoint_hears_from_its_beginning_on"),
    )


class Delivery(Base):
    """One notice for one endpoint. This row says what is due; whoever calls holds it until `leased_until`."""

    __tablename__ = "deliveries"

    id: Mapped[Id]
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("endpoints.id", ondelete="CASCADE"))
    community: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default=text("'notice'"))
    notice_id: Mapped[uuid.UUID]
    position: Mapped[Big | None]
    state: Mapped[str] = mapped_column(server_default=text("'due'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[Made]
    leased_until: Mapped[Moment | None]
    made_at: Mapped[Made]
    done_at: Mapped[Moment | None]

    __table_args__ = (
        UniqueConstraint("endpoint_id", "notice_id", name="one_delivery_per_notice"),
        CheckConstraint("kind IN ('notice', 'test', 'challenge')", name="delivery_kind_known"),
        CheckConstraint("state IN ('due', 'delivered', 'failed')", name="delivery_state_known"),
        CheckConstraint("(kind = 'notice') = (position IS NOT NULL)", name="a_notice_has_its_position"),
        CheckConstraint("(state = 'due') = (done_at IS NULL)", name="what_is_done_is_not_due"),
        Index("deliveries_due_idx", "endpoint_id", "due_at", "position", postgresql_where=text("state = 'due'")),
        Index("deliveries_in_order_idx", "endpoint_id", "position", postgresql_where=text("state = 'due'")),
        Index("deliveries_leased_idx", "endpoint_id", postgresql_where=text("leased_until IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 70}},
    )


class Attempt(Base):
    """One call and what came back: the beginning of the answer, or why there was none."""

    __tablename__ = "attempts"

    no: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), index=True)
    made_at: Mapped[Made]
    status: Mapped[int | None]
    error: Mapped[str | None]
    latency_ms: Mapped[int]
    answer: Mapped[str | None]


class Consumer(Base):
    """A reader known by name. What it has dealt with is committed; what it was lent comes back when the lease ends."""

    __tablename__ = "consumers"

    id: Mapped[Id]
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    name: Mapped[str]
    types: Mapped[list[str]]
    community: Mapped[str]
    position: Mapped[Big]
    lease: Mapped[uuid.UUID | None]
    leased_until: Mapped[Moment | None]
    leased_to: Mapped[Big | None]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("account_no", "name", name="one_consumer_per_name"),
        CheckConstraint("(leased_until IS NULL) = (leased_to IS NULL)", name="a_lease_says_how_far_and_until_when"),
    )


class OpenSlot(Base):
    """A slot as the open feed tells it, with the number of its last change."""

    __tablename__ = "open_slots"

    slot_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    community: Mapped[str]
    change_no: Mapped[Big]
    fingerprint: Mapped[Big]
    body: Mapped[dict[str, Any] | None]
    ends_at: Mapped[Moment]
    changed_at: Mapped[Made]

    __table_args__ = (UniqueConstraint("change_no", name="one_slot_per_change"),)


class PartnerHead(Base):
    """The last change number given, and the last position that is no longer read; whoever locks this row counts on."""

    __tablename__ = "partner_head"

    is_the_one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    change_no: Mapped[Big] = mapped_column(server_default=text("0"))
    forgotten: Mapped[Big] = mapped_column(server_default=text("0"))

    __table_args__ = (CheckConstraint("is_the_one", name="one_partner_head"),)
