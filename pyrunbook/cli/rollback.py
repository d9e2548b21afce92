"""`pyrunbook rollback`: put back what a plan recorded, or list the plans."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from pyrunbook import catalog, places
from pyrunbook.catalog.metadata import ROLLBACK
from pyrunbook.cli import options
from pyrunbook.cli.project import use_project_of
from pyrunbook.cli.run import asked, start
from pyrunbook.errors import BadInput
from pyrunbook.rollout import plan as plans

if TYPE_CHECKING:
    from pyrunbook.journal import Run


@dataclass(frozen=True)
class _Undo:
    """What is to be put back.

    Attributes:
        runbook: the one that puts it back.
        id: the run that is undone.
        services: as a host pattern; empty where only the machines know which.
        inventory: of that run.
        what: as the question before it says it.
        inputs: of that run, where its playbook is a plain one; those that were secret are not recorded.
    """

    runbook: str
    id: str
    services: str
    inventory: tuple[str, ...]
    what: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


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
@click.option("-e", "--extra-vars", multiple=True, metavar="KEY=VALUE", help="Inputs; also @file or a mapping.")
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
    extra_vars: tuple[str, ...],
) -> None:
    """Put back what a rollback PLAN recorded; `plans` lists them.

    PLAN is the id of the run that recorded it, a beginning of that id, or `latest`: the last run that can be undone.
    Without --inventory the rollback goes where that run went. A plan that another machine recorded is found at the
    service: give its whole id and --inventory. A run that rotated certificates has no plan: its id brings back the
    certificates that it replaced.
    """
    if plan == "plans":
        _list(as_json)
        return
    undo = _other_undo(plan, inventory) or _where(plan, inventory)
    if not yes and not check and not as_json:
        try:
            click.confirm(f"Put back {undo.what} for {undo.services or 'its services'}?", abort=True, err=True)
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise BadInput(
                "nobody is there to say whether to put it back", next_step=f"pyrunbook rollback {undo.id} --yes"
            ) from None

    runbook = catalog.load().get(undo.runbook)
    if runbook.plain:
        places.use_config_for(runbook.path)
    inputs = {**undo.inputs, **options.extra_variables(extra_vars), **dict.fromkeys(runbook.needed[:1], undo.id)}
    told = asked(runbook, inputs)
    code = start(
        runbook,
        undo.inventory,
        as_json=as_json,
        mode="rollback",
        limit=limit or undo.services,
        extra_vars=inputs,
        check=check,
        diff=diff,
        verbosity=verbosity,
        told=told,
    )
    ctx.exit(code)


def _other_undo(selector: str, inventory: tuple[str, ...]) -> _Undo | None:
    """How to undo a run whose runbook has an undo of its own (`undone_by`); `None` where a rollback plan is meant.

    `latest` is the last run of the project in use that can be undone, whatever its runbook.
    """
    from pyrunbook.journal import Journal

    if not Journal.exists():
        return None
    with Journal.open() as journal:
        try:
            if selector == "latest":
                known, here = catalog.load(), places.project_in_use()
                changed = (run for run in journal.history(None) if run.changed and run.project in (None, here))
                whole = (journal.get(run.id) for run in changed)
                run = next((each for each in whole if _offered(each, known.way_back(each.runbook))), None)
            else:
                run = journal.get(selector)
        except BadInput:
            return None
    if run is None:
        return None
    use_project_of(run, "rollback")
    undone_by = catalog.load().way_back(run.runbook) or ("" if run.plain else ROLLBACK)
    if undone_by == ROLLBACK:
        return None
    if not undone_by:
        raise BadInput(
            f"{run.runbook} has no way back (undone_by), so nothing puts back what run {run.id} changed",
            next_step=f"see what it changed: pyrunbook report {run.id}",
        )
    if not run.changed:
        raise BadInput(f"run {run.id} of {run.runbook} changed nothing, so there is nothing to put back")
    return _Undo(
        undone_by,
        run.id,
        ",".join(run.stays_on or [service.service for service in run.services if service.changed]),
        options.inventory_sources(inventory) if inventory else tuple(run.inventory.split(", ")),
        f"what run {run.id} of {run.runbook} replaced",
        run.known_inputs if run.plain else {},
    )


def _offered(run: Run, undone_by: str) -> bool:
    """Whether the report of a run offers to roll it back."""
    from pyrunbook.journal.report import undo

    return (undo(run, undone_by=undone_by)[1] or "").startswith("pyrunbook rollback")


def _where(selector: str, inventory: tuple[str, ...]) -> _Undo:
    try:
        found = plans.find(selector)
    except BadInput:
        if inventory and re.fullmatch("[0-9a-f]{8}", selector):
            what = f"what plan {selector} recorded"
            return _Undo(ROLLBACK, selector, "", options.inventory_sources(inventory), what)
        raise
    services = ",".join(plan.service for plan in found)
    what = f"what plan {found[0].id} recorded"
    if inventory:
        return _Undo(ROLLBACK, found[0].id, services, options.inventory_sources(inventory), what)

    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        try:
            recorded = tuple(journal.get(found[0].id).inventory.split(", "))
        except BadInput as error:
            raise BadInput(
                f"the journal does not know run {found[0].id}, so nobody knows its inventory",
                next_step=f"pyrunbook rollback {found[0].id} -i INVENTORY",
            ) from error
    return _Undo(ROLLBACK, found[0].id, services, recorded, what)


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
