"""Alembic's entry point: run the scripts on the connection, and in the transaction, that `storage.migrate` gives."""

from __future__ import annotations

from alembic import context

from storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
