"""What goes along with a merge is kept with the revision from which on it does; of older ones, that of its birth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CORRECTIONS = sa.table("corrections", sa.column("id"), sa.column("type"), sa.column("payload", sa.JSON))
CLUSTERS = sa.table("clusters", sa.column("id"), sa.column("born_revision"))


def upgrade() -> None:
    born = {row.id: row.born_revision for row in op.get_bind().execute(sa.select(CLUSTERS))}
    _rewrite(lambda kinds: [[kind, born[kind]] for kind in kinds])


def downgrade() -> None:
    _rewrite(lambda taken: [kind for kind, _ in taken])


def _rewrite(rewritten: Callable[[list[Any]], list[Any]]) -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(CORRECTIONS).where(CORRECTIONS.c.type == "merged")).all():
        if "offspring" in row.payload:
            payload = {**row.payload, "offspring": rewritten(row.payload["offspring"])}
            connection.execute(sa.update(CORRECTIONS).where(CORRECTIONS.c.id == row.id).values(payload=payload))
