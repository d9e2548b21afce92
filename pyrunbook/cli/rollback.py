"""`pyrunbook rollback`: put back what a plan recorded, or list the plans."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from pyrunbook import catalog
from pyrunbook.cli import options
from pyrunbook.errors import BadInput
from pyrunbook.rollout import plan as plans

ROLLBACK = "deployment/rollback"


def _complete_plans(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    ids = ["latest", "plans", *(plan.id for plan in plans.local())]
    return [plan_id for plan_id in dict.fromkeys(ids) if plan_id.startswith(incomplete)]


@click.command()
@click.argument("plan", default="latest", shell_complete=_complete_plans)
@options.inventory_options
@click.option("--check", is_flag=True, help="Dry run: say what would change, change nothing.")
@click.option("--diff", is_flag=True, help="Show differences.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.json_option
@options.verbosity_option
@click.pass_context
def rollback(
    ctx: click.Context,
    plan: str,
    inventory: tuple[str, ...],
    limit: str,
    check: bool,
    diff: bool,
    yes: bool,
    as_json: bool,
    verbosity: int,
) -> None:
    """Put back what a rollback PLAN recorded; `plans` lists them.

    PLAN is the id of the run that recorded it, a beginning of that id, or `latest`. Without --inventory the rollback
    goes where that run went. A plan that another machine recorded is found at the service: give its whole id and
    --inventory.
    """
    if plan == "plans":
        _list(as_json)
        return
    plan_id, services, sources = _where(plan, inventory)
    if not yes and not check and not as_json:
        click.confirm(f"Put back what plan {plan_id} recorded for {services or 'its services'}?", abort=True, err=True)

    from pyrunbook.execution import display
    from pyrunbook.execution import run as execution
    from pyrunbook.execution.play import Request
    from pyrunbook.journal import new_run_id

    runbook = catalog.load().get(ROLLBACK)
    request = Request(
        playbook=runbook.path,
        inventory=sources,
        run_id=new_run_id(),
        mode="rollback",
        limit=limit or services,
        extra_vars={"plan": plan_id},
        check=check,
        diff=diff,
        verbosity=verbosity,
    )
    shown = display.choose(
        as_json=as_json, title=str(runbook.metadata.title), inventory=options.inventory_name(sources)
    )
    with shown:
        result = execution.operate(request, shown)
    ctx.exit(int(result.exit_code))


def _where(selector: str, inventory: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    """The plan's id, its services as a host pattern, and the inventory to use."""
    try:
        found = plans.find(selector)
    except BadInput:
        if inventory and re.fullmatch("[0-9a-f]{8}", selector):
            return selector, "", options.inventory_sources(inventory)
        raise
    services = ",".join(plan.service for plan in found)
    if inventory:
        return found[0].id, services, options.inventory_sources(inventory)

    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        try:
            recorded = tuple(journal.get(found[0].id).inventory.split(", "))
        except BadInput as error:
            raise BadInput(
                f"the journal does not know run {found[0].id}, so nobody knows its inventory",
                next_step=f"pyrunbook rollback {found[0].id} -i INVENTORY",
            ) from error
    return found[0].id, services, recorded


def _list(as_json: bool) -> None:
    found = plans.local()
    if not found and not as_json:
        click.echo("No rollback plan is kept on this machine.")
    for plan in found:
        facts: dict[str, Any] = {
            key: getattr(plan, key)
            for key in ("id", "created", "service", "platform", "active", "release", "runbook", "operator")
        }
        if as_json:
            click.echo(json.dumps(facts))
        else:
            click.echo(
                f"{plan.id}  {plan.created[:19].replace('T', ' ')} UTC  {plan.service} ({plan.platform}): "
                f"{plan.active} served {plan.release}  {plan.runbook} by {plan.operator}"
            )
