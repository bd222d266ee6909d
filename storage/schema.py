"""The tables. What they hold and which questions are indexed; nothing about how they are filled.

Times are UTC. Vectors are float16 bytes, little endian, as many as the encoder has dimensions.
A *revision* is one visible change of assignments or clusters: rows of `assignments` live from `valid_from` up to, and
not including, `valid_to`. Rows beyond the newest revision belong to a writer that has not finished, or never will.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

SCHEMA_VERSIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every schema this program can read, oldest first; the last one is its own."""

COUNTERS = ("pictures", "rejected", "pending", "unassigned", "behind", "next_cluster", "next_version")


class Utc(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC out. SQLite keeps them as text that sorts by time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=dialect.name != "sqlite"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; times are stored in UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = BigInteger().with_variant(Integer, "sqlite")
Sha256 = String(64).with_variant(String(64, collation="C"), "postgresql")
"""In the order of its bytes, so that those that begin alike lie together; in Danish, `aa` comes after `z`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _picture_key(**kwargs: Any) -> Column[int]:
    return Column("picture_id", Id, ForeignKey("pictures.id", ondelete="CASCADE"), nullable=False, **kwargs)


# -------------------------------------------------------------------------- what arrived

pictures = Table(
    "pictures",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sha256", Sha256, nullable=False, unique=True),
    Column("captured_at", Utc, nullable=False),
    Column("ingested_at", Utc, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Index(None, "captured_at"),
    Index(None, "ingested_at"),
    sqlite_autoincrement=True,  # an id that was forgotten is never given again
)

locations = Table(
    "locations",
    metadata,
    Column("id", Id, primary_key=True),
    _picture_key(),
    Column("uri", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("seen_at", Utc, nullable=False),
    Column("missing_at", Utc),
    Index(None, "picture_id"),
    Index(None, "source", "id"),
    Index(
        "uq_locations_present_uri",
        "uri",
        unique=True,
        # on PostgreSQL a constraint, by migration 0001: saying it here makes every reading verb import that dialect
        sqlite_where=text("missing_at IS NULL"),
    ),
)

thumbnails = Table("thumbnails", metadata, _picture_key(primary_key=True), Column("image", LargeBinary, nullable=False))

rejections = Table(
    "rejections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("uri", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("sha256", String(64), nullable=False),
    Column("captured_at", Utc, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", Utc, nullable=False),
    Column("last_at", Utc, nullable=False),
    Index(None, "source", "id"),
)

sources = Table(
    "sources",
    metadata,
    Column("name", Text, primary_key=True),
    Column("first_at", Utc, nullable=False),
    Column("last_at", Utc, nullable=False),
)

# -------------------------------------------------------------------------- what the encoder made of it

encoder_versions = Table(
    "encoder_versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("config", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("published_at", Utc),
    Column("retired_at", Utc),
)

innate = Table("innate", metadata, _picture_key(primary_key=True), Column("vector", LargeBinary, nullable=False))

embeddings = Table(
    "embeddings",
    metadata,
    Column("version", Integer, ForeignKey("encoder_versions.version"), primary_key=True),
    _picture_key(primary_key=True),
    Column("vector", LargeBinary, nullable=False),
    Index(None, "picture_id"),
)

# one row for each picture on the map; `version` is the encoder's by which it was placed there: a map is laid upon the
# last one, so places of different versions go together
layouts = Table(
    "layouts",
    metadata,
    Column("version", Integer, ForeignKey("encoder_versions.version"), primary_key=True),
    _picture_key(primary_key=True),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
    Index(None, "picture_id"),
)

learner_steps = Table(
    "learner_steps",
    metadata,
    Column("step", Id, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("loss", Float, nullable=False),
    Column("align_loss", Float, nullable=False),
    Column("grad_norm", Float, nullable=False),
    Column("ewc_ratio", Float, nullable=False),
    Column("drift", Float, nullable=False),
    Column("views", Integer, nullable=False),
    Column("learned_through", Id, nullable=False),
)

# -------------------------------------------------------------------------- kinds and their history

clusterings = Table(
    "clusterings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("revision", Id, nullable=False, unique=True),
    Column("encoder_version", Integer, ForeignKey("encoder_versions.version"), nullable=False),
    Column("through_picture", Id, nullable=False),
    Column("window_size", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("parameters", JSON, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("actor", Text, nullable=False),
    Column("clustering_id", Id, ForeignKey("clusterings.id")),
    Index(None, "at"),
)

window = Table("window", metadata, _picture_key(primary_key=True))

clusters = Table(
    "clusters",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    # what the agent says, of a kind that people have merged into another; `state` says `ended` then
    Column("machine_state", String(16)),
    Column("name", Text, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("core_size", BigInteger, nullable=False),
    Column("first_seen", Utc),
    Column("last_seen", Utc),
    Column("coarser", Integer),
    Column("absent_rounds", Integer, nullable=False),
    Column("last_new_picture", Id, nullable=False),
    Column("exemplars", JSON, nullable=False),
    Column("statistics", JSON, nullable=False),
    Column("born_revision", Id, nullable=False),
    Index(None, "state"),
)

cluster_parents = Table(
    "cluster_parents",
    metadata,
    Column("cluster_id", Id, ForeignKey("clusters.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("parent_id", Id, nullable=False),
    Index(None, "parent_id"),
)

cluster_rounds = Table(
    "cluster_rounds",
    metadata,
    Column("cluster_id", Id, ForeignKey("clusters.id"), primary_key=True),
    Column("revision", Id, ForeignKey("revisions.id"), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("core_size", BigInteger, nullable=False),
    Column("first_seen", Utc),
    Column("last_seen", Utc),
    Column("coarser", Integer),
    Column("exemplars", JSON, nullable=False),
    Column("statistics", JSON, nullable=False),
    Index(None, "revision"),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", Id, primary_key=True),
    _picture_key(),
    # no foreign key: a large round is written in several transactions, and its new clusters come with the last one
    Column("cluster_id", Id),
    Column("probability", Float, nullable=False),
    Column("core", Boolean, nullable=False),
    Column("valid_from", Id, nullable=False),
    Column("valid_to", Id),
    Index(None, "picture_id", "valid_to"),
    Index(None, "cluster_id", "picture_id", "valid_to"),
    Index(None, "cluster_id", "valid_to", "probability"),
    Index(None, "valid_from", "picture_id"),
    Index(None, "valid_to"),
)

overruled = Table(
    "overruled",
    metadata,
    _picture_key(primary_key=True),
    # what the agent says now of a picture that people have placed; None: unassigned
    Column("cluster_id", Id),
    Column("probability", Float, nullable=False),
    Column("core", Boolean, nullable=False),
    Index(None, "cluster_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("type", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("cluster_id", Id),
    Column("revision", Id, nullable=False),
    Column("clustering_id", Id, ForeignKey("clusterings.id")),
    Column("encoder_version", Integer, ForeignKey("encoder_versions.version")),
    Column("detail", JSON, nullable=False),
    Index(None, "at"),
    Index(None, "type", "id"),
    Index(None, "cluster_id", "id"),
    sqlite_autoincrement=True,
)

event_others = Table(
    "event_others",
    metadata,
    Column("event_id", Id, ForeignKey("events.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("cluster_id", Id, nullable=False),
    Index(None, "cluster_id"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, ForeignKey("events.id"), nullable=False, unique=True),
    Column("type", String(32), nullable=False),
    Column("cluster_id", Id),
    Column("payload", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Index(None, "active", "id"),
)

forgotten = Table(
    "forgotten",
    metadata,
    # of a content hash, and from it nobody gets that hash back, unless they have the picture
    Column("mark", String(64), primary_key=True),
    Column("at", Utc, nullable=False),
)

# -------------------------------------------------------------------------- small facts

counters = Table(
    "counters", metadata, Column("name", String(32), primary_key=True), Column("value", BigInteger, nullable=False)
)

state = Table(
    "state",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("at", Utc, nullable=False),
)
