"""The connection to the journal's database: durable commits, waits for other writers, never shows a password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from pyrunbook import places
from pyrunbook.journal.errors import BadJournalUrl, explain
from pyrunbook.redaction import redact_text

BUSY_TIMEOUT = 30.0
"""How long a writer waits for another one, in seconds."""

CONNECT_TIMEOUT = 10
"""How long a PostgreSQL server may take to accept a connection, in seconds."""


def parse_url(text: str) -> URL:
    """The URL of a journal, with our driver for PostgreSQL.

    Raises:
        BadJournalUrl: not a URL, not SQLite or PostgreSQL, or SQLite without a file.
    """
    form = "sqlite:////absolute/path.db or postgresql://user@host/database"
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1) if text.startswith("postgres://") else text)
    except (ArgumentError, ValueError):
        raise BadJournalUrl(
            f"PYRUNBOOK_JOURNAL is not a database URL: {redact_text(text)}", next_step=f"write it as {form}"
        ) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise BadJournalUrl(f"the journal cannot be kept in {backend}", next_step=f"write the URL as {form}")
    if not url.database or url.database == ":memory:":
        raise BadJournalUrl(
            f"{shown(url)} names no file; a journal must outlive the process that writes it",
            next_step="write it as sqlite:////absolute/path.db",
        )
    return url.set(drivername="sqlite", database=str(Path(url.database).expanduser()))


def shown(url: URL) -> str:
    """The URL for messages: without password and without options, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


def exists(url: URL) -> bool:
    """Whether there may be a journal: `False` only where it would be a SQLite file and that is not there."""
    file = Path(url.database or "")
    above = next((parent for parent in file.parents if parent.exists()), Path())
    return url.get_backend_name() != "sqlite" or file.exists() or not above.is_dir()


def engine_for(url: URL) -> Engine:
    """An engine; a commit is on the disk when it returns.

    Raises:
        JournalError: the directory or the file cannot be created, or the driver is missing.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        arguments = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT}
        engine = create_engine(url, pool_size=1, max_overflow=4, pool_pre_ping=True, connect_args=arguments)
    except (ImportError, NoSuchModuleError) as error:
        raise BadJournalUrl(
            f"{shown(url)} needs the PostgreSQL driver, which is not installed ({error})",
            next_step="pip install 'pyrunbook[postgresql]'",
        ) from None

    @event.listens_for(engine, "connect")
    def _be_durable(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute(f"SET lock_timeout = '{int(BUSY_TIMEOUT)}s'")
        connection.commit()

    return engine


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        places.private_directory(path.parent)
        # Created here, so that it is never readable by others; SQLite gives its side files the same mode.
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise explain(shown(url), f"{error.strerror} ({path})") from None
    # No pool: forked workers would inherit its open connections.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _be_durable(connection: Any, _record: Any) -> None:
        # EXTRA also syncs the directory, without which a commit with a rollback journal can be undone by a power cut.
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that writes takes its lock at once: a reader that becomes a writer fails instead of waiting.
        reads = connection.get_execution_options().get("pyrunbook_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def in_our_words(url: URL) -> Iterator[None]:
    """Turn what the database says into a `JournalError`."""
    try:
        yield
    except DBAPIError as error:
        reason = " ".join(str(error.orig or error).split())
        raise explain(shown(url), redact_text(reason, [url.password] if url.password else [])) from None
