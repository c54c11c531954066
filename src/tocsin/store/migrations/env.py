"""Run by Alembic: migrates the connection that store/schema.py hands over."""

from alembic import context

from tocsin.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
