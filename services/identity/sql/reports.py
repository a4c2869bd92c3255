"""What a year came to, counted in the database: nobody is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.db import Tx

LOOKS = ("people.reveal", "child.read", "requests.read", "guardians.read", "people.ledger")
"""What the staff writes down when it looks at what is known of somebody."""


@dataclass(frozen=True, slots=True)
class Line:
    """How often something happened, and to how many children; None where they are not told apart."""

    group: str
    role: str | None
    purpose: str
    outcome: str
    count: int
    minors: int | None


_IN = "EXISTS (SELECT FROM unnest($1::text[]) AS t(prefix) WHERE starts_with({0}.community, t.prefix))"
_ROLE = """LEFT JOIN LATERAL (
        SELECT role FROM roles r WHERE r.account_no = {0}.account_no AND starts_with({0}.community, r.prefix)
        AND r.starts_at <= {0}.{1} AND (r.ends_at IS NULL OR r.ends_at > {0}.{1})
        ORDER BY length(r.prefix) DESC, r.role LIMIT 1) r ON true"""

_MINORS = f"""
    SELECT 'looks', r.role, e.action, CASE WHEN e.data ? 'approved_by' THEN 'approved' ELSE 'not_asked' END,
           count(*), count(DISTINCT e.person_id)
    FROM audit e JOIN persons p ON p.id = e.person_id {_ROLE.format("e", "at")}
    WHERE e.at >= $2 AND e.at < $3 AND e.action = ANY($4::text[]) AND r.role IS NOT NULL AND {_IN.format("e")}
      AND (birthday(p.born, 18) > e.at OR e.action = 'child.read')
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 'asked', r.role, 'people.reveal', CASE v.state WHEN 'allowed' THEN 'approved' WHEN 'denied' THEN 'refused'
           ELSE 'unanswered' END, count(*), count(DISTINCT v.person_id)
    FROM reveals v JOIN persons p ON p.id = v.person_id {_ROLE.format("v", "made_at")}
    WHERE v.made_at >= $2 AND v.made_at < $3 AND v.needs_approval AND {_IN.format("v")} AND birthday(p.born, 18) > v.made_at
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 'consents', NULL, c.purpose, CASE WHEN c.given THEN 'given' ELSE 'withdrawn' END,
           count(*), count(DISTINCT c.person_id)
    FROM consents c WHERE c.at >= $2 AND c.at < $3 AND c.given_by = 'guardian' AND {_IN.format("c")}
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 'incidents', NULL, i.kind, i.severity, count(*), NULL
    FROM incidents i WHERE i.at >= $2 AND i.at < $3 AND {_IN.format("i")}
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
"""


async def minors(tx: Tx, prefixes: Sequence[str], first: datetime, until: datetime) -> list[Line]:
    """What was done with what is known of children in these regions: looks, asks, guardians' words, incidents."""
    return [Line(*row) for row in await tx.fetch(_MINORS, list(prefixes), first, until, list(LOOKS))]
