"""Children's rooms."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
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
            UNION ALL SELECT id, 'childcare.room.strained' FROM handovers
                      WHERE reasons && '{room_full,too_few_carers,no_carer_recorded}'
            UNION ALL SELECT id, 'childcare.room.closed' FROM head_counts WHERE incident_id IS NULL) f
        WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = f.id AND n.type = f.type)""",
    "nothing was announced of children's rooms that is not there": """
        SELECT n.subject FROM notices n
        WHERE n.type LIKE 'childcare.%' AND NOT EXISTS (
            SELECT 1 FROM (
                SELECT id, 'visit' AS thing FROM visits
                UNION ALL SELECT id, 'child' FROM handovers UNION ALL SELECT id, 'collector' FROM turned_away
                UNION ALL SELECT id, 'incident' FROM incidents UNION ALL SELECT id, 'room' FROM head_counts
                UNION ALL SELECT id, 'room' FROM handovers UNION ALL SELECT id, 'room' FROM duties
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
}
