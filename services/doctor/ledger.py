"""The ledger, its lists and its notices."""

from __future__ import annotations

from typing import Final

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
    "nobody has two places in one slot that is no stock": """
        SELECT slot_id FROM claims WHERE is_active AND (is_counted OR is_exclusive)
        GROUP BY slot_id, holder_no HAVING count(*) > 1""",
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
    "a notice that can be read knows the places of its slots": """
        SELECT n.id FROM notices n CROSS JOIN LATERAL jsonb_array_elements_text(
            CASE jsonb_typeof(n.data->'slots') WHEN 'array' THEN n.data->'slots' ELSE '[]' END) AS named(slot)
        JOIN slots s ON s.id::text = named.slot
        WHERE n.position IS NOT NULL AND s.place_id <> ALL (n.places)""",
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
}
