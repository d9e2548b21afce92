"""The tables of the journal, as they are at revision `HEAD`.

A change of a table is a new module under `migrations/versions/` (see `migrations/env.py`) and the same change here;
a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

HEAD = "0003"
"""Newest revision. Revisions are four digits and count up, so that a newer schema is known without Alembic."""


class Instant(TypeDecorator[datetime]):
    """An aware datetime; kept in UTC, also where the database knows no zones (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: in UTC, and without the zone for SQLite."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the interface
        """From the database: aware, in UTC."""
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("runbook", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    Column("inventory", Text, nullable=False),
    Column("project", Text),
    Column("inputs", JSON, nullable=False),
    Column("strategy", Text),
    Column("only_steps", JSON(none_as_null=True)),
    Column("check_mode", Boolean, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("rollback_of", String(32)),
    Column("attempt", Integer, nullable=False),
    Column("started", Instant, nullable=False),
    Column("ended", Instant),
    Column("outcome", String(32)),
    Column("cause", Text),
    Index("runs_started", "started"),
)

services = Table(
    "services",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("service", String(255), primary_key=True),
    Column("platform", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("window", JSON(none_as_null=True)),
    Column("override_reason", Text),
    Column("plan_id", Text),
    Column("plan_checksum", Text),
    Column("changed", Boolean, nullable=False),
    Column("ended", Instant),
    Column("outcome", String(32)),
    Column("cause", Text),
    Index("services_service", "service"),
)


def _of_service(name: str, *columns: Column[Any]) -> Table:
    """A table of what belongs to a service of a run."""
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("run_id", String(32), nullable=False),
        Column("service", String(255), nullable=False),
        *columns,
        ForeignKeyConstraint(["run_id", "service"], ["services.run_id", "services.service"]),
        Index(f"{name}_of_service", "run_id", "service"),
    )


steps = _of_service(
    "steps",
    Column("step", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("started", Instant, nullable=False),
    Column("ended", Instant),
    Column("outcome", String(32)),
    Column("detail", Text, nullable=False),
    Column("error", Text),
)
attestations = _of_service(
    "attestations",
    Column("name", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
evidence = _of_service(
    "evidence",
    Column("step", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", JSON, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Instant, nullable=False),
)
