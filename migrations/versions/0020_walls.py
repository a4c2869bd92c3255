"""A second wall: rows about people are shown only as far as the transaction said that it reaches, and none if it said nothing."""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


class Wall(NamedTuple):
    """Whose rows a table holds: by which columns, and `besides` by which rows elsewhere that are themselves behind a wall."""

    region: str | None = None
    person: tuple[str, ...] = ()
    holder: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    besides: str | None = None
    announced: bool = False


HOME_OR_GUEST = "{region:h.community} OR EXISTS (SELECT FROM claims w WHERE w.holder_no = h.no)"
"""Somebody is known where they live, and where they have a place."""
OF_PERSON = "EXISTS (SELECT FROM persons w WHERE w.id = {0}.person_id)"
OF_HOLDER = "EXISTS (SELECT FROM holders h WHERE h.id = {0}.person_id AND (" + HOME_OR_GUEST + "))"
OF_CHILD = "EXISTS (SELECT FROM holders h WHERE h.no = {0}.child_no AND (" + HOME_OR_GUEST + "))"
OF_GROUP = "EXISTS (SELECT FROM claims w WHERE w.group_id = {0}.group_id)"
OF_ORDER = "EXISTS (SELECT FROM meal_orders w WHERE w.id = {0}.order_id)"
OF_VISIT = "EXISTS (SELECT FROM visits w WHERE w.id = {0}.visit_id)"

WALLS = {
    # People, and what is known of them.
    "persons": Wall(
        # Who has no home yet (33) is known at every desk.
        "community",
        person=("id",),
        besides="persons.community = '33' AND current_setting('app.region', true) ~ '[0-9]'",
    ),
    "consents": Wall("community", ("person_id", "by_person_id"), account=("by_account_no",), besides=OF_HOLDER),
    "asked_again": Wall(besides="EXISTS (SELECT FROM consents w WHERE w.id = asked_again.consent_id)"),
    "identity_conflicts": Wall("community", ("person_id", "owner_id"), besides=OF_PERSON),
    "requests": Wall("community", ("person_id",), account=("account_no",), besides=OF_PERSON),
    "archives": Wall(besides="EXISTS (SELECT FROM requests w WHERE w.id = archives.request_id)"),
    "reveals": Wall("community", ("person_id",), account=("account_no",), besides=OF_PERSON),
    "legal_holds": Wall("community", ("person_id",), besides=OF_PERSON),
    "audit": Wall(
        # What was done with power, and with nobody's data, is no secret of a region.
        "community",
        ("person_id",),
        account=("account_no",),
        besides="{0}.person_id IS NULL OR " + OF_PERSON,
        announced=True,
    ),
    # The ledger.
    "claims": Wall(
        # What somebody has elsewhere is known where they live, and what a committee has, where it sits.
        "community",
        holder=("holder_no",),
        account=("account_no",),
        besides="EXISTS (SELECT FROM holders h WHERE h.no = claims.holder_no AND {region:h.community})",
    ),
    "asks": Wall(holder=("holders",), account=("account_no",)),
    "waits": Wall(holder=("holders",), account=("account_no",)),
    "suspensions": Wall(
        holder=("holder_no",),
        besides="EXISTS (SELECT FROM holders h WHERE h.no = suspensions.holder_no AND (" + HOME_OR_GUEST + "))",
    ),
    "refused": Wall("community", holder=("holder_nos",), account=("account_no",), announced=True),
    "notices": Wall(
        "community",
        holder=("holders",),
        besides="notices.places && ARRAY(SELECT p.id FROM places p WHERE {region:p.community})",
        announced=True,
    ),
    "uploads": Wall(account=("account_no",)),
    # What was booked, registered, and said of it.
    "reservations": Wall("community", account=("account_no",), besides=OF_GROUP),
    "registrations": Wall("community", account=("account_no",), besides=OF_GROUP),
    "calendars": Wall("community", account=("account_no",)),
    "feedback": Wall(
        holder=("holder_no",),
        besides="EXISTS (SELECT FROM events w WHERE w.id = feedback.event_id AND {region:w.community})",
    ),
    # Elders' meals.
    "elder_profiles": Wall("community", ("person_id",), besides=OF_HOLDER),
    "absences": Wall("community", ("person_id",), account=("account_no",), besides=OF_HOLDER),
    "standing_orders": Wall("community", ("person_id",), ("holder_no",), ("account_no",)),
    "standing_runs": Wall(
        "community", besides="EXISTS (SELECT FROM standing_orders w WHERE w.id = standing_runs.standing_id)"
    ),
    "meal_orders": Wall("community", ("person_id",), ("holder_no",), ("account_no",), OF_GROUP),
    "meal_lines": Wall("community", besides=OF_ORDER),
    "meal_outcomes": Wall("community", account=("account_no",), besides=OF_ORDER),
    "rounds": Wall("community", account=("courier_no",)),
    "stops": Wall("community", besides=OF_ORDER),
    "welfare_checks": Wall("community", ("person_id",), ("holder_no",), besides=OF_HOLDER),
    "welfare_steps": Wall(
        "community",
        account=("account_no",),
        besides="EXISTS (SELECT FROM welfare_checks w WHERE w.id = welfare_steps.check_id)",
    ),
    # Children's rooms.
    "child_records": Wall("community", holder=("child_no",), besides=OF_CHILD),
    "collectors": Wall("community", ("person_id",), ("child_no",), ("maker_no",), OF_CHILD),
    "visits": Wall("community", account=("account_no",), besides=OF_GROUP),
    "insides": Wall("community", holder=("child_no",), besides=OF_CHILD),
    "handovers": Wall("community", holder=("child_no",), account=("by_no",), besides=OF_CHILD),
    "turned_away": Wall("community", holder=("child_no",), account=("by_no",), besides=OF_CHILD),
    "late_collections": Wall("community", holder=("child_no",), besides=OF_CHILD),
    "record_reads": Wall("community", holder=("child_no",), account=("account_no",), besides=OF_CHILD),
    "incidents": Wall("community", holder=("children",), account=("by_no",)),
    "head_counts": Wall("community", account=("by_no",)),
    "duties": Wall("community", ("person_id",), account=("by_no",)),
    # Partners.
    "partner_keys": Wall("community", account=("account_no",)),
    "endpoints": Wall("community", account=("account_no",)),
    "consumers": Wall("community", account=("account_no",)),
    "deliveries": Wall("community", besides="EXISTS (SELECT FROM endpoints w WHERE w.id = deliveries.endpoint_id)"),
    "attempts": Wall(besides="EXISTS (SELECT FROM deliveries w WHERE w.id = attempts.delivery_id)"),
}

CLOSED = (
    # Nobody's region and nobody's alone: a table of these is shut to a transaction that said nothing, and open to others.
    *("accounts", "holders", "roles", "relations", "offers", "person_places", "households", "used_proofs"),
    *("logins", "login_codes", "login_delays", "sessions", "authorization_codes"),
    *("passwords", "second_factors", "used_steps", "recovery_codes", "invitations"),
)

BUILD_WALL = r"""
CREATE FUNCTION wall(
    "table" regclass, region text DEFAULT NULL, person text[] DEFAULT '{}', holder text[] DEFAULT '{}',
    account text[] DEFAULT '{}', besides text DEFAULT NULL, announced boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $wall$
DECLARE
    -- Who reaches everything is asked nothing else. No sub-selects here: inside another sub-select, PostgreSQL 18 reads what
    -- they have not answered yet when a row that is being locked has changed meanwhile, and its process dies.
    wide text := $$current_setting('app.region', true) = '*'$$;
    told text := $$current_setting('app.region', true) <> ''$$;
    regions text := $$ LIKE ANY (string_to_array(regexp_replace(current_setting('app.region', true), '[0-9]+', '\&%',
        'g'), ','))$$;
    people text := $$string_to_array(current_setting('app.people', true), ',')::uuid[]$$;
    holders text := $$string_to_array(current_setting('app.holders', true), ',')::bigint[]$$;
    account_no text := $$nullif(current_setting('app.account', true), '')::bigint$$;
    ways text[] := ARRAY[wide];
    one text;
BEGIN
    IF region IS NOT NULL THEN
        ways := ways || (quote_ident(region) || regions);
    END IF;
    FOREACH one IN ARRAY person LOOP
        ways := ways || format('%I = ANY (%s)', one, people);
    END LOOP;
    FOREACH one IN ARRAY holder LOOP
        IF (SELECT atttypid FROM pg_attribute WHERE attrelid = "table" AND attname = one) = 'bigint[]'::regtype THEN
            ways := ways || format('%I && %s', one, holders);
        ELSE
            ways := ways || format('%I = ANY (%s)', one, holders);
        END IF;
    END LOOP;
    FOREACH one IN ARRAY account LOOP
        ways := ways || format('%I = %s', one, account_no);
    END LOOP;
    IF besides IS NOT NULL THEN
        ways := ways || format('(%s)', regexp_replace(
            besides, '\{region:([a-z_.]+)\}', '\1' || replace(regions, '\', '\\'), 'g'
        ));
    END IF;
    IF cardinality(ways) = 1 THEN  -- nobody's in particular: open to whoever said anything
        ways := ARRAY[told];
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', "table");
    IF announced THEN
        EXECUTE format('CREATE POLICY may_be_announced ON %s FOR INSERT WITH CHECK (%s)', "table", told);
        FOREACH one IN ARRAY ARRAY['SELECT', 'UPDATE', 'DELETE'] LOOP
            EXECUTE format(
                'CREATE POLICY within_reach_to_%s ON %s FOR %s USING (%s)', lower(one), "table", one, array_to_string(ways, ' OR ')
            );
        END LOOP;
    ELSE
        EXECUTE format('CREATE POLICY within_reach ON %s USING (%s)', "table", array_to_string(ways, ' OR '));
    END IF;
END $wall$
"""


def _say(words: str) -> None:
    op.get_bind().exec_driver_sql(words.replace("%", "%%"))  # as it stands: colons are not parameters


def _array(names: tuple[str, ...]) -> str:
    return "'{" + ",".join(names) + "}'"


def upgrade() -> None:
    _say(BUILD_WALL)
    op.execute("REVOKE EXECUTE ON FUNCTION wall FROM PUBLIC")
    for table, one in WALLS.items():
        told = [
            f"person => {_array(one.person)}",
            f"holder => {_array(one.holder)}",
            f"account => {_array(one.account)}",
        ]
        if one.region:
            told.append(f"region => '{one.region}'")
        if one.besides:
            told.append(f"besides => $${one.besides.replace('{0}', table)}$$")
        if one.announced:
            told.append("announced => true")
        _say(f"SELECT wall('{table}', {', '.join(told)})")
    _say(
        # A person is known where they live, and where they stay.
        "CREATE POLICY near_where_they_stay ON persons TO linli_identity USING (EXISTS (SELECT FROM person_places w "
        "WHERE w.person_id = persons.id AND w.ended_on IS NULL AND w.community LIKE ANY (string_to_array("
        r"regexp_replace(current_setting('app.region', true), '[0-9]+', '\&%', 'g'), ','))))"
    )
    for table in CLOSED:
        op.execute(f"SELECT wall('{table}')")


def downgrade() -> None:
    op.execute("DROP POLICY near_where_they_stay ON persons")
    for table in (*WALLS, *CLOSED):
        if table in WALLS and WALLS[table].announced:
            names = ["may_be_announced", *(f"within_reach_to_{one}" for one in ("select", "update", "delete"))]
        else:
            names = ["within_reach"]
        for name in names:
            op.execute(f"DROP POLICY {name} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    op.execute("DROP FUNCTION wall")
