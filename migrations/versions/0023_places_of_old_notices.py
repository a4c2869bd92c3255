"""Notices from before they knew their places learn them: whoever works there reads them too."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        UPDATE notices n SET places = f.places
        FROM notices o CROSS JOIN LATERAL (SELECT ARRAY(
            SELECT named::uuid
            FROM unnest(ARRAY[o.data->>'place_id', o.data->>'facility_id', o.data->>'kitchen_id', o.data->>'room_id']) AS named
            WHERE pg_input_is_valid(named, 'uuid')
            UNION SELECT place_id FROM slots WHERE subject_id = o.subject
            UNION SELECT place_id FROM slots WHERE id = ANY(ARRAY(
                SELECT named::uuid
                FROM (SELECT jsonb_array_elements_text(
                          CASE jsonb_typeof(o.data->'slots') WHEN 'array' THEN o.data->'slots' ELSE '[]' END) AS named
                      UNION ALL SELECT o.data->>'slot_id') AS several
                WHERE pg_input_is_valid(named, 'uuid')))
            UNION SELECT place_id FROM claims
            WHERE NOT o.data ?| '{slots,slot_id}'
              AND group_id = CASE WHEN pg_input_is_valid(o.data->>'group_id', 'uuid') THEN (o.data->>'group_id')::uuid END
        ) AS places) f
        WHERE o.no = n.no AND n.position IS NOT NULL AND n.places = '{}' AND f.places <> '{}'
        """
    )


def downgrade() -> None:
    """What they have learnt stays true."""
