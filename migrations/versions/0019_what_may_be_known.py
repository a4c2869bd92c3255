"""What may be known of people, by whom and for how long: a chained audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0012"
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


def upgrade() -> None:
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
