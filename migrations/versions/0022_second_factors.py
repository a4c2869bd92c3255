"""Sessions, their codes and logins say whether a second factor was shown; who reads notices knows which regions ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = ("logins", "sessions", "authorization_codes")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("has_second", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute(
        "UPDATE sessions s SET has_second = true FROM second_factors f "
        "WHERE s.provider = 'password' AND f.account_no = s.account_no AND f.enrolled_at <= s.made_at"
    )
    op.execute("GRANT SELECT ON region_changes TO linli_partners")


def downgrade() -> None:
    op.execute("REVOKE SELECT ON region_changes FROM linli_partners")
    for table in TABLES:
        op.drop_column(table, "has_second")
