"""Alembic's entry: runs the migrations on the connection that `Database.migrate` hands over, in its transaction."""

from alembic import context

from admin_api.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
