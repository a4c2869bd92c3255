"""What identity announces."""

from __future__ import annotations

import uuid
from typing import Final, Literal

from shared.notices import Data, Notice, NoticeType
from shared.texts import say


class ConsentSaid(Data):
    """For which purpose, and which version of its words."""

    purpose: str
    version: int


class SessionRevoked(Data):
    """Why a session ended without its owner saying so."""

    reason: Literal["reused"]


_SUBJECT: Final = say("the word in the ledger of consents", "授权记录")
_EXAMPLE: Final = {"purpose": "health", "version": 1}

TYPES: Final = (
    NoticeType(
        "identity.consent.given",
        ConsentSaid,
        _SUBJECT,
        say(
            "Somebody consented to a purpose, or a guardian or proxy did for them.",
            "本人、监护人或代办人同意了某项用途。",
        ),
        _EXAMPLE,
    ),
    NoticeType(
        "identity.consent.withdrawn",
        ConsentSaid,
        _SUBJECT,
        say("A consent was taken back; it counts from this moment.", "同意已撤回，即时生效。"),
        _EXAMPLE,
    ),
    NoticeType(
        "identity.session.revoked",
        SessionRevoked,
        say("the session", "登录会话"),
        say(
            "A device's refresh token was used a second time: somebody may have copied it, so the login there is over.",
            "某设备的刷新令牌被重复使用，可能已泄露，该登录已终止。",
        ),
        {"reason": "reused"},
    ),
)


def consent_given(consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int) -> Notice:
    """Somebody consented to a purpose. Who they are, and who said it for them, stays in the ledger of consents."""
    return Notice(
        "identity.consent.given", community, consent_id, (holder_no,), {"purpose": purpose, "version": version}
    )


def consent_withdrawn(consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int) -> Notice:
    """Somebody took a consent back."""
    return Notice(
        "identity.consent.withdrawn", community, consent_id, (holder_no,), {"purpose": purpose, "version": version}
    )


def session_revoked(session_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """Somebody's login ended because its token came twice."""
    return Notice("identity.session.revoked", community, session_id, (holder_no,), {"reason": "reused"})
