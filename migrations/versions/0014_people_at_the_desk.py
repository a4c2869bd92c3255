"""People at the desk: where they belong, whose number is whose; powers apart; regions that follow one another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROLES = "'staff', 'manager', 'auditor', 'administrator', 'operator', 'kitchen', 'courier', 'carer', 'volunteer', 'gate'"
ROLES_NOW = (
    "'staff', 'manager', 'auditor', 'administrator', 'security', 'operator', 'kitchen', 'courier', 'carer', "
    "'volunteer', 'gate'"
)
POWERS = (("administrator", "security"), ("administrator", "auditor"), ("security", "auditor"))
EVERYBODY = "linli_gateway, linli_identity, linli_booking, linli_elder_meals, linli_childcare, linli_events"

GRANTS = f"""
GRANT SELECT, INSERT, UPDATE ON person_places, identity_conflicts TO linli_identity;
GRANT SELECT ON region_changes TO {EVERYBODY}
"""


def _people() -> None:
    op.add_column("persons", sa.Column("phone_index", sa.LargeBinary(), nullable=True))
    op.add_column("persons", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.create_check_constraint("an_indexed_phone_is_kept", "persons", "phone_index IS NULL OR phone_sealed IS NOT NULL")
    op.create_index("persons_name_idx", "persons", ["name"], postgresql_ops={"name": "text_pattern_ops"})
    op.create_index(
        "persons_phone_index_idx", "persons", ["phone_index"], postgresql_where=sa.text("phone_index IS NOT NULL")
    )
    op.create_index(
        "one_account_per_person",
        "accounts",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "person_places",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("is_home", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('resident', 'registered_elsewhere', 'works_here', 'emigrant', 'visitor', 'business')",
            name="person_place_kind_known",
        ),
        sa.CheckConstraint("NOT is_home OR kind = 'resident'", name="a_home_is_lived_in"),
        sa.CheckConstraint("ended_on >= starts_on", name="person_place_ends_after_it_starts"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="person_places_person_id_fkey"),
        sa.ForeignKeyConstraint(["community"], ["regions.code"], name="person_places_community_fkey"),
        sa.PrimaryKeyConstraint("id", name="person_places_pkey"),
    )
    op.create_index("person_places_person_id_idx", "person_places", ["person_id"])
    op.create_index(
        "one_primary_home",
        "person_places",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("is_home AND ended_on IS NULL"),
    )
    op.create_index(
        "one_tie_of_a_kind_to_a_region",
        "person_places",
        ["person_id", "kind", "community"],
        unique=True,
        postgresql_where=sa.text("ended_on IS NULL"),
    )


def _conflicts() -> None:
    op.create_table(
        "identity_conflicts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint("person_id <> owner_id", name="nobody_is_in_conflict_with_themselves"),
        sa.CheckConstraint("outcome IN ('unfounded', 'corrected', 'same_person')", name="conflict_outcome_known"),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name="a_closed_conflict_was_closed_by_somebody",
        ),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="identity_conflicts_person_id_fkey"),
        sa.ForeignKeyConstraint(["owner_id"], ["persons.id"], name="identity_conflicts_owner_id_fkey"),
        sa.ForeignKeyConstraint(["closed_by"], ["accounts.no"], name="identity_conflicts_closed_by_fkey"),
        sa.PrimaryKeyConstraint("id", name="identity_conflicts_pkey"),
    )
    op.create_index(
        "one_open_conflict_each",
        "identity_conflicts",
        ["person_id", "owner_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def _roles() -> None:
    # What the new laws forbid and what says nothing: an end before the beginning, and the same role twice.
    op.execute("UPDATE roles SET ends_at = starts_at WHERE ends_at < starts_at")
    op.execute(
        "UPDATE roles r SET ends_at = greatest(r.starts_at, now()) WHERE ends_at IS NULL AND EXISTS (SELECT FROM roles o "
        "WHERE o.account_no = r.account_no AND o.role = r.role AND o.prefix = r.prefix "
        "AND o.place_id IS NOT DISTINCT FROM r.place_id AND o.ends_at IS NULL AND o.id < r.id)"
    )
    op.drop_constraint("role_known", "roles", type_="check")
    op.create_check_constraint("role_known", "roles", f"role IN ({ROLES_NOW})")
    op.create_check_constraint("role_ends_after_it_starts", "roles", "ends_at >= starts_at")
    op.create_check_constraint(
        "who_grants_is_not_bound_to_a_place",
        "roles",
        "place_id IS NULL OR role NOT IN ('administrator', 'security')",
    )
    for one, other in POWERS:
        op.execute(
            f"ALTER TABLE roles ADD CONSTRAINT nobody_is_{one}_and_{other} EXCLUDE USING gist ("
            "int8range(account_no, account_no, '[]') WITH &&, "
            f"(CASE role WHEN '{one}' THEN '[0,1)'::int4range ELSE '[1,2)'::int4range END) WITH -|-, "
            f"tstzrange(starts_at, ends_at) WITH &&) WHERE (role IN ('{one}', '{other}'))"
        )
    op.create_index(
        "one_role_each",
        "roles",
        ["account_no", "role", "prefix", "place_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("ends_at IS NULL"),
    )


def _regions() -> None:
    op.add_column("regions", sa.Column("ended_on", sa.Date(), nullable=True))
    op.create_table(
        "region_changes",
        sa.Column("old_code", sa.Text(), nullable=False),
        sa.Column("new_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_principal", sa.Boolean(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('merge', 'split')", name="region_change_kind_known"),
        sa.CheckConstraint("old_code <> new_code", name="no_region_follows_itself"),
        sa.ForeignKeyConstraint(["old_code"], ["regions.code"], name="region_changes_old_code_fkey"),
        sa.ForeignKeyConstraint(["new_code"], ["regions.code"], name="region_changes_new_code_fkey"),
        sa.PrimaryKeyConstraint("old_code", "new_code", name="region_changes_pkey"),
    )
    op.create_index("region_changes_new_code_idx", "region_changes", ["new_code"])
    op.create_index(
        "one_principal_successor",
        "region_changes",
        ["old_code"],
        unique=True,
        postgresql_where=sa.text("is_principal"),
    )


def upgrade() -> None:
    _people()
    _conflicts()
    _roles()
    _regions()
    for statement in GRANTS.strip().split(";"):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("region_changes")
    op.drop_column("regions", "ended_on")
    op.drop_index("one_role_each", table_name="roles")
    for one, other in POWERS:
        op.execute(f"ALTER TABLE roles DROP CONSTRAINT nobody_is_{one}_and_{other}")
    op.drop_constraint("who_grants_is_not_bound_to_a_place", "roles", type_="check")
    op.drop_constraint("role_ends_after_it_starts", "roles", type_="check")
    op.drop_constraint("role_known", "roles", type_="check")
    op.execute("DELETE FROM roles WHERE role = 'security'")
    op.create_check_constraint("role_known", "roles", f"role IN ({ROLES})")
    op.drop_table("identity_conflicts")
    op.drop_table("person_places")
    op.drop_index("one_account_per_person", table_name="accounts")
    op.drop_index("persons_phone_index_idx", table_name="persons")
    op.drop_index("persons_name_idx", table_name="persons")
    op.drop_constraint("an_indexed_phone_is_kept", "persons", type_="check")
    op.drop_column("persons", "version")
    op.drop_column("persons", "phone_index")
