"""`linli doctor`: every invariant, recomputed from the rows. A check is a query that returns what is wrong."""

from __future__ import annotations

from typing import Final

from shared.db import Database, Tx
from shared.sealed import count

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
    "every confirmed claim in a kitchen has its order": """
        SELECT c.id FROM claims c LEFT JOIN meal_orders o ON o.id = c.resource_id AND o.group_id = c.group_id
        WHERE c.service = 'elder-meals' AND o.id IS NULL
          AND (c.resource_id IS NOT NULL OR c.state IN ('confirmed', 'attended', 'no_show'))""",
    "every order takes what its lines say": """
        SELECT o.id FROM meal_orders o
        WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.resource_id = o.id AND c.slot_id = o.slot_id AND c.units = o.portions)
           OR o.portions <> (SELECT sum(l.portions) FROM meal_lines l WHERE l.order_id = o.id)
           OR EXISTS (SELECT 1 FROM meal_lines l WHERE l.order_id = o.id AND 1 <> (
                  SELECT count(*) FROM claims c JOIN slots s ON s.id = c.slot_id
                  WHERE c.resource_id = o.id AND s.subject_id = l.dish_id AND c.units = l.portions))""",
    "every order costs what its lines cost, and one line at most is subsidised": """
        SELECT o.id FROM meal_orders o JOIN meal_lines l ON l.order_id = o.id GROUP BY o.id
        HAVING sum(l.price_fen) <> o.price_fen OR sum(l.subsidy_fen) <> o.subsidy_fen
            OR sum(l.pay_fen) + o.fee_fen <> o.pay_fen OR count(*) FILTER (WHERE l.subsidy_fen > 0) > 1""",
    "what happened in kitchens and at doors was announced": """
        SELECT f.id FROM (
            SELECT id, 'elder-meals.order.made' AS type, 1 AS times FROM meal_orders
            UNION ALL SELECT order_id, 'elder-meals.order.visited', count(*) FROM meal_outcomes GROUP BY order_id
            UNION ALL SELECT standing_id, 'elder-meals.standing.refused', count(*) FROM standing_runs
                      WHERE state = 'refused' GROUP BY standing_id
            UNION ALL SELECT id, 'elder-meals.welfare.opened', 1 FROM welfare_checks
            UNION ALL SELECT check_id, 'elder-meals.welfare.escalated', count(*) FROM welfare_steps
                      WHERE kind = 'escalated' GROUP BY check_id
            UNION ALL SELECT id, 'elder-meals.welfare.closed', 1 FROM welfare_checks WHERE state = 'closed') f
        WHERE f.times <> (SELECT count(*) FROM notices n WHERE n.subject = f.id AND n.type = f.type)""",
    "nothing was announced of kitchens that is not there": """
        SELECT n.subject FROM notices n
        WHERE n.type LIKE 'elder-meals.%' AND n.type <> 'elder-meals.claim.released' AND NOT EXISTS (
            SELECT 1 FROM (
                SELECT id, 'order' AS thing FROM meal_orders
                UNION ALL SELECT id, 'standing' FROM standing_orders
                UNION ALL SELECT id, 'welfare' FROM welfare_checks) f
            WHERE f.id = n.subject AND f.thing = split_part(n.type, '.', 2))""",
    "an order's outcome was written down at its door": """
        SELECT o.id FROM meal_orders o
        WHERE (o.outcome IS NOT NULL OR EXISTS (SELECT 1 FROM meal_outcomes d WHERE d.order_id = o.id))
          AND NOT EXISTS (SELECT 1 FROM meal_outcomes d WHERE d.order_id = o.id AND d.kind = o.outcome)""",
    "a door that stayed shut was looked after, or its elder was away": """
        SELECT d.id FROM meal_outcomes d JOIN meal_orders o ON o.id = d.order_id
        WHERE d.kind = 'unanswered'
          AND NOT EXISTS (SELECT 1 FROM absences a WHERE a.person_id = o.person_id AND o.day BETWEEN a.first AND a.last
                          AND a.made_at >= o.made_at)
          AND NOT EXISTS (SELECT 1 FROM welfare_checks w WHERE w.person_id = o.person_id
                          AND w.made_at <= d.made_at + interval '1 minute' -- that one may have committed first
                          AND (w.closed_at IS NULL OR w.closed_at >= d.made_at))""",
    "no elder has two welfare checks open": """
        SELECT person_id FROM welfare_checks WHERE state = 'open' GROUP BY person_id HAVING count(*) > 1""",
    "every step of a welfare check that was due was said": """
        SELECT w.id FROM welfare_checks w
        WHERE w.rung <> (SELECT count(*) FROM welfare_steps s WHERE s.check_id = w.id AND s.kind = 'escalated')
           OR (w.state = 'open' AND w.due_at IS NULL AND w.rung < jsonb_array_length(w.ladder->'rungs'))""",
    "a closed welfare check was closed by somebody": """
        SELECT w.id FROM welfare_checks w WHERE w.state = 'closed' AND NOT EXISTS (
            SELECT 1 FROM welfare_steps s WHERE s.check_id = w.id AND s.kind = 'closed' AND s.outcome = w.outcome
            AND s.account_no IS NOT NULL)""",
    "a dish's stock is what the menu says": """
        SELECT m.slot_id FROM menu_dishes m JOIN menus h ON h.place_id = m.place_id AND h.day = m.day
        JOIN slots s ON s.id = m.slot_id
        WHERE s.subject_id <> m.dish_id OR s.place_id <> m.place_id OR s.is_counted OR s.is_exclusive
           OR (s.state = 'open' AND s.starts_at > now()
               AND (NOT m.is_offered OR NOT h.is_published OR s.capacity <> m.portions))""",
    "a standing order that was answered has its order": """
        SELECT r.standing_id FROM standing_runs r JOIN standing_orders t ON t.id = r.standing_id
        LEFT JOIN meal_orders o ON o.id = r.order_id
        WHERE r.state = 'ordered' AND (o.id IS NULL OR o.person_id <> t.person_id OR o.day <> r.day)""",
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
    "a notice that can be read knows the places of its slots": """
        SELECT n.id FROM notices n CROSS JOIN LATERAL jsonb_array_elements_text(
            CASE jsonb_typeof(n.data->'slots') WHEN 'array' THEN n.data->'slots' ELSE '[]' END) AS named(slot)
        JOIN slots s ON s.id::text = named.slot
        WHERE n.position IS NOT NULL AND s.place_id <> ALL (n.places)""",
    "every report of a device has its answer": "SELECT id FROM uploads WHERE answer IS NULL",
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
           OR (e.state = 'cancelled' AND NOT EXISTS (
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
    "links of the audit have no gap": """
        SELECT position::text FROM (
            SELECT position, lag(position, 1, position - 1) OVER (ORDER BY position) AS before
            FROM audit WHERE position IS NOT NULL) p
        WHERE position <> before + 1""",
    "the audit's head is its last link": """
        SELECT h.position::text FROM audit_head h JOIN audit e ON e.position = (SELECT max(position) FROM audit)
        WHERE h.position <> e.position OR h.hash <> e.hash""",
    "every signed head of the audit is about its link, and was announced": """
        SELECT s.id FROM audit_heads s LEFT JOIN audit e ON e.position = s.position
        WHERE e.hash <> s.hash OR NOT EXISTS (
            SELECT 1 FROM notices n WHERE n.subject = s.id AND n.type = 'identity.audit.head_signed')""",
    "whatever was revealed was allowed, written down and told": """
        SELECT v.id FROM reveals v
        WHERE v.seen_at IS NOT NULL AND (
            NOT EXISTS (SELECT 1 FROM audit e WHERE e.action = 'people.reveal' AND e.person_id = v.person_id
                        AND e.data->>'reveal_id' = v.id::text)
            OR NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = v.id AND n.type = 'identity.person.revealed')
            OR (v.needs_approval AND v.decided_by IS NULL))""",
    "nobody was told of a reveal that is not there": """
        SELECT n.subject FROM notices n LEFT JOIN reveals v ON v.id = n.subject
        WHERE n.type IN ('identity.person.revealed', 'identity.reveals.exceeded', 'identity.reveal.asked') AND v.id IS NULL""",
    "nothing is left of who is closed": """
        SELECT p.id FROM persons p JOIN holders h ON h.id = p.id
        WHERE p.closed_at IS NOT NULL AND (
            h.kind <> 'closed' OR h.household_no IS NOT NULL
            OR EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = p.id AND (a.closed_at IS NULL OR a.name <> p.name
                       OR EXISTS (SELECT 1 FROM logins l WHERE l.account_no = a.no)
                       OR EXISTS (SELECT 1 FROM sessions s WHERE s.account_no = a.no
                                  AND (s.revoked_at IS NULL OR s.device IS NOT NULL))
                       OR EXISTS (SELECT 1 FROM passwords w WHERE w.account_no = a.no)
                       OR EXISTS (SELECT 1 FROM second_factors f WHERE f.account_no = a.no)
                       OR EXISTS (SELECT 1 FROM calendars c WHERE c.account_no = a.no)))
            OR EXISTS (SELECT 1 FROM relations r WHERE p.id IN (r.actor_id, r.person_id))
            OR EXISTS (SELECT 1 FROM offers o WHERE p.id IN (o.actor_id, o.person_id))
            OR EXISTS (SELECT 1 FROM person_places t WHERE t.person_id = p.id)
            OR EXISTS (SELECT 1 FROM elder_profiles e WHERE e.person_id = p.id)
            OR EXISTS (SELECT 1 FROM standing_orders o WHERE o.person_id = p.id AND o.state = 'active')
            OR EXISTS (SELECT 1 FROM child_records c WHERE c.child_no = h.no)
            OR EXISTS (SELECT 1 FROM archives x JOIN requests q ON q.id = x.request_id WHERE q.person_id = p.id)
            OR EXISTS (SELECT 1 FROM waits w WHERE w.holders @> ARRAY[h.no])
            OR EXISTS (SELECT 1 FROM claims c WHERE c.holder_no = h.no AND c.is_active
                       AND c.starts_at > now() + interval '1 day'))
        UNION ALL SELECT h.id FROM holders h JOIN persons p ON p.id = h.id WHERE h.kind = 'closed' AND p.closed_at IS NULL""",
    "nothing goes on for who has died": """
        SELECT p.id FROM deaths p JOIN holders h ON h.id = p.person_id WHERE h.kind NOT IN ('dead', 'closed')
            OR EXISTS (SELECT 1 FROM relations r WHERE p.person_id IN (r.actor_id, r.person_id) AND r.closed_at IS NULL)
            OR EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = p.person_id AND a.closed_at IS NULL)
            OR NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = p.id AND n.type = 'identity.death.recorded')
        UNION ALL SELECT w.id FROM welfare_checks w JOIN deaths p USING (person_id)
        WHERE w.state = 'open' AND p.settled_at IS NOT NULL
        UNION ALL SELECT h.id FROM holders h LEFT JOIN deaths p ON p.person_id = h.id WHERE h.kind = 'dead' AND p.id IS NULL""",
    "who is closed asked for it, and it was announced": """
        SELECT p.id FROM persons p
        WHERE p.closed_at IS NOT NULL AND (
            NOT EXISTS (SELECT 1 FROM requests q WHERE q.person_id = p.id AND q.kind = 'closure' AND q.state = 'done')
            OR NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = p.id AND n.type = 'identity.person.closed'))""",
    "every request was announced, and its answer": """
        SELECT q.id FROM requests q
        WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = q.id AND n.type = 'identity.request.made')
           OR (q.state IN ('done', 'denied') AND q.kind <> 'closure'
               AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = q.id AND n.type = 'identity.request.answered'))""",
    "nothing is kept longer than its table's days": "SELECT t FROM kept_too_long() AS t",
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
    "persons and their holders agree": """
        SELECT p.id FROM persons p JOIN holders h ON h.id = p.id
        WHERE h.name <> p.name OR h.born IS DISTINCT FROM p.born OR h.community <> p.community OR h.level <> p.level""",
    "everybody lives where their primary home is": """
        SELECT t.person_id FROM person_places t JOIN persons p ON p.id = t.person_id
        WHERE t.is_home AND t.ended_on IS NULL AND t.community <> p.community""",
    "administrator, security and audit are three different people": """
        SELECT r.id FROM roles r JOIN accounts a ON a.no = r.account_no
        JOIN accounts b ON b.no = a.no OR b.person_id = a.person_id
        JOIN roles o ON o.account_no = b.no AND o.role <> r.role AND o.role IN ('administrator', 'security', 'auditor')
             AND tstzrange(o.starts_at, o.ends_at) && tstzrange(r.starts_at, r.ends_at)
        WHERE r.role IN ('administrator', 'security', 'auditor')""",
    "every role that somebody granted was announced and written down": """
        SELECT r.id FROM roles r WHERE r.granted_by IS NOT NULL
          AND NOT (EXISTS (SELECT 1 FROM notices n WHERE n.subject = r.id AND n.type = 'identity.role.granted')
                   AND EXISTS (SELECT 1 FROM audit a WHERE a.action = 'roles.grant' AND a.data->>'id' = r.id::text))""",
    "every number that two people say is theirs was announced": """
        SELECT c.id FROM identity_conflicts c WHERE NOT EXISTS (
            SELECT 1 FROM notices n WHERE n.subject = c.id AND n.type = 'identity.conflict.opened')""",
    "nobody lives, and nobody may do anything, in a region that ended": """
        SELECT f.id FROM (
            SELECT id, community FROM persons
            UNION ALL SELECT id, community FROM places
            UNION ALL SELECT person_id, community FROM person_places WHERE ended_on IS NULL
            UNION ALL SELECT id, prefix FROM roles WHERE ends_at IS NULL OR ends_at > now()) f
        JOIN regions r ON r.code = f.community WHERE r.ended_on IS NOT NULL""",
    "a region that ended has one principal successor, and so on to one that stands": """
        WITH RECURSIVE follow AS (
            SELECT code, code AS reached FROM regions WHERE ended_on IS NOT NULL
            UNION SELECT f.code, c.new_code FROM follow f JOIN region_changes c ON c.old_code = f.reached AND c.is_principal)
        SELECT f.code FROM follow f JOIN regions r ON r.code = f.reached GROUP BY f.code
        HAVING NOT bool_or(r.ended_on IS NULL)""",
    "every word about a purpose was announced": """
        SELECT c.id FROM consents c WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = c.id
        AND n.type = CASE WHEN c.given THEN 'identity.consent.given' ELSE 'identity.consent.withdrawn' END)""",
    "no consent was announced that is not there": """
        SELECT n.subject FROM notices n LEFT JOIN consents c ON c.id = n.subject
        WHERE n.type LIKE 'identity.consent.%' AND c.id IS NULL""",
    "a code opened a session of its own account at most": """
        SELECT c.client FROM authorization_codes c JOIN sessions s ON s.id = c.session_id
        WHERE s.account_no <> c.account_no OR s.provider <> 'password' OR c.used_at IS NULL""",
    "every login that a copied token ended was announced to its owner": """
        SELECT s.id FROM sessions s JOIN accounts a ON a.no = s.account_no
        WHERE s.was_reused AND a.person_id IS NOT NULL
          AND 1 <> (SELECT count(*) FROM notices n WHERE n.subject = s.id AND n.type = 'identity.session.revoked')""",
    "nobody was told of a way into their account that nobody opened": """
        SELECT n.subject FROM notices n JOIN accounts o ON o.id = n.subject
        WHERE n.type = 'identity.login.changed' AND NOT EXISTS (
            SELECT 1 FROM audit a WHERE (a.action IN ('invitation.made', 'totp.removed')
                AND a.data->>'account' = n.subject::text) OR (a.action IN ('login.added', 'login.removed') AND a.account_no = o.no))""",
    "every login of staff was written down": """
        SELECT s.id FROM sessions s WHERE s.provider = 'password' AND NOT EXISTS (
            SELECT 1 FROM audit a WHERE a.action = 'staff.login' AND a.account_no = s.account_no
            AND a.data->>'session' = s.id::text)""",
    "who logged in with a password and a second factor has one": """
        SELECT s.id FROM sessions s LEFT JOIN second_factors f ON f.account_no = s.account_no
        WHERE s.has_second AND s.provider = 'password' AND s.revoked_at IS NULL AND f.account_no IS NULL""",
    "recovery codes belong to a second factor": """
        SELECT r.account_no FROM recovery_codes r LEFT JOIN second_factors f ON f.account_no = r.account_no
        WHERE f.account_no IS NULL""",
    "who may set or has a password has a name to log in by": """
        SELECT p.account_no FROM (SELECT account_no FROM passwords UNION SELECT account_no FROM invitations) p
        WHERE NOT EXISTS (SELECT 1 FROM logins l WHERE l.account_no = p.account_no AND l.provider = 'password')""",
    "words about a purpose follow one another, and each says something new": """
        SELECT id FROM (
            SELECT id, step, given, version, lag(step, 1, 0) OVER said AS before, lag(given, 1, false) OVER said AS was,
                   lag(version, 1, 0) OVER said AS of, given_by = 'self' AND lag(until) OVER said IS NOT NULL AS is_own_now
            FROM consents WINDOW said AS (PARTITION BY person_id, purpose ORDER BY step)) w
        WHERE step <> before + 1 OR (given = was AND version = of AND NOT is_own_now) OR (NOT given AND NOT was)""",
    "who was asked for their own word heard of it, once": """
        SELECT a.consent_id FROM asked_again a WHERE 1 <> (
            SELECT count(*) FROM notices n WHERE n.subject = a.consent_id AND n.type = 'identity.consent.asked_again')""",
    "nobody is the guardian of an adult": """
        SELECT r.id FROM relations r JOIN persons p ON p.id = r.person_id
        WHERE r.kind = 'guardian' AND p.born IS NOT NULL
          AND coalesce(r.ends_at, 'infinity') > greatest(r.starts_at, birthday(p.born, 18))""",
    "nobody who is barred from a child is its guardian": """
        SELECT r.id FROM relations r JOIN relations b ON b.actor_id = r.actor_id AND b.person_id = r.person_id
        WHERE b.barred_at IS NOT NULL AND r.kind = 'guardian' AND (r.ends_at IS NULL OR r.ends_at > now())""",
    "what nobody agreed to gives nobody power": """
        SELECT o.id FROM offers o JOIN relations r ON r.id = o.id
        WHERE o.answered_at IS NULL OR r.kind <> o.kind OR r.person_id <> o.person_id
           OR r.actor_id <> coalesce(o.actor_id, r.actor_id)""",
    "what became of guardians and proxies was announced": """
        SELECT f.id FROM (
            SELECT id, 'identity.guardian.barred' AS type FROM relations WHERE barred_at IS NOT NULL
            UNION ALL SELECT id, 'identity.proxy.asked' FROM offers WHERE kind = 'proxy'
            UNION ALL SELECT r.id, CASE r.kind WHEN 'proxy' THEN 'identity.proxy.granted' ELSE 'identity.guardian.added' END
                      FROM relations r JOIN offers o ON o.id = r.id) f
        WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = f.id AND n.type = f.type)""",
    "nothing was announced of guardians and proxies that is not there": """
        SELECT n.subject FROM notices n
        WHERE (n.type LIKE 'identity.guardian.%' OR n.type LIKE 'identity.proxy.%')
          AND NOT EXISTS (SELECT 1 FROM relations r WHERE r.id = n.subject)
          AND NOT EXISTS (SELECT 1 FROM offers o WHERE o.id = n.subject AND o.kind = 'proxy')
          AND NOT EXISTS (SELECT 1 FROM holders h WHERE h.no = ANY(n.holders) AND h.kind = 'closed')""",
    "every wall stands": """
        SELECT t.relname FROM pg_class t
        WHERE EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid) AND NOT (t.relrowsecurity AND t.relforcerowsecurity)""",
    "no service climbs the walls": """
        SELECT r.rolname FROM pg_roles r
        WHERE starts_with(r.rolname, 'linli_') AND (r.rolsuper OR r.rolbypassrls
              OR EXISTS (SELECT FROM pg_class t WHERE t.relowner = r.oid))""",
    "what time has ended was said to be over within a day": """
        SELECT id FROM relations WHERE closed_at IS NULL AND ends_at < now() - interval '1 day'""",
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
    found = [(name, [str(row[0]) for row in await tx.fetch(query)]) for name, query in CHECKS.items()]
    newest = await tx.value("SELECT max(field_version) FROM deployment")
    beyond = {one.place for one in await count(tx) if newest is not None and one.version > newest}
    return [*found, ("nothing is sealed with a key that was never made", sorted(beyond))]
