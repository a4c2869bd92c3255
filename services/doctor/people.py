"""People, their logins, rights and powers; the audit; the second wall."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
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
