"""What the agent says where people have decided otherwise, and marks of pictures that must not come back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime().with_variant(sa.DateTime(timezone=True), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "overruled",
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("cluster_id", ID, nullable=True),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("core", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_overruled_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("picture_id", name=op.f("pk_overruled")),
    )
    op.create_index(op.f("ix_overruled_cluster_id"), "overruled", ["cluster_id"], unique=False)
    op.add_column("clusters", sa.Column("machine_state", sa.String(length=16), nullable=True))
    op.create_table(
        "forgotten",
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_forgotten")),
    )
