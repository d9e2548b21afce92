"""`pyrunbook report`: one run, as a page."""

from __future__ import annotations

import json

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
    if form == "json":
        click.echo(json.dumps({**found.as_dict(), "next_step": undo(found)[1]}, ensure_ascii=False, indent=2))
    else:
        click.echo(as_markdown(found), nl=False)
