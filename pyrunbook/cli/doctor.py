"""`pyrunbook doctor`: what is missing to run here."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from pyrunbook.cli import options
from pyrunbook.errors import ExitCode


@click.command()
@options.inventory_options
@options.json_option
@click.pass_context
def doctor(ctx: click.Context, inventory: tuple[str, ...], limit: str, as_json: bool) -> None:
    """Check what is missing to run here: versions, project, state, journal, inventory, reachability, permissions.

    Also says which project commands are about here, and what it holds that may be removed. Changes nothing. Exits 3
    when something is missing.
    """
    from pyrunbook.execution.diagnosis import examine

    good = True
    for finding in examine(options.inventory_sources(inventory), limit):
        good &= finding.good
        if as_json:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
            continue
        click.echo(f"  {'✓' if finding.good else '✗'} {finding.name:<28} {finding.seen}")
        if finding.next_step:
            click.echo(f"      Next: {finding.next_step}")
    ctx.exit(int(ExitCode.SUCCEEDED if good else ExitCode.REFUSED))
