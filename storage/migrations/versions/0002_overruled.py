"""What the agent says of pictures and kinds where people have decided otherwise."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

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
