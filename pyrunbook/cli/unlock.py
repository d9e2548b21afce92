"""`pyrunbook unlock`: who holds the lock of a service, and breaking it when its holder is dead."""

from __future__ import annotations

import click

from pyrunbook import catalog
from pyrunbook.cli import options
from pyrunbook.cli.run import start
from pyrunbook.errors import Refused

UNLOCK = "maintenance/unlock"


@click.command()
@options.inventory_options
@click.option("--break", "holder", default="", metavar="RUN", help="Break the lock that this run holds.")
@click.option("--force", is_flag=True, help="Break it although the journal says that the run is unfinished.")
@options.json_option
@options.verbosity_option
@click.pass_context
def unlock(
    ctx: click.Context,
    inventory: tuple[str, ...],
    limit: str,
    holder: str,
    force: bool,
    as_json: bool,
    verbosity: int,
) -> None:
    """Show who holds the lock of each service, since when; with --break, free it.

    A plain playbook's runs are listed without --inventory: the journal holds their lock.

    A run that died leaves its lock behind on purpose: `pyrunbook recover` brings the run to an end and frees the
    lock. Break a lock only when its run is dead and there is nothing to recover.
    """
    from pyrunbook.execution import recovery

    unfinished = recovery.unfinished()
    plain = [found for found in unfinished if found.plain]
    if holder and not force:
        for found in unfinished:
            if found.id == holder:
                raise Refused(
                    f"Run {holder} is unfinished, so its lock protects what it left in the middle.",
                    means="Nothing was changed.",
                    next_step=f"pyrunbook recover {holder}",
                )
    for found in plain:
        if found.id == holder:
            recovery.refuse_alive(found, force=False)
            recovery.give_up(found)
            click.echo(f"Run {holder} has no lock any more; it ended as it was left.", err=as_json)
            return
        names = ",".join(part.service for part in found.services)
        click.echo(f"{names}: run {found.id} of {found.runbook} by {found.operator}, unfinished", err=as_json)
    if plain and not inventory and not holder:
        return
    sources, inputs = options.inventory_sources(inventory), {"unlock_holder": holder}
    runbook = catalog.load().get(UNLOCK)
    ctx.exit(start(runbook, sources, as_json=as_json, limit=limit, extra_vars=inputs, verbosity=verbosity))
