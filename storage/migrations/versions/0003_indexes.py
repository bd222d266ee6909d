"""Indexes for the least certain members of a kind and for what changed since a moment."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DOUBTFUL = "ix_assignments_cluster_id_valid_to_probability"
CHANGED, BEGUN = "ix_assignments_valid_from_picture_id", "ix_assignments_valid_from"


def upgrade() -> None:
    op.create_index(DOUBTFUL, "assignments", ["cluster_id", "valid_to", "probability"], unique=False)
    op.create_index(CHANGED, "assignments", ["valid_from", "picture_id"], unique=False)
    op.drop_index(BEGUN, table_name="assignments")


def downgrade() -> None:
    op.create_index(BEGUN, "assignments", ["valid_from"], unique=False)
    op.drop_index(CHANGED, table_name="assignments")
    op.drop_index(DOUBTFUL, table_name="assignments")
