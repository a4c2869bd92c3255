"""`linli doctor`: every invariant, recomputed from the rows. A check is a query that returns what is wrong."""

from __future__ import annotations

from typing import Final

from shared.db import Database, Tx

CHECKS: Final = {
    "taken counts the units of active claims": """
        SELECT s.id FROM slots s LEFT JOIN claims c ON c.slot_id = s.id AND c.is_active
        GROUP BY s.id HAVING s.taken <> coalesce(sum(c.units), 0)""",
    "taken_offline counts those of the desk, the phone and paper": """
        SELECT s.id FROM slots s LEFT JOIN claims c ON c.slot_id = s.id AND c.is_active
               AND c.channel IN ('desk', 'phone', 'paper')
        GROUP BY s.id HAVING s.taken_offline <> coalesce(sum(c.units), 0)""",
    "no slot is overfull": "SELECT id FROM slots WHERE taken > capacity OR taken < 0",
    "nobody is in two places at once": """
        SELECT c.id FROM claims c JOIN claims d ON d.holder_no = c.holder_no AND d.id > c.id AND d.is_active
               AND d.is_exclusive AND d.starts_at < c.ends_at AND c.starts_at < d.ends_at
        WHERE c.is_active AND c.is_exclusive AND c.ends_at > now() - interval '60 days'""",
    "nobody has two places in one slot": """
        SELECT slot_id FROM claims WHERE is_active GROUP BY slot_id, holder_no HAVING count(*) > 1""",
    "no resource carries two slots at once": """
        SELECT s.id FROM slots s JOIN slots t ON t.resource_no = s.resource_no AND t.id > s.id AND t.state = 'open'
               AND t.is_exclusive_resource AND s.starts_at < t.ends_at AND t.starts_at < s.ends_at
        WHERE s.state = 'open' AND s.is_exclusive_resource AND s.ends_at > now() - interval '60 days'""",
    "claims agree with their slots": """
        SELECT c.id FROM claims c JOIN slots s ON s.id = c.slot_id
        WHERE c.starts_at <> s.starts_at OR c.ends_at <> s.ends_at OR c.community <> s.community
           OR c.service <> s.service OR c.place_id <> s.place_id""",
    "groups are confirmed whole": """
        SELECT group_id FROM claims WHERE is_active GROUP BY group_id
        HAVING bool_or(state = 'held') AND bool_or(state IN ('confirmed', 'attended'))""",
    "every hold is noted on its slot": """
        SELECT c.id FROM claims c JOIN slots s ON s.id = c.slot_id
        WHERE c.state = 'held' AND (s.next_lapse IS NULL OR s.next_lapse > c.held_until)""",
    "no hold outlives its time by more than a minute": """
        SELECT id FROM claims WHERE state = 'held' AND held_until < now() - interval '60 seconds'""",
    "every confirmed claim in a facility has its reservation": """
        SELECT c.id FROM claims c LEFT JOIN reservations r ON r.id = c.resource_id AND r.group_id = c.group_id
        WHERE c.service = 'booking' AND r.id IS NULL
          AND (c.resource_id IS NOT NULL OR c.state IN ('confirmed', 'attended', 'no_show'))""",
    "every reservation has its claims": """
        SELECT r.id FROM reservations r
        WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = r.group_id AND c.resource_id = r.id)""",
    "every reservation was announced": """
        SELECT r.id FROM reservations r
        WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = r.id AND n.type = 'booking.reservation.made')""",
    "no reservation was announced that is not there": """
        SELECT n.subject FROM notices n LEFT JOIN reservations r ON r.id = n.subject
        WHERE n.type LIKE 'booking.reservation.%' AND r.id IS NULL""",
    "every confirmed claim in a children's room has its visit": """
        SELECT c.id FROM claims c LEFT JOIN visits v ON v.id = c.resource_id AND v.group_id = c.group_id
        WHERE c.service = 'childcare' AND v.id IS NULL
          AND (c.resource_id IS NOT NULL OR c.state IN ('confirmed', 'attended', 'no_show'))""",
    "every visit has its claims": """
        SELECT v.id FROM visits v
        WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = v.group_id AND c.resource_id = v.id)""",
    "what happened in children's rooms was announced": """
        SELECT f.id FROM (
            SELECT id, 'childcare.visit.made' AS type FROM visits
            UNION ALL SELECT id, CASE direction WHEN 'in' THEN 'childcare.child.arrived' ELSE 'childcare.child.collected' END
                      FROM handovers
            UNION ALL SELECT id, 'childcare.collector.refused' FROM turned_away
            UNION ALL SELECT id, 'childcare.incident.opened' FROM incidents
            UNION ALL SELECT id, 'childcare.room.closed' FROM head_counts WHERE incident_id IS NULL) f
        WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = f.id AND n.type = f.type)""",
    "nothing was announced of children's rooms that is not there": """
        SELECT n.subject FROM notices n
        WHERE n.type LIKE 'childcare.%' AND NOT EXISTS (
            SELECT 1 FROM (
                SELECT id, 'visit' AS thing FROM visits
                UNION ALL SELECT id, 'child' FROM handovers UNION ALL SELECT id, 'collector' FROM turned_away
                UNION ALL SELECT id, 'incident' FROM incidents UNION ALL SELECT id, 'room' FROM head_counts
                UNION ALL SELECT claim_id, 'collection' FROM late_collections) f
            WHERE f.id = n.subject AND f.thing = split_part(n.type, '.', 2))
          AND n.type <> 'childcare.claim.released'""",
    "each step for a child who was not collected was announced once": """
        SELECT l.claim_id FROM late_collections l
        WHERE (SELECT count(*) FROM notices n WHERE n.subject = l.claim_id AND n.type = 'childcare.collection.missed'
               AND (n.data->>'step')::int = l.step) <> 1""",
    "who was brought to a room and not collected is inside": """
        SELECT s.place_id FROM room_states s
        LEFT JOIN (SELECT place_id, count(*) AS children, count(*) FILTER (WHERE stays) AS accompanied
                   FROM insides GROUP BY place_id) i ON i.place_id = s.place_id
        LEFT JOIN (SELECT place_id, sum(CASE direction WHEN 'in' THEN 1 ELSE -1 END) AS children
                   FROM handovers GROUP BY place_id) o ON o.place_id = s.place_id
        LEFT JOIN (SELECT place_id, count(*) AS carers FROM duties WHERE ended_at IS NULL GROUP BY place_id) d
               ON d.place_id = s.place_id
        WHERE s.children <> coalesce(i.children, 0) OR s.children <> coalesce(o.children, 0)
           OR s.accompanied <> coalesce(i.accompanied, 0) OR s.carers <> coalesce(d.carers, 0)""",
    "no child is inside without having been brought": """
        SELECT i.claim_id FROM insides i LEFT JOIN room_states s ON s.place_id = i.place_id
        WHERE s.place_id IS NULL OR 1 <> (
            SELECT sum(CASE direction WHEN 'in' THEN 1 ELSE -1 END) FROM handovers o WHERE o.claim_id = i.claim_id)""",
    "no child is inside two rooms": "SELECT child_no::text FROM insides GROUP BY child_no HAVING count(*) > 1",
    "no claim of a child who came was given back": """
        SELECT c.id FROM handovers o JOIN claims c ON c.id = o.claim_id
        WHERE o.direction = 'in' AND o.reasons = '{}' AND c.state <> 'attended'""",
    "a one-time code opened the door once, and is used up": """
        SELECT once_id FROM handovers WHERE once_id IS NOT NULL GROUP BY once_id HAVING count(*) > 1
        UNION ALL SELECT c.id FROM collectors c JOIN handovers o ON o.once_id = c.id WHERE c.used_at IS NULL
        UNION ALL SELECT c.id FROM collectors c
                  WHERE c.used_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM handovers o WHERE o.collector_id = c.id)""",
    "every report of a device has its answer": "SELECT id FROM uploads WHERE answer IS NULL",
    "a granted key points to a group of the ledger": """
        SELECT a.group_id FROM asks a WHERE a.state = 'granted'
        AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = a.group_id)""",
    "waiting counts the asks on the list": """
        SELECT s.id FROM slots s LEFT JOIN waits w ON w.slot_id = s.id
        GROUP BY s.id HAVING s.waiting <> count(w.group_id)""",
    "who waits has an ask that waits": """
        SELECT w.group_id FROM waits w LEFT JOIN asks a ON a.account_no = w.account_no AND a.key = w.key
        WHERE a.group_id IS DISTINCT FROM w.group_id OR a.state NOT IN ('waiting', 'granted')""",
    "an ask that waits is on a list": """
        SELECT a.group_id FROM asks a WHERE a.state = 'waiting'
        AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.group_id = a.group_id)""",
    "no claim is active in a slot that was closed long ago": """
        SELECT c.id FROM claims c JOIN slots s ON s.id = c.slot_id
        WHERE c.state IN ('held', 'confirmed') AND s.state <> 'open' AND s.ends_at > now()
          AND c.made_at < now() - interval '10 minutes'""",
    "positions of notices have no gap": """
        SELECT position::text FROM (
            SELECT position, lag(position, 1, position - 1) OVER (ORDER BY position) AS before
            FROM notices WHERE position IS NOT NULL) p
        WHERE position <> before + 1""",
    "the head is the last position": """
        SELECT h.position::text FROM notice_head h
        WHERE h.position <> coalesce((SELECT max(position) FROM notices), h.position)""",
    "persons and their holders agree": """
        SELECT p.id FROM persons p JOIN holders h ON h.id = p.id
        WHERE h.name <> p.name OR h.born IS DISTINCT FROM p.born OR h.community <> p.community OR h.level <> p.level""",
    "every word about a purpose was announced": """
        SELECT c.id FROM consents c WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = c.id
        AND n.type = CASE WHEN c.given THEN 'identity.consent.given' ELSE 'identity.consent.withdrawn' END)""",
    "no consent was announced that is not there": """
        SELECT n.subject FROM notices n LEFT JOIN consents c ON c.id = n.subject
        WHERE n.type LIKE 'identity.consent.%' AND c.id IS NULL""",
    "words about a purpose follow one another, and each says something new": """
        SELECT id FROM (
            SELECT id, step, given, version, lag(step, 1, 0) OVER said AS before, lag(given, 1, false) OVER said AS was,
                   lag(version, 1, 0) OVER said AS of
            FROM consents WINDOW said AS (PARTITION BY person_id, purpose ORDER BY step)) w
        WHERE step <> before + 1 OR (given = was AND version = of) OR (NOT given AND NOT was)""",
}
"""What must be true, and the ids of what is not."""


async def examine(url: str) -> list[tuple[str, list[str]]]:
    """Every check with the ids of what it found wrong, all in one snapshot."""
    db = Database.connect(url, pool_size=1, command_seconds=600)
    try:
        return await db.read(_examine)
    finally:
        await db.close()


async def _examine(tx: Tx) -> list[tuple[str, list[str]]]:
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return [(name, [str(row[0]) for row in await tx.fetch(query)]) for name, query in CHECKS.items()]
