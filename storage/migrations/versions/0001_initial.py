"""The first schema: pictures, kinds and their history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.migrations.views_0001 import VIEWS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime().with_variant(sa.DateTime(timezone=True), "postgresql")
SHA256 = sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql")
COUNTERS = {
    "pictures": 0,
    "rejected": 0,
    "pending": 0,
    "unassigned": 0,
    "behind": 0,
    "next_cluster": 1,
    "next_version": 2,
}


def upgrade() -> None:
    server = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "clusters",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("core_size", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", TIME, nullable=True),
        sa.Column("last_seen", TIME, nullable=True),
        sa.Column("coarser", sa.Integer(), nullable=True),
        sa.Column("absent_rounds", sa.Integer(), nullable=False),
        sa.Column("last_new_picture", ID, nullable=False),
        sa.Column("exemplars", sa.JSON(), nullable=False),
        sa.Column("statistics", sa.JSON(), nullable=False),
        sa.Column("born_revision", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
    )
    op.create_index(op.f("ix_clusters_state"), "clusters", ["state"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "encoder_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("retired_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_encoder_versions")),
    )
    op.create_table(
        "learner_steps",
        sa.Column("step", ID, autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("loss", sa.Float(), nullable=False),
        sa.Column("align_loss", sa.Float(), nullable=False),
        sa.Column("grad_norm", sa.Float(), nullable=False),
        sa.Column("ewc_ratio", sa.Float(), nullable=False),
        sa.Column("drift", sa.Float(), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("learned_through", ID, nullable=False),
        sa.PrimaryKeyConstraint("step", name=op.f("pk_learner_steps")),
    )
    op.create_table(
        "pictures",
        sa.Column("id", ID, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("captured_at", TIME, nullable=False),
        sa.Column("ingested_at", TIME, nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
        sa.UniqueConstraint("sha256", name=op.f("uq_pictures_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_pictures_captured_at"), "pictures", ["captured_at"], unique=False)
    op.create_index(op.f("ix_pictures_ingested_at"), "pictures", ["ingested_at"], unique=False)
    op.create_table(
        "rejections",
        sa.Column("id", ID, nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("captured_at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejections")),
        *([] if server else [sa.UniqueConstraint("uri", name=op.f("uq_rejections_uri"))]),
    )
    op.create_index(op.f("ix_rejections_source_id"), "rejections", ["source", "id"], unique=False)
    op.create_table(
        "sources",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "state",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_state")),
    )
    op.create_table(
        "assignments",
        sa.Column("id", ID, nullable=False),
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("cluster_id", ID, nullable=True),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("core", sa.Boolean(), nullable=False),
        sa.Column("valid_from", ID, nullable=False),
        sa.Column("valid_to", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_assignments_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index(
        op.f("ix_assignments_cluster_id_picture_id_valid_to"),
        "assignments",
        ["cluster_id", "picture_id", "valid_to"],
        unique=False,
    )
    op.create_index(op.f("ix_assignments_picture_id_valid_to"), "assignments", ["picture_id", "valid_to"], unique=False)
    op.create_index(op.f("ix_assignments_valid_from"), "assignments", ["valid_from"], unique=False)
    op.create_index(op.f("ix_assignments_valid_to"), "assignments", ["valid_to"], unique=False)
    op.create_table(
        "cluster_parents",
        sa.Column("cluster_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("parent_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_cluster_parents_cluster_id_clusters")),
        sa.PrimaryKeyConstraint("cluster_id", "position", name=op.f("pk_cluster_parents")),
    )
    op.create_index(op.f("ix_cluster_parents_parent_id"), "cluster_parents", ["parent_id"], unique=False)
    op.create_table(
        "clusterings",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("revision", ID, nullable=False),
        sa.Column("encoder_version", sa.Integer(), nullable=False),
        sa.Column("through_picture", ID, nullable=False),
        sa.Column("window_size", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_version"],
            ["encoder_versions.version"],
            name=op.f("fk_clusterings_encoder_version_encoder_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusterings")),
        sa.UniqueConstraint("revision", name=op.f("uq_clusterings_revision")),
    )
    op.create_table(
        "embeddings",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_embeddings_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["encoder_versions.version"], name=op.f("fk_embeddings_version_encoder_versions")
        ),
        sa.PrimaryKeyConstraint("version", "picture_id", name=op.f("pk_embeddings")),
    )
    op.create_index(op.f("ix_embeddings_picture_id"), "embeddings", ["picture_id"], unique=False)
    op.create_table(
        "innate",
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_innate_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("picture_id", name=op.f("pk_innate")),
    )
    op.create_table(
        "layouts",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("x", sa.Float(), nullable=False),
        sa.Column("y", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_layouts_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["encoder_versions.version"], name=op.f("fk_layouts_version_encoder_versions")
        ),
        sa.PrimaryKeyConstraint("version", "picture_id", name=op.f("pk_layouts")),
    )
    op.create_index(op.f("ix_layouts_picture_id"), "layouts", ["picture_id"], unique=False)
    op.create_table(
        "locations",
        sa.Column("id", ID, nullable=False),
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("missing_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_locations_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locations")),
    )
    op.create_index(op.f("ix_locations_picture_id"), "locations", ["picture_id"], unique=False)
    op.create_index(op.f("ix_locations_source_id"), "locations", ["source", "id"], unique=False)
    if server:
        # paths are longer than what a B-tree of PostgreSQL takes (2,704 bytes), and a hash cannot be UNIQUE
        op.execute("ALTER TABLE rejections ADD CONSTRAINT uq_rejections_uri EXCLUDE USING hash (uri WITH =)")
        op.execute(
            "ALTER TABLE locations ADD CONSTRAINT uq_locations_present_uri"
            " EXCLUDE USING hash (uri WITH =) WHERE (missing_at IS NULL)"
        )
    else:
        present = sa.text("missing_at IS NULL")
        op.create_index("uq_locations_present_uri", "locations", ["uri"], unique=True, sqlite_where=present)
    op.create_table(
        "thumbnails",
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_thumbnails_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("picture_id", name=op.f("pk_thumbnails")),
    )
    op.create_table(
        "window",
        sa.Column("picture_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["pictures.id"], name=op.f("fk_window_picture_id_pictures"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("picture_id", name=op.f("pk_window")),
    )
    op.create_table(
        "events",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cluster_id", ID, nullable=True),
        sa.Column("revision", ID, nullable=False),
        sa.Column("clustering_id", ID, nullable=True),
        sa.Column("encoder_version", sa.Integer(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clustering_id"], ["clusterings.id"], name=op.f("fk_events_clustering_id_clusterings")
        ),
        sa.ForeignKeyConstraint(
            ["encoder_version"], ["encoder_versions.version"], name=op.f("fk_events_encoder_version_encoder_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_at"), "events", ["at"], unique=False)
    op.create_index(op.f("ix_events_cluster_id_id"), "events", ["cluster_id", "id"], unique=False)
    op.create_index(op.f("ix_events_type_id"), "events", ["type", "id"], unique=False)
    op.create_table(
        "revisions",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("clustering_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["clustering_id"], ["clusterings.id"], name=op.f("fk_revisions_clustering_id_clusterings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
    )
    op.create_index(op.f("ix_revisions_at"), "revisions", ["at"], unique=False)
    op.create_table(
        "cluster_rounds",
        sa.Column("cluster_id", ID, nullable=False),
        sa.Column("revision", ID, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("core_size", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", TIME, nullable=True),
        sa.Column("last_seen", TIME, nullable=True),
        sa.Column("coarser", sa.Integer(), nullable=True),
        sa.Column("exemplars", sa.JSON(), nullable=False),
        sa.Column("statistics", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name=op.f("fk_cluster_rounds_cluster_id_clusters")),
        sa.ForeignKeyConstraint(["revision"], ["revisions.id"], name=op.f("fk_cluster_rounds_revision_revisions")),
        sa.PrimaryKeyConstraint("cluster_id", "revision", name=op.f("pk_cluster_rounds")),
    )
    op.create_index(op.f("ix_cluster_rounds_revision"), "cluster_rounds", ["revision"], unique=False)
    op.create_table(
        "corrections",
        sa.Column("id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("cluster_id", ID, nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_corrections_event_id_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("event_id", name=op.f("uq_corrections_event_id")),
    )
    op.create_index(op.f("ix_corrections_active_id"), "corrections", ["active", "id"], unique=False)
    op.create_table(
        "event_others",
        sa.Column("event_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cluster_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_others_event_id_events")),
        sa.PrimaryKeyConstraint("event_id", "position", name=op.f("pk_event_others")),
    )
    op.create_index(op.f("ix_event_others_cluster_id"), "event_others", ["cluster_id"], unique=False)
    for view in VIEWS:
        op.execute(view)
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(counters, [{"name": name, "value": value} for name, value in COUNTERS.items()])
