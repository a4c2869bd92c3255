"""Guardians with evidence, second guardians and barred ones; proxies asked for, limited and revoked; what ends by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIRTHDAY = """
CREATE FUNCTION birthday(born date, years int) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (d + CASE WHEN extract(day FROM d) <> extract(day FROM born) THEN 1 ELSE 0 END)::timestamp
           AT TIME ZONE 'Asia/Shanghai'
    FROM (SELECT (born + make_interval(years => years))::date AS d) AS that_day
$$
"""

ENDS = """
CREATE FUNCTION guardianship_ends_with_childhood() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    grown timestamptz;
BEGIN
    SELECT birthday(p.born, 18) INTO grown FROM persons p WHERE p.id = NEW.person_id;
    IF TG_OP = 'INSERT' AND grown <= NEW.starts_at THEN
        RAISE check_violation USING MESSAGE = 'nobody is the guardian of an adult',
            CONSTRAINT = 'nobody_is_the_guardian_of_an_adult', TABLE = 'relations';
    END IF;
    NEW.ends_at := greatest(NEW.starts_at, least(NEW.ends_at, grown));
    RETURN NEW;
END $$
"""

BORN = """
CREATE FUNCTION guardianship_follows_the_birth_date() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE relations SET ends_at = greatest(starts_at, birthday(NEW.born, 18))
    WHERE person_id = NEW.id AND kind = 'guardian' AND (ends_at IS NULL OR ends_at > now());
    RETURN NULL;
END $$
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE (code_hash, code_ends_at, tries, answered_at, expires_at) ON offers TO linli_identity;
GRANT SELECT, INSERT ON asked_again TO linli_identity;
GRANT SELECT (barred_at) ON relations TO linli_childcare;
GRANT SELECT (until) ON consents TO linli_childcare;
GRANT SELECT (id, actor_id, person_id, kind, services, starts_at, ends_at, cap_fen) ON relations TO linli_elder_meals;
GRANT UPDATE (used_at) ON relations TO linli_elder_meals;
"""


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("by_account_no", sa.BigInteger(), nullable=False),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("cap_fen", sa.Integer(), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("code_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('guardian', 'proxy')", name="offer_kind_known"),
        sa.CheckConstraint("actor_id <> person_id", name="nobody_offers_themselves_to_themselves"),
        sa.CheckConstraint("kind = 'guardian' OR actor_id IS NOT NULL", name="a_proxy_to_be_is_named"),
        sa.CheckConstraint("kind = 'proxy' OR code_hash IS NOT NULL", name="an_invitation_has_its_code"),
        sa.CheckConstraint("(code_hash IS NULL) = (code_ends_at IS NULL)", name="a_code_has_its_end"),
        sa.CheckConstraint("cardinality(services) > 0", name="an_offered_scope_is_not_empty"),
        sa.CheckConstraint("cap_fen >= 0", name="an_offered_cap_is_not_negative"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("offers_person_id_fkey")),
        sa.ForeignKeyConstraint(["actor_id"], ["persons.id"], name=op.f("offers_actor_id_fkey")),
        sa.ForeignKeyConstraint(["by_account_no"], ["accounts.no"], name=op.f("offers_by_account_no_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("offers_pkey")),
        sa.UniqueConstraint("code_hash", name="one_offer_per_code"),
    )
    op.create_index(op.f("offers_person_id_idx"), "offers", ["person_id"], unique=False)
    op.create_index(
        "one_open_ask_of_a_proxy_each",
        "offers",
        ["actor_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'proxy' AND answered_at IS NULL"),
    )

    for column in (
        sa.Column("level", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("cap_fen", sa.Integer(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("barred_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("relations", column)
    op.execute(BIRTHDAY)
    # Every end that has come was known to both; two that were in force at once become one.
    op.execute("UPDATE relations SET ends_at = greatest(starts_at, ends_at) WHERE ends_at < starts_at")
    op.execute(
        "UPDATE relations r SET ends_at = greatest(r.starts_at, least(r.ends_at, birthday(p.born, 18))) FROM persons p "
        "WHERE p.id = r.person_id AND r.kind = 'guardian' AND p.born IS NOT NULL"
    )
    op.execute("UPDATE relations SET closed_at = now() WHERE ends_at <= now()")
    op.execute(
        "UPDATE relations r SET ends_at = least(r.ends_at, greatest(r.starts_at, now())), closed_at = now() "
        "WHERE r.closed_at IS NULL AND EXISTS (SELECT FROM relations o WHERE o.actor_id = r.actor_id "
        "AND o.person_id = r.person_id AND o.kind = r.kind AND o.closed_at IS NULL AND o.id > r.id)"
    )
    op.drop_index("one_relation_each", table_name="relations")
    op.create_index(
        "one_relation_each",
        "relations",
        ["actor_id", "person_id", "kind"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL OR barred_at IS NOT NULL"),
    )
    op.create_index(
        "relations_ending_idx", "relations", ["ends_at"], unique=False, postgresql_where=sa.text("closed_at IS NULL")
    )
    for name, law in (
        ("relation_level_known", "level BETWEEN 0 AND 2"),
        ("evidence_known", "evidence IN ('birth_certificate', 'household_register', 'court', 'seen')"),
        ("only_guardians_show_evidence", "kind = 'guardian' OR (evidence IS NULL AND level = 0)"),
        ("only_proxies_have_a_cap", "cap_fen IS NULL OR (kind = 'proxy' AND cap_fen >= 0)"),
        ("a_scope_is_not_empty", "cardinality(services) > 0"),
        ("nothing_ends_before_it_began", "ends_at >= starts_at"),
        ("what_is_closed_has_ended", "closed_at IS NULL OR ends_at IS NOT NULL"),
        ("who_is_barred_is_no_guardian", "barred_at IS NULL OR (kind = 'guardian' AND closed_at IS NOT NULL)"),
    ):
        op.create_check_constraint(name, "relations", law)
    op.execute(ENDS)
    op.execute(BORN)
    op.execute(
        "CREATE TRIGGER guardianship_ends_with_childhood BEFORE INSERT OR UPDATE OF ends_at, starts_at, person_id, kind "
        "ON relations FOR EACH ROW WHEN (NEW.kind = 'guardian') EXECUTE FUNCTION guardianship_ends_with_childhood()"
    )
    op.execute(
        "CREATE TRIGGER guardianship_follows_the_birth_date AFTER UPDATE OF born ON persons FOR EACH ROW "
        "WHEN (OLD.born IS DISTINCT FROM NEW.born) EXECUTE FUNCTION guardianship_follows_the_birth_date()"
    )

    op.add_column("consents", sa.Column("until", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        "only_a_guardians_word_for_a_child_ends", "consents", "until IS NULL OR (given AND given_by = 'guardian')"
    )
    op.execute(
        "UPDATE consents c SET until = greatest(birthday(p.born, 14), now()) + interval '30 days' FROM persons p "
        "WHERE p.id = c.person_id AND c.given AND c.given_by = 'guardian' AND c.at < birthday(p.born, 14)"
    )
    op.create_index(
        "consents_until_idx", "consents", ["until"], unique=False, postgresql_where=sa.text("until IS NOT NULL")
    )
    op.create_table(
        "asked_again",
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["consent_id"], ["consents.id"], name=op.f("asked_again_consent_id_fkey")),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("asked_again_pkey")),
    )
    for statement in GRANTS.strip().split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("asked_again")
    op.drop_column("consents", "until")
    op.execute("DROP TRIGGER guardianship_follows_the_birth_date ON persons")
    op.execute("DROP TRIGGER guardianship_ends_with_childhood ON relations")
    op.execute("DROP FUNCTION guardianship_follows_the_birth_date()")
    op.execute("DROP FUNCTION guardianship_ends_with_childhood()")
    op.drop_index("one_relation_each", table_name="relations")
    op.execute("UPDATE relations SET ends_at = NULL WHERE kind = 'guardian' AND ends_at > now()")
    for column in ("barred_at", "closed_at", "used_at", "cap_fen", "sealed", "evidence", "level"):
        op.drop_column("relations", column)
    op.drop_constraint("a_scope_is_not_empty", "relations")
    op.drop_constraint("nothing_ends_before_it_began", "relations")
    op.create_index(
        "one_relation_each",
        "relations",
        ["actor_id", "person_id", "kind"],
        unique=True,
        postgresql_where=sa.text("ends_at IS NULL"),
    )
    op.drop_table("offers")
    op.execute("DROP FUNCTION birthday(date, int)")
    op.execute("REVOKE ALL ON relations FROM linli_elder_meals")
    op.execute(
        "REVOKE SELECT (id, actor_id, person_id, kind, services, starts_at, ends_at) ON relations FROM linli_elder_meals"
    )
