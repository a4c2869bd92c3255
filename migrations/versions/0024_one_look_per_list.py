"""Nobody in two places is looked up once for all claims of a list, under their holders' locks, instead of row by row in an index."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TWO_PLACES = """
CREATE FUNCTION nobody_in_two_places() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reach text := current_setting('app.region', true);
BEGIN
    -- Whoever has the holder's row looks after everybody who had it before, in a snapshot of its own.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE feature_not_supported USING MESSAGE = 'claims are written at READ COMMITTED: each look sees the last';
    END IF;
    PERFORM set_config('app.region', '*', true);  -- a place elsewhere counts, whoever may see it
    PERFORM FROM holders WHERE no IN (SELECT holder_no FROM added WHERE is_active AND is_exclusive)
    ORDER BY no FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT FROM added a JOIN claims c ON c.holder_no = a.holder_no AND c.ends_at > a.starts_at AND c.starts_at < a.ends_at
        WHERE a.is_active AND a.is_exclusive AND c.is_active AND c.is_exclusive AND c.id <> a.id
    ) THEN
        RAISE exclusion_violation
        USING MESSAGE = 'somebody would be in two places', TABLE = 'claims', CONSTRAINT = 'nobody_in_two_places';
    END IF;
    PERFORM set_config('app.region', reach, true);
    RETURN NULL;
END $$
"""
STAYS_AWAY = """
CREATE FUNCTION who_has_left_stays_away() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE exclusion_violation
    USING MESSAGE = 'a place that was left is claimed anew', TABLE = 'claims', CONSTRAINT = 'who_has_left_stays_away';
END $$
"""
DURING = (
    "int8range(holder_no * 4294967296 + extract(epoch FROM starts_at - timestamptz '1970-01-01 00:00:00+00')::bigint, "
    "holder_no * 4294967296 + extract(epoch FROM ends_at - timestamptz '1970-01-01 00:00:00+00')::bigint)"
)


def upgrade() -> None:
    op.drop_constraint("nobody_in_two_places", "claims")
    op.create_index("claims_holder_no_ends_at_starts_at_idx", "claims", ["holder_no", "ends_at", "starts_at"])
    op.drop_index("claims_holder_no_starts_at_idx", "claims")
    op.execute(TWO_PLACES)
    op.execute(
        "CREATE TRIGGER nobody_in_two_places AFTER INSERT ON claims REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION nobody_in_two_places()"
    )
    op.execute(STAYS_AWAY)
    op.execute(
        "CREATE TRIGGER who_has_left_stays_away BEFORE UPDATE OF is_active ON claims FOR EACH ROW "
        "WHEN (NEW.is_active AND NOT OLD.is_active) EXECUTE FUNCTION who_has_left_stays_away()"
    )
    op.execute("REVOKE UPDATE ON claims FROM linli_gateway")
    op.execute("GRANT UPDATE (state, is_active, held_until, resource_id, reason, left_at) ON claims TO linli_gateway")


def downgrade() -> None:
    op.execute("GRANT UPDATE ON claims TO linli_gateway")
    for name in ("who_has_left_stays_away", "nobody_in_two_places"):
        op.execute(f"DROP TRIGGER {name} ON claims")
        op.execute(f"DROP FUNCTION {name}()")
    op.create_index("claims_holder_no_starts_at_idx", "claims", ["holder_no", "starts_at"])
    op.drop_index("claims_holder_no_ends_at_starts_at_idx", "claims")
    op.execute(
        f"ALTER TABLE claims ADD CONSTRAINT nobody_in_two_places EXCLUDE USING spgist ({DURING} WITH &&) "
        "WHERE (is_active AND is_exclusive)"
    )
