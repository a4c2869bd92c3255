"""Events and courses."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
    "every confirmed claim in an event has its registration": """
        SELECT c.id FROM claims c LEFT JOIN registrations r ON r.id = c.resource_id AND r.group_id = c.group_id
        WHERE c.service = 'events' AND r.id IS NULL
          AND (c.resource_id IS NOT NULL OR c.state IN ('confirmed', 'attended', 'no_show'))""",
    "every registration has its claims, in slots of its event": """
        SELECT r.id FROM registrations r
        WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = r.group_id AND c.resource_id = r.id)
           OR EXISTS (SELECT 1 FROM claims c JOIN slots s ON s.id = c.slot_id
                      WHERE c.resource_id = r.id AND s.subject_id IS DISTINCT FROM r.event_id)""",
    "every registration was announced": """
        SELECT r.id FROM registrations r
        WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = r.id AND n.type = 'events.registration.made')""",
    "no registration was announced that is not there": """
        SELECT n.subject FROM notices n LEFT JOIN registrations r ON r.id = n.subject
        WHERE n.type LIKE 'events.registration.%' AND r.id IS NULL""",
    "every published event was announced, and every cancelled one": """
        SELECT e.id FROM events e
        WHERE (e.place_id IS NOT NULL AND NOT EXISTS (
                  SELECT 1 FROM notices n WHERE n.subject = e.id AND n.type = 'events.event.published'))
           OR (e.state = 'cancelled' AND e.place_id IS NOT NULL AND NOT EXISTS (
                  SELECT 1 FROM notices n WHERE n.subject = e.id AND n.type = 'events.event.cancelled'))""",
    "no event was announced that is not there": """
        SELECT n.subject FROM notices n LEFT JOIN events e ON e.id = n.subject
        WHERE n.type LIKE 'events.event.%' AND (e.id IS NULL OR e.state = 'draft')""",
    "every session of a published event is a slot at its venue": """
        SELECT x.id FROM events e JOIN event_sessions x ON x.event_id = e.id LEFT JOIN slots s ON s.id = x.id
        WHERE e.state IN ('published', 'changed', 'held') AND NOT x.is_cancelled
          AND (s.id IS NULL OR s.subject_id <> e.id OR s.service <> 'events' OR s.place_id <> e.place_id
               OR s.starts_at <> x.starts_at OR s.ends_at <> x.ends_at OR s.state = 'cancelled')""",
    "no session can be claimed that does not take place": """
        SELECT s.id FROM slots s LEFT JOIN events e ON e.id = s.subject_id LEFT JOIN event_sessions x ON x.id = s.id
        WHERE s.service = 'events' AND s.state = 'open' AND s.ends_at > now()
          AND (x.id IS NULL OR x.is_cancelled OR e.state NOT IN ('published', 'changed', 'held'))""",
    "a published event has its venue, or its organiser was told": """
        SELECT e.id FROM events e
        WHERE e.state IN ('published', 'changed') AND e.ends_at > now() AND e.venue_lost_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = e.venue_group_id AND c.place_id = e.place_id
                          AND (c.state IN ('confirmed', 'attended') OR c.left_at > now() - interval '10 minutes'))""",
    "no venue serves two events": """
        SELECT venue_group_id FROM events WHERE state NOT IN ('draft', 'cancelled')
        GROUP BY venue_group_id HAVING count(*) > 1""",
    "a lost venue was announced": """
        SELECT e.id FROM events e WHERE e.venue_lost_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM notices n WHERE n.subject = e.id AND n.type = 'events.event.venue_lost')""",
    "only those who came said how it was": """
        SELECT f.id FROM feedback f WHERE NOT EXISTS (
            SELECT 1 FROM claims c JOIN slots s ON s.id = c.slot_id
            WHERE s.subject_id = f.event_id AND c.holder_no = f.holder_no AND c.state = 'attended')""",
}
