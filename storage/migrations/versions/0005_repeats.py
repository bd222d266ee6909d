"""How many near copies of a picture came and were not learned from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pictures", sa.Column("repeats", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("pictures", "repeats")
