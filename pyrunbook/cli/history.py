"""`pyrunbook history`: the runs that were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.cli.options import json_option
from pyrunbook.cli.table import echo_table
from pyrunbook.journal.outcome import Outcome

if TYPE_CHECKING:
    from pyrunbook.journal import Run


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@click.option("--runbook", shell_complete=complete_runbooks, help="Only runs of this runbook.")
@click.option("--service", help="Only runs that reached this service.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in Outcome]), help="Only runs that ended so.")
@json_option
def history(limit: int, runbook: str | None, service: str | None, outcome: str | None, as_json: bool) -> None:
    """List past runs, the newest first; those that were not brought to an end are marked."""
    from pyrunbook.journal import Journal

    runs: list[Run] = []
    wanted = runbook.removesuffix(".yml").replace("-", "_") if runbook else None
    if Journal.exists():
        with Journal.open() as journal:
            runs = journal.history(limit=limit, runbook=wanted, service=service, outcome=outcome)
    if as_json:
        for run in runs:
            click.echo(json.dumps(run.summary(), ensure_ascii=False))
        return
    if not runs:
        click.echo("No such run is recorded." if wanted or service or outcome else "No run is recorded yet.")
        return
    head = ["RUN", "STARTED (UTC)", "RUNBOOK", "SERVICES", "OPERATOR", "TOOK", "OUTCOME"]
    echo_table(head, [_row(run) for run in runs], optional=("OPERATOR", "TOOK"))


def _row(run: Run) -> list[str]:
    outcome = run.outcome.value.replace("_", " ") if run.outcome else "unfinished"
    if not run.finished:
        outcome += f": pyrunbook recover {run.id}"
    if run.only_steps:
        outcome += f" (only {', '.join(run.only_steps)})"
    if run.check_mode:
        outcome += " (dry run)"
    return [
        run.id,
        f"{run.started:%Y-%m-%d %H:%M:%S}",
        run.runbook,
        ", ".join(part.service for part in run.services) or "-",
        run.operator,
        f"{run.seconds:.1f} s" if run.seconds is not None else "-",
        outcome,
    ]
