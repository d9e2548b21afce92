"""`pyrunbook recover`: bring an unfinished run to an end."""

from __future__ import annotations

import json

import click

from pyrunbook import catalog
from pyrunbook.cli import options
from pyrunbook.cli.project import use_project_of
from pyrunbook.cli.run import asked
from pyrunbook.errors import BadInput


@click.command()
@click.argument("run", default="latest")
@click.option("--resume", "way", flag_value="resume", help="Finish it.")
@click.option("--rollback", "way", flag_value="rollback", help="Put back what was there.")
@click.option("--force", is_flag=True, help="You made sure that a run of another machine is dead.")
@click.option("--list", "only_list", is_flag=True, help="Only list the unfinished runs.")
@click.option("-i", "--inventory", multiple=True, help="In place of the inventory that the run recorded.")
@click.option(
    "-e", "--extra-vars", multiple=True, metavar="KEY=VALUE", help="Inputs of a rollback playbook; also @file."
)
@options.json_option
@options.verbosity_option
@click.pass_context
def recover(
    ctx: click.Context,
    run: str,
    way: str | None,
    force: bool,
    only_list: bool,
    inventory: tuple[str, ...],
    extra_vars: tuple[str, ...],
    as_json: bool,
    verbosity: int,
) -> None:
    """Bring an unfinished RUN to an end: finish it, or put back what was there.

    A run that died after its verification is finished, because only cleaning up is left; any other is put back. One
    that ended as not cleaned up is cleaned up: name it. Without RUN it takes the latest unfinished one; when there is
    none, it says so, names a run that can still be cleaned up, and succeeds. Exits 0 when the service is in a known,
    served state, 5 when it is not, and 8 when something is still left of what was there before.

    The rollback playbook of a plain one gets the inputs that the run recorded; those that were secret are asked for,
    where the playbook asks (vars_prompt), or given with -e.
    """
    from pyrunbook.execution import display, recovery

    runs = recovery.unfinished()
    if only_list:
        for found in runs:
            if as_json:
                click.echo(json.dumps(found.summary(), ensure_ascii=False))
                continue
            click.echo(f"{found.id}  {found.started:%Y-%m-%d %H:%M:%S} UTC  {found.runbook} by {found.operator}")
        return
    if run == "latest":
        if not runs:
            click.echo("No run is unfinished.", err=as_json)
            if left := recovery.to_clean_up():
                click.echo(f"Run {left.id} is not cleaned up. To clean up: pyrunbook recover {left.id}", err=as_json)
            return
        chosen = runs[0]
    else:
        left = recovery.to_clean_up(run)
        matching = [found for found in [*runs, *([left] if left else [])] if found.id.startswith(run)]
        if len(matching) != 1:
            listed = ", ".join(found.id for found in runs) or "none"
            raise BadInput(
                f"{len(matching) or 'no'} unfinished run{'s match' if matching else ' matches'} {run!r} "
                f"(unfinished: {listed})",
                next_step="pyrunbook recover --list" if runs else f"see how it ended: pyrunbook report {run}",
            )
        chosen = matching[0]
    recovery.refuse_alive(chosen, force=force)
    use_project_of(chosen, "recover")
    sources = options.inventory_sources(inventory) if inventory else ()
    given = options.extra_variables(extra_vars)
    if given and not chosen.plain:
        raise BadInput(
            f"run {chosen.id} of {chosen.runbook} is recovered with the inputs that it began with",
            next_step=f"pyrunbook recover {chosen.id}",
        )
    runbook = recovery.runbook_of(chosen)
    inputs, told = {**recovery.recorded_inputs(chosen), **given}, {}
    if runbook and chosen.plain and runbook.undone_by:
        told = asked(catalog.load().get(runbook.undone_by), inputs)
    shown = display.choose(
        as_json=as_json,
        title=f"Recovery of {runbook.metadata.title if runbook else chosen.runbook}",
        inventory=options.inventory_name(sources or tuple(chosen.inventory.split(", "))),
    )
    with shown:
        result = recovery.recover(
            chosen,
            shown,
            way="resume" if way == "resume" else "rollback" if way == "rollback" else None,
            verbosity=verbosity,
            inventory=sources,
            inputs=inputs,
            told=told,
        )
    ctx.exit(int(result.exit_code))
