"""Kitchens, orders, doors and welfare checks."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
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
                      WHERE state = 'refused' AND code NOT IN ('away', 'ended') GROUP BY standing_id
            UNION ALL SELECT id, 'elder-meals.welfare.opened', 1 FROM welfare_checks
            UNION ALL SELECT check_id, 'elder-meals.welfare.escalated', count(*) FROM welfare_steps
                      WHERE kind = 'escalated' GROUP BY check_id
            UNION ALL SELECT id, 'elder-meals.welfare.closed', 1 FROM welfare_checks WHERE state = 'closed') f
        CROSS JOIN LATERAL (SELECT count(*) AS said FROM notices n WHERE n.subject = f.id AND n.type = f.type) n
        WHERE f.times > n.said -- what was refused may have been asked for again
           OR (f.times < n.said AND f.type <> 'elder-meals.standing.refused')""",
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
    "a door that stayed shut was looked after, or its meal was not expected": """
        SELECT d.id FROM meal_outcomes d JOIN meal_orders o ON o.id = d.order_id
        WHERE d.kind = 'unanswered'
          AND NOT EXISTS (SELECT 1 FROM absences a WHERE a.person_id = o.person_id AND o.day BETWEEN a.first AND a.last
                          AND a.made_at >= o.made_at)
          AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = o.group_id AND c.state = 'released' AND c.left_at <= d.at)
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
}
