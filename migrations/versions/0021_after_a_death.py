"""What becomes of what is known of somebody after their death, words that are shredded in time, and periods within the law."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

IS_HELD_BEFORE = """
CREATE OR REPLACE FUNCTION is_held(rule retention) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE rule.person
        WHEN 'person_id' THEN 't.person_id IN (SELECT person_id FROM legal_holds WHERE ended_at IS NULL)'
        WHEN 'account_no' THEN 't.account_no IN (SELECT a.no FROM accounts a JOIN legal_holds l USING (person_id)
                                WHERE l.ended_at IS NULL)'
        WHEN 'holder_no' THEN 't.holder_no IN (SELECT h.no FROM holders h JOIN legal_holds l ON l.person_id = h.id
                               WHERE l.ended_at IS NULL)'
        WHEN 'child_no' THEN 't.child_no IN (SELECT h.no FROM holders h JOIN legal_holds l ON l.person_id = h.id
                              WHERE l.ended_at IS NULL)'
        %s
        ELSE 'false' END
$$
"""
IS_HELD = (
    IS_HELD_BEFORE
    % """WHEN 'check_id' THEN 't.check_id IN (SELECT w.id FROM welfare_checks w JOIN legal_holds l USING (person_id)
                              WHERE l.ended_at IS NULL)'
        WHEN 'order_id' THEN 't.order_id IN (SELECT o.id FROM meal_orders o JOIN legal_holds l USING (person_id)
                              WHERE l.ended_at IS NULL)'
        WHEN 'group_id' THEN 't.group_id IN (SELECT c.group_id FROM claims c JOIN holders h ON h.no = c.holder_no
                              JOIN legal_holds l ON l.person_id = h.id WHERE l.ended_at IS NULL)'
        WHEN 'children' THEN 'EXISTS (SELECT FROM holders h LEFT JOIN legal_holds l ON l.person_id = h.id AND l.ended_at IS NULL
                              WHERE h.no = ANY (t.children) AND (h.kind <> ''closed'' OR l.id IS NOT NULL))'"""
)
FORGET = """
CREATE OR REPLACE FUNCTION forget_old(wanted text, most int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public AS $$
DECLARE
    rule retention;
    gone bigint;
    stays bigint;
    which text;
BEGIN
    SELECT * INTO STRICT rule FROM retention r WHERE r.table_name = wanted;
    IF wanted = 'audit' THEN  -- from its beginning to a signed head only, or what is left could not be checked
        SELECT min(e.position) INTO stays FROM audit e
        WHERE e.at >= now() - make_interval(days => rule.days)
           OR e.person_id IN (SELECT person_id FROM legal_holds WHERE ended_at IS NULL);
        DELETE FROM audit WHERE position IN (
            SELECT position FROM audit WHERE position <= (
                SELECT max(position) FROM audit_heads WHERE stays IS NULL OR position < stays)
            ORDER BY position LIMIT most);
    ELSE
        which := format('ctid IN (SELECT ctid FROM %I t WHERE t.%I < now() - make_interval(days => $1) AND NOT (%s) ',
                        wanted, rule.column_name, is_held(rule));
        IF rule.shreds IS NULL THEN
            EXECUTE format('DELETE FROM %I WHERE ' || which || 'LIMIT $2)', wanted) USING rule.days, most;
        ELSE
            EXECUTE format('UPDATE %I SET %I = NULL WHERE ' || which || 'AND t.%I IS NOT NULL LIMIT $2)',
                           wanted, rule.shreds, rule.shreds) USING rule.days, most;
        END IF;
    END IF;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
CREATE OR REPLACE FUNCTION kept_too_long() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
    rule retention;
    is_there boolean;
BEGIN
    FOR rule IN SELECT * FROM retention WHERE table_name <> 'audit' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I t WHERE t.%I < now() - make_interval(days => $1 + 2) AND NOT (%s) %s)',
                       rule.table_name, rule.column_name, is_held(rule),
                       CASE WHEN rule.shreds IS NULL THEN '' ELSE format('AND t.%I IS NOT NULL', rule.shreds) END)
                INTO is_there USING rule.days;
        IF is_there THEN
            RETURN NEXT rule.table_name;
        END IF;
    END LOOP;
END $$
"""
FORGET_BEFORE = """
CREATE OR REPLACE FUNCTION forget_old(wanted text, most int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public AS $$
DECLARE
    rule retention;
    gone bigint;
    stays bigint;
BEGIN
    SELECT * INTO STRICT rule FROM retention r WHERE r.table_name = wanted;
    IF wanted = 'audit' THEN  -- from its beginning to a signed head only, or what is left could not be checked
        SELECT min(e.position) INTO stays FROM audit e
        WHERE e.at >= now() - make_interval(days => rule.days)
           OR e.person_id IN (SELECT person_id FROM legal_holds WHERE ended_at IS NULL);
        DELETE FROM audit WHERE position IN (
            SELECT position FROM audit WHERE position <= (
                SELECT max(position) FROM audit_heads WHERE stays IS NULL OR position < stays)
            ORDER BY position LIMIT most);
    ELSE
        EXECUTE format('DELETE FROM %I WHERE ctid IN (SELECT ctid FROM %I t WHERE t.%I < now() - make_interval(days => $1) '
                       'AND NOT (%s) LIMIT $2)', wanted, wanted, rule.column_name, is_held(rule)) USING rule.days, most;
    END IF;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
CREATE OR REPLACE FUNCTION kept_too_long() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
    rule retention;
    is_there boolean;
BEGIN
    FOR rule IN SELECT * FROM retention WHERE table_name <> 'audit' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I t WHERE t.%I < now() - make_interval(days => $1 + 2) AND NOT (%s))',
                       rule.table_name, rule.column_name, is_held(rule)) INTO is_there USING rule.days;
        IF is_there THEN
            RETURN NEXT rule.table_name;
        END IF;
    END LOOP;
END $$
"""
WITHIN = {
    "audit": (180, 3650),
    "reveals": (1095, 3650),
    "record_reads": (1095, 3650),
    "archives": (0, 0),
    "requests": (1095, 3650),
    "refused": (7, 30),
    "uploads": (40, 180),
    "login_codes": (1, 30),
    "turned_away": (1095, 3650),
}
WORDS_OF = "个人信息保护法 19: no longer than needed; three years, in which a claim can be made (民法典 188)"
MORE = (
    (
        "relatives",
        "made_at",
        1095,
        1095,
        3650,
        "person_id",
        None,
        "个人信息保护法 49, 56: who spoke for somebody who has died",
    ),
    (
        "used_proofs",
        "at",
        7,
        2,
        90,
        None,
        None,
        "to tell what vouched for somebody once and comes again; none lives a day",
    ),
    ("identity_conflicts", "closed_at", 1095, 180, 3650, "person_id", None, "to answer whose number was whose"),
    ("meal_orders", "starts_at", 1095, 31, 3650, "person_id", "sealed", WORDS_OF),
    ("meal_outcomes", "at", 365, 31, 1095, "order_id", "sealed", "个人信息保护法 19: words from a door, for a year"),
    ("welfare_steps", "at", 1095, 365, 3650, "check_id", "sealed", WORDS_OF),
    (
        "reservations",
        "starts_at",
        365,
        31,
        1095,
        "group_id",
        "note",
        "个人信息保护法 19: words with a booking, for a year",
    ),
    (
        "registrations",
        "starts_at",
        365,
        31,
        1095,
        "group_id",
        "answers",
        "个人信息保护法 19: answers to an event, for a year",
    ),
    ("feedback", "made_at", 365, 31, 1095, "holder_no", "text", "个人信息保护法 19: words about an event, for a year"),
    ("visits", "starts_at", 365, 31, 1095, "group_id", "note", "个人信息保护法 19: words with a visit, for a year"),
    (
        "incidents",
        "at",
        1095,
        1095,
        7300,
        "children",
        "body",
        "民法典 188, 191: while a child of it is known here, and three years",
    ),
)


def upgrade() -> None:
    after_a_death()
    op.drop_constraint("holder_kind_known", "holders")
    op.create_check_constraint("holder_kind_known", "holders", "kind IN ('person', 'organisation', 'closed', 'dead')")
    retention()
    op.alter_column("incidents", "body", nullable=True)
    op.alter_column("meal_orders", "sealed", nullable=True)
    op.execute("GRANT SELECT (community, kind, severity, at) ON incidents TO linli_identity")


def after_a_death() -> None:
    """Deaths, what people wish for then, and who may speak for them."""
    now = sa.text("now()")
    op.create_table(
        "deaths",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("died_on", sa.Date(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.CheckConstraint(
            "evidence IN ('death_certificate', 'cremation_certificate', 'household_register', 'court_ruling')",
            name="death_evidence_known",
        ),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="deaths_person_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="deaths_pkey"),
        sa.UniqueConstraint("person_id", name="nobody_dies_twice"),
    )
    op.create_table(
        "wishes",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("named", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.CheckConstraint("who IN ('relatives', 'named', 'nobody')", name="wish_known"),
        sa.CheckConstraint("(who = 'named') = (cardinality(named) > 0)", name="who_is_wished_for_is_named"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="wishes_person_id_fkey"),
        sa.PrimaryKeyConstraint("person_id", name="wishes_pkey"),
    )
    op.create_table(
        "relatives",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("relative_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'asked'"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("by_person_id", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.CheckConstraint(
            "relation IN ('spouse', 'child', 'parent', 'sibling', 'grandparent', 'grandchild', 'named')",
            name="nearness_known",
        ),
        sa.CheckConstraint(
            "evidence IN ('household_register', 'marriage_certificate', 'birth_certificate', 'adoption_certificate', "
            "'court_ruling', 'committee_letter')",
            name="nearness_evidence_known",
        ),
        sa.CheckConstraint("state IN ('asked', 'allowed', 'denied')", name="relative_state_known"),
        sa.CheckConstraint("relative_id <> person_id", name="nobody_is_their_own_relative"),
        sa.CheckConstraint(
            "(state = 'asked') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_person_id IS NULL) "
            "AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="a_word_about_a_relative_is_somebodys",
        ),
        sa.CheckConstraint(
            "decided_by <> account_no AND decided_person_id <> by_person_id AND decided_person_id <> relative_id "
            "AND by_person_id <> relative_id",
            name="nobody_decides_on_their_own_relative",
        ),
        sa.CheckConstraint("(state = 'allowed') = (expires_at IS NOT NULL)", name="leave_of_relatives_ends"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="relatives_person_id_fkey"),
        sa.ForeignKeyConstraint(["relative_id"], ["persons.id"], name="relatives_relative_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="relatives_pkey"),
    )
    op.create_index(
        "one_open_leave_each",
        "relatives",
        ["person_id", "relative_id"],
        unique=True,
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_index("relatives_relative_id_idx", "relatives", ["relative_id"])
    op.execute("GRANT SELECT, INSERT, UPDATE ON deaths, wishes, relatives TO linli_identity")
    op.execute("GRANT DELETE ON deaths, wishes TO linli_identity")
    for table in ("deaths", "wishes"):
        known = f"EXISTS (SELECT FROM persons w WHERE w.id = {table}.person_id)"
        op.execute(
            "SELECT wall('" + table + "', region => 'community', person => '{person_id}', account => '{account_no}', "
            "besides => '" + known + "')"
        )
    op.execute(
        "SELECT wall('relatives', region => 'community', person => '{person_id,relative_id}', account => '{account_no}')"
    )
    op.execute(  # the dead are known to relatives with leave
        "CREATE POLICY with_leave ON persons TO linli_identity USING (EXISTS (SELECT FROM relatives w "
        "WHERE w.person_id = persons.id AND w.state = 'allowed' AND w.expires_at > now() "
        "AND w.relative_id = ANY (string_to_array(current_setting('app.people', true), ',')::uuid[])))"
    )


def retention() -> None:
    """Bounds and versions for the periods, words that go while their row stays, and what grew for ever until now."""
    for name in ("least", "most"):
        op.add_column("retention", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
        op.alter_column("retention", name, server_default=None)
    op.add_column("retention", sa.Column("shreds", sa.Text(), nullable=True))
    op.add_column("retention", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.drop_constraint("kept_things_are_somebodys", "retention")
    op.create_check_constraint(
        "kept_things_are_somebodys",
        "retention",
        "person IN ('person_id', 'holder_no', 'child_no', 'account_no', 'group_id', 'children', 'check_id', 'order_id')",
    )
    kept = sa.table(
        "retention",
        *(
            sa.column(name)
            for name in ("table_name", "column_name", "days", "person", "basis", "shreds", "least", "most")
        ),
    )
    for table, (least, most) in WITHIN.items():  # a period that somebody set by hand stays what it is
        op.execute(
            kept.update()
            .where(kept.c.table_name == table)
            .values(least=sa.func.least(least, kept.c.days), most=sa.func.greatest(most, kept.c.days))
        )
    op.bulk_insert(
        kept,
        [
            {
                "table_name": table,
                "column_name": column,
                "days": days,
                "least": least,
                "most": most,
                "person": person,
                "shreds": shreds,
                "basis": basis,
            }
            for table, column, days, least, most, person, shreds, basis in MORE
        ],
    )
    op.create_check_constraint("things_are_kept_as_long_as_the_law_says", "retention", "days BETWEEN least AND most")
    op.execute(IS_HELD)
    op.execute(FORGET)
    op.execute("GRANT UPDATE (days, version) ON retention TO linli_identity")


def downgrade() -> None:
    op.execute("REVOKE SELECT (community, kind, severity, at) ON incidents FROM linli_identity")
    # What is shredded cannot come back: an empty value is no secret, and says as much.
    op.execute("UPDATE meal_orders SET sealed = '' WHERE sealed IS NULL")
    op.execute("UPDATE incidents SET body = '' WHERE body IS NULL")
    op.alter_column("meal_orders", "sealed", nullable=False)
    op.alter_column("incidents", "body", nullable=False)
    op.execute("REVOKE UPDATE (days, version) ON retention FROM linli_identity")
    kept = sa.table("retention", sa.column("table_name"))
    op.execute(kept.delete().where(kept.c.table_name.in_([one[0] for one in MORE])))
    op.execute(IS_HELD_BEFORE % "")
    op.execute(FORGET_BEFORE)
    op.drop_constraint("things_are_kept_as_long_as_the_law_says", "retention")
    op.drop_constraint("kept_things_are_somebodys", "retention")
    op.create_check_constraint(
        "kept_things_are_somebodys", "retention", "person IN ('person_id', 'holder_no', 'child_no', 'account_no')"
    )
    for name in ("version", "shreds", "most", "least"):
        op.drop_column("retention", name)
    op.execute("UPDATE holders SET kind = 'person' WHERE kind = 'dead'")
    op.drop_constraint("holder_kind_known", "holders")
    op.create_check_constraint("holder_kind_known", "holders", "kind IN ('person', 'organisation', 'closed')")
    op.execute("DROP POLICY with_leave ON persons")
    for table in ("relatives", "wishes", "deaths"):
        op.drop_table(table)
