"""What other systems are told."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
    "every endpoint has a delivery for whatever it was to hear of": """
        SELECT e.id FROM endpoints e JOIN partner_keys k ON k.id = e.key_id
        JOIN notices n ON n.position > e.since AND n.position <= e.position AND starts_with(n.community, e.community)
        WHERE e.state = 'enabled' AND k.place_id IS NULL AND n.occurred_at > now() - interval '29 days'
          AND EXISTS (SELECT 1 FROM unnest(e.types) t
                      WHERE t IN ('*', n.type) OR (t LIKE '%.*' AND starts_with(n.type, left(t, -1))))
          AND EXISTS (SELECT 1 FROM unnest(k.types) t
                      WHERE t IN ('*', n.type) OR (t LIKE '%.*' AND starts_with(n.type, left(t, -1))))
          AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint_id = e.id AND d.notice_id = n.id)""",
    "nothing is delivered that was not announced": """
        SELECT d.id FROM deliveries d
        WHERE d.kind = 'notice' AND NOT EXISTS (
            SELECT 1 FROM notices n WHERE n.position = d.position AND n.id = d.notice_id)""",
    "no endpoint hears of what is outside its region or its key's": """
        SELECT e.id FROM endpoints e LEFT JOIN partner_keys k ON k.id = e.key_id
        WHERE e.state = 'enabled' AND (NOT starts_with(e.community, k.community) OR k.revoked_at IS NOT NULL)
        UNION SELECT d.id FROM deliveries d JOIN notices n ON n.position = d.position
        WHERE d.kind = 'notice' AND NOT starts_with(n.community, d.community)""",
    "every endpoint that was disabled was announced": """
        SELECT e.id FROM endpoints e WHERE e.reason IN ('gone', 'failing') AND NOT EXISTS (
            SELECT 1 FROM notices n WHERE n.subject = e.id AND n.type = 'partners.endpoint.disabled')""",
    "no change of an open slot is numbered beyond the head": """
        SELECT o.slot_id FROM open_slots o, partner_head h WHERE o.change_no > h.change_no""",
}
