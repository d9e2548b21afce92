"""What can go wrong with the journal, in the operator's words."""

from __future__ import annotations

from pyrunbook.errors import ExitCode, PyrunbookError


class JournalError(PyrunbookError):
    """The journal cannot be used. Nothing is done that cannot be recorded, hence a refusal."""

    exit_code = ExitCode.REFUSED


class BadJournalUrl(JournalError):
    """The URL of the journal is wrong, or what is there is not a journal that this version understands."""

    exit_code = ExitCode.BAD_INPUT


# What a database says -> (what it means, what to do)
_KNOWN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("database or disk is full", "no space left", "disk full", "could not extend file"),
        "The disk of the journal is full; what is not recorded is not done.",
        "free space there, or point PYRUNBOOK_HOME or PYRUNBOOK_JOURNAL at a disk that has some",
    ),
    (
        ("readonly database", "read-only", "permission denied", "unable to open database", "insufficient privilege"),
        "The journal cannot be written by this user.",
        "make the file and its directory writable for this user, or set PYRUNBOOK_HOME or PYRUNBOOK_JOURNAL",
    ),
    (
        ("database is locked", "lock timeout", "canceling statement due to lock timeout"),
        "Another process has kept the journal busy for too long.",
        "see which process has it open (fuser on the file, pg_stat_activity on a server) and try again",
    ),
    (
        ("not a database", "malformed", "disk i/o error", "corrupt", "invalid page"),
        "The journal is damaged.",
        "move the file away to keep it (a new one is created), or restore the database from its backup",
    ),
    (
        ("password authentication failed", "no password supplied", "role ", "pg_hba.conf"),
        "The database server does not accept these credentials.",
        "correct user and password in PYRUNBOOK_JOURNAL, or in ~/.pgpass",
    ),
    (
        ("connection refused", "timeout expired", "could not connect", "connection failed", "could not translate",
         "failed to resolve", "server closed the connection", "connection is closed", "terminating connection"),
        "The database server of the journal does not answer.",
        "start the server or correct host and port in PYRUNBOOK_JOURNAL; unset it to use SQLite on this machine",
    ),
)  # fmt: skip


def explain(shown_url: str, reason: str) -> JournalError:
    """The error for what a database said."""
    lowered = reason.lower()
    seen = f"the journal {shown_url} cannot be used: {reason}"
    for needles, means, next_step in _KNOWN:
        if any(needle in lowered for needle in needles):
            return JournalError(seen, means=means, next_step=next_step)
    return JournalError(seen, next_step="pyrunbook doctor")
