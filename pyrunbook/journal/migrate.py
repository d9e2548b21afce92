"""Migrates the journal's schema to the revision that this code needs; the first process to come does it.

Alembic takes a quarter of a second to import, so it is imported only when there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from pyrunbook.journal import schema
from pyrunbook.journal.errors import BadJournalUrl

MIGRATIONS = Path(__file__).resolve().parent / "migrations"

_ADVISORY_LOCK = 0x70797275_6E626B00
"""Key of the PostgreSQL advisory lock that keeps two migrations apart ("pyrunbk")."""


def bring_up_to_date(engine: Engine, shown_url: str) -> None:
    """Migrate the schema when it is behind.

    Args:
        engine: whose transactions on SQLite begin as `BEGIN IMMEDIATE` unless marked as reading.
        shown_url: for messages.

    Raises:
        BadJournalUrl: the schema is newer than this code, or the database belongs to another program.
    """
    with engine.connect().execution_options(pyrunbook_reads=True) as connection, connection.begin():
        if _is_current(connection, shown_url):
            return
    # The transaction is the lock: a second starter waits here and then finds the work done.
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        if not _is_current(connection, shown_url):
            _upgrade(connection)


def _is_current(connection: Connection, shown_url: str) -> bool:
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        foreign = sorted(tables & set(schema.metadata.tables))
        if foreign:
            raise BadJournalUrl(
                f"the database {shown_url} has a table `{foreign[0]}`, but it is not a journal of pyrunbook",
                next_step="point PYRUNBOOK_JOURNAL at a database of its own",
            )
        return False
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is None:
        return False
    if not (len(revision) == 4 and revision.isdigit()):
        raise BadJournalUrl(
            f"the database {shown_url} belongs to another program (its schema is at revision {revision!r})",
            next_step="point PYRUNBOOK_JOURNAL at a database of its own",
        )
    if revision > schema.HEAD:
        raise BadJournalUrl(
            f"the journal {shown_url} has schema {revision}; this pyrunbook knows schemas up to {schema.HEAD}",
            means="A newer pyrunbook has been here. An older one could misread an unfinished run, so it does not try.",
            next_step="pip install --upgrade pyrunbook",
        )
    return bool(revision == schema.HEAD)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
