"""`pyrunbook list`: the runbooks there are."""

from __future__ import annotations

import json

import click

from pyrunbook.cli.options import json_option
from pyrunbook.cli.table import echo_table
from pyrunbook.errors import ExitCode


@click.command("list")
@json_option
@click.pass_context
def list_runbooks(ctx: click.Context, as_json: bool) -> None:
    """List the runbooks: id, title, window, how long a run takes; in a project also whose they are.

    A project has the shipped runbooks besides its own; one of its own goes before the shipped one of the same id.

    Any playbook of the project is listed, also one without metadata: it can be run, and has no window and no way back.

    A runbook that cannot be read is named on stderr with every mistake in it, and the exit code is 2; the others are
    listed all the same.
    """
    from pyrunbook.catalog import load
    from pyrunbook.windows.duration import format_duration

    catalog = load()
    own, replacing = catalog.own, catalog.replacing
    rows: list[list[str]] = []
    for runbook in catalog:
        metadata = runbook.metadata
        window = metadata.window.spec or "as the inventory says"
        if not runbook.described:
            window = "none: no metadata"
        if as_json:
            facts = {
                "id": runbook.id,
                "category": runbook.category,
                "title": metadata.title.languages,
                "summary": metadata.summary.languages,
                "owner": metadata.owner,
                "updated": metadata.updated.isoformat() if metadata.updated else None,
                "window": metadata.window.spec,
                "window_required": metadata.window.required,
                "estimate_seconds": int(metadata.estimate.total_seconds()),
                "reserve_seconds": int(metadata.reserve.total_seconds()),
                "path": str(runbook.path),
                "lacks": runbook.lacks,
                "from": "project" if runbook.id in own else "shipped",
                "replaces_shipped": runbook.id in replacing,
            }
            click.echo(json.dumps(facts, ensure_ascii=False))
        takes = format_duration(metadata.estimate) if metadata.estimate else ""
        whose = "this project" if runbook.id in own else "shipped"
        if runbook.id in replacing:
            whose += ", in place of the shipped one"
        rows.append([runbook.id, metadata.title, window, takes, whose])
    if not as_json:
        columns = ["RUNBOOK", "TITLE", "WINDOW", "TAKES", "FROM"]
        shown = len(columns) if own else len(columns) - 1
        echo_table(columns[:shown], [row[:shown] for row in rows])
    broken = catalog.broken
    for runbook_id, error in broken.items():
        click.echo(f"Error: {runbook_id} cannot be read:\n{error}", err=True)
    if broken:
        ctx.exit(ExitCode.BAD_INPUT)
