"""What may be known of people, by whom and for how long: a chained audit, permission to look, rights, retention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

AUDIT_STAYS = """
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.position IS NOT NULL AND OLD.at < now() - interval '180 days' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.position IS NULL AND
       (NEW.no, NEW.at, NEW.account_no, NEW.action, NEW.person_id, NEW.community, NEW.reason, NEW.data)
       IS NOT DISTINCT FROM
       (OLD.no, OLD.at, OLD.account_no, OLD.action, OLD.person_id, OLD.community, OLD.reason, OLD.data) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what was written down stays' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'audit_stays';
END $$
"""


FORGET_OLD = """
CREATE FUNCTION is_held(rule retention) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE rule.person
        WHEN 'person_id' THEN 't.person_id IN (SELECT person_id FROM legal_holds WHERE ended_at IS NULL)'
        WHEN 'account_no' THEN 't.account_no IN (SELECT a.no FROM accounts a JOIN legal_holds l USING (person_id)
                                WHERE l.ended_at IS NULL)'
        WHEN 'holder_no' THEN 't.holder_no IN (SELECT h.no FROM holders h JOIN legal_holds l ON l.person_id = h.id
                               WHERE l.ended_at IS NULL)'
        WHEN 'child_no' THEN 't.child_no IN (SELECT h.no FROM holders h JOIN legal_holds l ON l.person_id = h.id
                              WHERE l.ended_at IS NULL)'
        ELSE 'false' END
$$;
CREATE FUNCTION forget_old(wanted text, most int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
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
CREATE FUNCTION kept_too_long() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
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
KEPT = (
    ("audit", "at", 1095, None, "网络安全法 21 (≥ 180 days); three years for audits of processing"),
    ("reveals", "made_at", 1095, "person_id", "未成年人网络保护条例 36: who looked, and who allowed it"),
    ("record_reads", "read_at", 1095, "child_no", "未成年人网络保护条例 36: who looked at a child's record"),
    ("archives", "expires_at", 0, None, "a copy is there to be fetched, for a week"),
    ("requests", "decided_at", 1095, "person_id", "个人信息保护法 50, 56: how requests were answered"),
    ("refused", "at", 30, None, "to answer why a place was refused"),
    ("uploads", "received_at", 40, None, "to tell a report of a device that comes twice"),
    ("login_codes", "expires_at", 2, None, "to make pauses between codes"),
    ("turned_away", "made_at", 1095, "child_no", "who wanted to collect a child and was refused"),
)


def privacy() -> None:
    """Reveals, requests, archives, legal holds, and how long things are kept."""
    now = sa.text("now()")
    op.create_table(
        "reveals",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("by_person_id", sa.Uuid(), nullable=False),
        sa.Column("fields", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("is_beyond_limit", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.CheckConstraint("state IN ('asked', 'allowed', 'denied')", name="reveal_state_known"),
        sa.CheckConstraint("cardinality(fields) > 0", name="a_reveal_is_of_something"),
        sa.CheckConstraint(
            "(decided_by IS NULL) = (decided_person_id IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="a_decision_has_its_decider",
        ),
        sa.CheckConstraint(
            "decided_by <> account_no AND decided_person_id <> by_person_id",
            name="nobody_decides_on_their_own_reveal",
        ),
        sa.CheckConstraint(
            "state = 'asked' OR decided_by IS NOT NULL OR NOT needs_approval", name="what_needs_approval_is_approved"
        ),
        sa.CheckConstraint("(state = 'allowed') = (expires_at IS NOT NULL)", name="permission_ends"),
        sa.CheckConstraint("seen_at IS NULL OR state = 'allowed'", name="only_the_allowed_is_seen"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="reveals_person_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="reveals_pkey"),
    )
    op.create_index("reveals_account_no_made_at_idx", "reveals", ["account_no", "made_at"])
    op.create_index("reveals_person_id_idx", "reveals", ["person_id"])
    op.create_table(
        "requests",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'asked'"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_person_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.CheckConstraint("kind IN ('export', 'correction', 'closure')", name="request_kind_known"),
        sa.CheckConstraint("state IN ('asked', 'done', 'denied', 'withdrawn')", name="request_state_known"),
        sa.CheckConstraint("(kind = 'correction') = (field IS NOT NULL)", name="a_correction_is_of_a_field"),
        sa.CheckConstraint("(kind = 'closure') = (acts_at IS NOT NULL)", name="a_closure_waits_first"),
        sa.CheckConstraint("(state = 'asked') = (decided_at IS NULL)", name="an_asked_request_is_undecided"),
        sa.CheckConstraint("state <> 'denied' OR answer IS NOT NULL", name="who_is_denied_hears_why"),
        sa.CheckConstraint(
            "decided_by <> account_no AND decided_person_id <> person_id", name="nobody_decides_on_their_own_request"
        ),
        sa.CheckConstraint("state = 'asked' OR body IS NULL", name="what_is_decided_keeps_no_words"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="requests_person_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="requests_pkey"),
    )
    op.create_index(
        "one_open_request_each",
        "requests",
        ["person_id", "kind", "field"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_index("requests_person_id_idx", "requests", ["person_id", "id"])
    op.create_index("requests_due_at_idx", "requests", ["due_at"], postgresql_where=sa.text("state = 'asked'"))
    op.create_table(
        "archives",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="archives_request_id_fkey"),
        sa.PrimaryKeyConstraint("request_id", name="archives_pkey"),
    )
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="somebody_ends_a_legal_hold"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="legal_holds_person_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="legal_holds_pkey"),
    )
    op.create_index(
        "one_legal_hold_each", "legal_holds", ["person_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    kept = op.create_table(
        "retention",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.CheckConstraint("days >= 0", name="nothing_is_forgotten_before_it_was"),
        sa.CheckConstraint("table_name <> 'audit' OR days >= 180", name="the_audit_is_kept_half_a_year"),
        sa.CheckConstraint(
            "person IN ('person_id', 'holder_no', 'child_no', 'account_no')", name="kept_things_are_somebodys"
        ),
        sa.PrimaryKeyConstraint("table_name", name="retention_pkey"),
    )
    op.bulk_insert(
        kept,
        [
            {"table_name": table, "column_name": column, "days": days, "person": person, "basis": basis}
            for table, column, days, person, basis in KEPT
        ],
    )
    op.execute(FORGET_OLD)
    op.execute("REVOKE EXECUTE ON FUNCTION forget_old(text, int) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION forget_old(text, int) TO linli_identity")
    op.execute("GRANT SELECT ON retention TO linli_identity")
    op.execute("GRANT SELECT, INSERT, UPDATE ON reveals, requests, archives, legal_holds TO linli_identity")


FORGETTING = (
    "DELETE ON logins, relations, archives, offers, person_places, identity_conflicts TO linli_identity",
    "DELETE ON elder_profiles TO linli_elder_meals",
    "DELETE ON child_records TO linli_childcare",
    "UPDATE (note) ON visits TO linli_childcare",
    "UPDATE (about) ON collectors TO linli_childcare",
    "UPDATE (text) ON feedback TO linli_events",
)
CLOSED = (
    "name = '已注销' AND level = 0 "
    "AND num_nonnulls(sex, born, document_kind, document_sealed, document_last4, phone_sealed, phone_index) = 0"
)


def upgrade() -> None:
    chain()
    privacy()
    op.add_column("persons", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("nothing_is_left_of_who_is_closed", "persons", f"closed_at IS NULL OR ({CLOSED})")
    op.drop_constraint("holder_is_person_or_organisation", "holders")
    op.create_check_constraint("holder_kind_known", "holders", "kind IN ('person', 'organisation', 'closed')")
    for grant in FORGETTING:
        op.execute(f"GRANT {grant}")
    # What guardians could read until now stays readable in the same place as everything else.
    op.execute(
        "INSERT INTO audit (at, account_no, action, person_id, community, data) "
        "SELECT r.read_at, r.account_no, 'child.read', h.id, r.community, jsonb_build_object('service', 'childcare', "
        "'fields', jsonb_build_array(r.what), 'place_id', r.place_id, 'visit_id', r.visit_id) "
        "FROM record_reads r JOIN holders h ON h.no = r.child_no ORDER BY r.read_at"
    )


def chain() -> None:
    """The audit's entries follow one another, and stay."""
    op.add_column("audit", sa.Column("position", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("hash", sa.LargeBinary(), nullable=True))
    op.create_check_constraint("a_link_has_its_hash", "audit", "(position IS NULL) = (hash IS NULL)")
    op.create_index(
        "one_audit_entry_per_position",
        "audit",
        ["position"],
        unique=True,
        postgresql_where=sa.text("position IS NOT NULL"),
    )
    op.create_index("audit_unstamped_idx", "audit", ["no"], postgresql_where=sa.text("position IS NULL"))
    op.create_table(
        "audit_head",
        sa.Column("is_the_one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("hash", sa.LargeBinary(), server_default=sa.text("decode(repeat('00', 32), 'hex')"), nullable=False),
        sa.CheckConstraint("is_the_one", name="one_audit_head"),
        sa.PrimaryKeyConstraint("is_the_one", name="audit_head_pkey"),
    )
    op.execute("INSERT INTO audit_head DEFAULT VALUES")
    op.create_table(
        "audit_heads",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signed", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="audit_heads_pkey"),
        sa.UniqueConstraint("position", name="one_signed_head_per_position"),
    )
    op.execute(AUDIT_STAYS)
    op.execute(
        "CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays()"
    )
    op.execute(
        "CREATE TRIGGER audit_stays_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_stays()"
    )
    op.execute("GRANT UPDATE (position, hash) ON audit TO linli_identity")
    op.execute("GRANT SELECT, UPDATE ON audit_head TO linli_identity")
    op.execute("GRANT SELECT, INSERT ON audit_heads TO linli_identity")


def downgrade() -> None:
    for grant in FORGETTING:
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    op.execute("UPDATE holders SET kind = 'person' WHERE kind = 'closed'")
    op.drop_constraint("holder_kind_known", "holders")
    op.create_check_constraint("holder_is_person_or_organisation", "holders", "kind IN ('person', 'organisation')")
    op.drop_constraint("nothing_is_left_of_who_is_closed", "persons")
    op.drop_column("persons", "closed_at")
    for function in ("kept_too_long()", "forget_old(text, int)", "is_held(retention)"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("retention", "legal_holds", "archives", "requests", "reveals"):
        op.drop_table(table)
    op.execute("DROP TRIGGER audit_stays ON audit")
    op.execute("DROP TRIGGER audit_stays_whole ON audit")
    op.execute("DROP FUNCTION audit_stays()")
    op.execute("REVOKE UPDATE (position, hash) ON audit FROM linli_identity")
    op.drop_table("audit_heads")
    op.drop_table("audit_head")
    op.drop_index("audit_unstamped_idx", "audit")
    op.drop_index("one_audit_entry_per_position", "audit")
    op.drop_constraint("a_link_has_its_hash", "audit")
    op.drop_column("audit", "hash")
    op.drop_column("audit", "position")
