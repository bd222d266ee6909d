"""What people have undone is no lineage: `v_lineage` leaves out merges and divisions that count no more."""

from __future__ import annotations

from alembic import op

from storage.migrations.views_0001 import V_LINEAGE as AS_BEFORE

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

V_LINEAGE = """
CREATE VIEW v_lineage AS
SELECT r.at, 'split' AS relation, p.parent_id, p.cluster_id AS child_id
FROM cluster_parents p
JOIN clusters c ON c.id = p.cluster_id
JOIN revisions r ON r.id = c.born_revision
WHERE NOT EXISTS
    (SELECT 1 FROM corrections k WHERE k.type = 'divided' AND k.cluster_id = p.cluster_id AND NOT k.active)
UNION ALL
SELECT e.at, e.type AS relation, e.cluster_id AS parent_id, o.cluster_id AS child_id
FROM events e JOIN event_others o ON o.event_id = e.id WHERE e.type = 'absorbed'
UNION ALL
SELECT e.at, e.type AS relation, o.cluster_id AS parent_id, e.cluster_id AS child_id
FROM events e JOIN event_others o ON o.event_id = e.id
WHERE e.type = 'merged' AND NOT EXISTS (SELECT 1 FROM corrections k WHERE k.event_id = e.id AND NOT k.active)
"""


def upgrade() -> None:
    op.execute("DROP VIEW v_lineage")
    op.execute(V_LINEAGE)


def downgrade() -> None:
    op.execute("DROP VIEW v_lineage")
    op.execute(AS_BEFORE)
