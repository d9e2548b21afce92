"""Run by Alembic, inside the transaction that `pyrunbook.journal.migrate` has opened.

A new revision is a module under `versions/` with the next four digits; `schema.HEAD` and the tables in `schema` follow.
It must keep what is recorded: the journal is the only memory of unfinished runs.
"""

from alembic import context

from pyrunbook.journal.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
