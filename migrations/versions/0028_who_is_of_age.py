"""A child goes home with somebody of age: whether somebody is, and no birthday, is told to the children's rooms."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

IS_OF_AGE = """
CREATE FUNCTION is_of_age(person uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT coalesce(born + interval '18 years' <= (now() AT TIME ZONE 'Asia/Shanghai')::date, true) FROM holders WHERE id = person
$$;
REVOKE ALL ON FUNCTION is_of_age(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_of_age(uuid) TO linli_childcare;
"""


def upgrade() -> None:
    op.execute(IS_OF_AGE)


def downgrade() -> None:
    op.execute("DROP FUNCTION is_of_age(uuid)")
