"""What identity announces."""

from __future__ import annotations

import uuid

from shared.notices import Notice


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
