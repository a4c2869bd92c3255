"""How staff log in: passwords, invitations to set one, second factors, and codes on their way to a client."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, ForeignKey, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Made, Moment


class Password(Base):
    """An account's password, as Argon2id writes its hash."""

    __tablename__ = "passwords"

    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), primary_key=True)
    hash: Mapped[str]
    set_at: Mapped[Made]


class Invitation(Base):
    """May set an account's password once; the newest is the only one. Only a hash of its code is kept."""

    __tablename__ = "invitations"

    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), primary_key=True)
    code_hash: Mapped[Bytes]
    made_by: Mapped[Big | None]
    made_at: Mapped[Made]
    expires_at: Mapped[Moment]

    __table_args__ = (UniqueConstraint("code_hash", name="one_invitation_per_code"),)


class LoginDelay(Base):
    """How often in a row somebody failed to log in by a name or from an address, and when the next try is heard."""

    __tablename__ = "login_delays"

    key: Mapped[Bytes] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    tried_at: Mapped[Made]
    until: Mapped[Made]

    __table_args__ = (CheckConstraint("failures >= 0", name="failures_are_counted_up"),)


class AuthorizationCode(Base):
    """A login on its way to a client: used once, within a minute, by who began it. `session_id` is what it opened."""

    __tablename__ = "authorization_codes"

    code_hash: Mapped[Bytes] = mapped_column(primary_key=True)
    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    client: Mapped[str]
    redirect_uri: Mapped[str]
    challenge: Mapped[str]
    made_at: Mapped[Made]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]
    session_id: Mapped[uuid.UUID | None]
    has_second: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        CheckConstraint("session_id IS NULL OR used_at IS NOT NULL", name="a_session_comes_of_a_used_code"),
    )


class SecondFactor(Base):
    """The secret that an account shares with an authenticator app (TOTP, RFC 6238), sealed."""

    __tablename__ = "second_factors"

    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"), primary_key=True)
    secret_sealed: Mapped[Bytes]
    enrolled_at: Mapped[Made]


class UsedStep(Base):
    """A half minute whose code an account has used: it does not open a second time."""

    __tablename__ = "used_steps"

    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    step: Mapped[Big]
    used_at: Mapped[Made]

    __table_args__ = (PrimaryKeyConstraint("account_no", "step", name="a_step_opens_once"),)


class RecoveryCode(Base):
    """Opens once when the authenticator app is lost; only a keyed hash is kept."""

    __tablename__ = "recovery_codes"

    account_no: Mapped[Big] = mapped_column(ForeignKey("accounts.no"))
    code_hash: Mapped[Bytes]
    used_at: Mapped[Moment | None]

    __table_args__ = (PrimaryKeyConstraint("account_no", "code_hash", name="recovery_codes_differ"),)
