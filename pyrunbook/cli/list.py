"""`pyrunbook list`: the runbooks there are."""

from __future__ import annotations

import json

import click

from pyrunbook import places
from pyrunbook.cli.options import json_option
from pyrunbook.cli.table import echo_table
from pyrunbook.errors import ExitCode


@click.command("list")
@json_option
@click.pass_context
def list_runbooks(ctx: click.Context, as_json: bool) -> None:
    """List the runbooks: id, title, window, how long a run takes.

    A runbook that cannot be read is named on stderr with every mistake in it, and the exit code is 2; the others are
    listed all the same.
    """
    from pyrunbook.catalog import load
    from pyrunbook.windows.duration import format_duration

    catalog = load()
    rows: list[list[str]] = []
    for runbook in catalog:
        metadata = runbook.metadata
        window = metadata.window.spec or "as the inventory says"
        if as_json:
            facts = {
                "id": runbook.id,
                "category": runbook.category,
                "title": metadata.title.languages,
                "summary": metadata.summary.languages,
                "owner": metadata.owner,
                "updated": metadata.updated.isoformat(),
                "window": metadata.window.spec,
                "window_required": metadata.window.required,
                "estimate_seconds": int(metadata.estimate.total_seconds()),
                "reserve_seconds": int(metadata.reserve.total_seconds()),
                "path": str(runbook.path),
            }
            click.echo(json.dumps(facts, ensure_ascii=False))
        takes = format_duration(metadata.estimate) if metadata.estimate else ""
        rows.append([runbook.id, metadata.title, window, takes])
    if not as_json:
        echo_table(["RUNBOOK", "TITLE", "WINDOW", "TAKES"], rows)
    if places.unread_envrc():
        click.echo("These are not the runbooks of this directory.\nNext: . ./.envrc", err=True)
    broken = catalog.broken
    for runbook_id, error in broken.items():
        click.echo(f"Error: {runbook_id} cannot be read:\n{error}", err=True)
    if not rows and not broken:
        click.echo("There are no runbooks.", err=True)
    if broken:
        ctx.exit(ExitCode.BAD_INPUT)
