"""Runs, services, steps, attestations, evidence."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "runs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started", sa.Float(53), nullable=False),
        sa.Column("inventory", sa.Text, nullable=False),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("strategy", sa.Text),
        sa.Column("check_mode", sa.Boolean, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("rollback_of", sa.String(32)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started", instant, nullable=False),
        sa.Column("ended", instant),
        sa.Column("outcome", sa.String(32)),
        sa.Column("cause", sa.Text),
    )
    op.create_index("runs_started", "runs", ["started"])
    op.create_table(
        "services",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("service", sa.String(255), primary_key=True),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("window", sa.JSON),
        sa.Column("override_reason", sa.Text),
        sa.Column("plan_id", sa.Text),
        sa.Column("plan_checksum", sa.Text),
        sa.Column("changed", sa.Boolean, nullable=False),
        sa.Column("ended", instant),
        sa.Column("outcome", sa.String(32)),
        sa.Column("cause", sa.Text),
    )
    op.create_index("services_service", "services", ["service"])
    _create_table_of_service(
        "steps",
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("started", instant, nullable=False),
        sa.Column("ended", instant),
        sa.Column("outcome", sa.String(32)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
    )
    _create_table_of_service(
        "attestations",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
    )
    _create_table_of_service(
        "evidence",
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", instant, nullable=False),
    )


def _create_table_of_service(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("service", sa.String(255), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["run_id", "service"], ["services.run_id", "services.service"]),
    )
    op.create_index(f"{name}_of_service", name, ["run_id", "service"])
