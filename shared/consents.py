"""Who has consented to what: the newest word of each person about each purpose, as far as it counts today."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from shared.db import Tx
from shared.purposes import PURPOSES

_GIVEN = """
    SELECT p.id, w.purpose
    FROM unnest($1::uuid[]) AS p(id) CROSS JOIN unnest($2::text[], $3::int[]) AS w(purpose, version)
    CROSS JOIN LATERAL (
        SELECT c.given, c.version, c.until FROM consents c WHERE c.person_id = p.id AND c.purpose = w.purpose
        ORDER BY c.step DESC LIMIT 1
    ) newest
    WHERE newest.given AND newest.version >= w.version AND (newest.until IS NULL OR newest.until > now())
"""


async def given(tx: Tx, person_ids: Sequence[uuid.UUID], purpose: str) -> set[uuid.UUID]:
    """Which of these people consent to this purpose as it reads today."""
    return {person for person, purposes in (await of(tx, person_ids, [purpose])).items() if purpose in purposes}


async def of(tx: Tx, person_ids: Sequence[uuid.UUID], purposes: Sequence[str]) -> dict[uuid.UUID, frozenset[str]]:
    """To which of these purposes each of these people consents; who consents to none is missing."""
    if not person_ids or not purposes:
        return {}
    rows = await tx.fetch(_GIVEN, list(person_ids), list(purposes), [PURPOSES[one].version for one in purposes])
    found: dict[uuid.UUID, set[str]] = {}
    for person, purpose in rows:
        found.setdefault(person, set()).add(purpose)
    return {person: frozenset(several) for person, several in found.items()}
