"""`pyrunbook report`: one run, as a page."""

from __future__ import annotations

import json
from contextlib import suppress

import click

from pyrunbook.cli.completion import complete_runs
from pyrunbook.errors import BadInput


@click.command()
@click.argument("run", default="latest", shell_complete=complete_runs)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="Of the report.",
)
def report(run: str, form: str) -> None:
    """Report RUN: steps with their times, window, attestations, evidence, outcome, and how to undo it.

    RUN is its id, a beginning of it, or `latest`.
    """
    from pyrunbook.journal import Journal
    from pyrunbook.journal.report import as_markdown, undo

    if not Journal.exists():
        raise BadInput(f"no run {run!r}: nothing has been recorded on this machine yet", next_step="pyrunbook list")
    with Journal.open() as journal:
        found = journal.get(run)
    ended_by, undone_by = _other_runbooks(found.runbook)
    if form == "json":
        click.echo(
            json.dumps(
                {**found.as_dict(), "next_step": undo(found, ended_by, undone_by)[1]}, ensure_ascii=False, indent=2
            )
        )
    else:
        click.echo(as_markdown(found, ended_by, undone_by), nl=False)


def _other_runbooks(runbook: str) -> tuple[str, str]:
    """The command that ends what a run of this runbook leaves on purpose, and the id of what undoes it; or nothing."""
    from pyrunbook import catalog

    with suppress(BadInput):  # the runbook may have been removed since
        known = catalog.load()
        ended_by = known.get(runbook).metadata.ended_by
        return known.get(ended_by).command if ended_by else "", known.get(runbook).undone_by
    return "", ""
