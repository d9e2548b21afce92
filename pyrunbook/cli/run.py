"""`pyrunbook run` and `pyrunbook maintenance`: run a runbook, and put back what was there when it fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from pyrunbook import catalog, windows
from pyrunbook.cli import options
from pyrunbook.errors import BadInput

UPDATE = "maintenance/production_update"


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of everything that runs a runbook."""
    decorators: list[Callable[..., Any]] = [
        options.inventory_options,
        click.option("-e", "--extra-vars", multiple=True, metavar="KEY=VALUE", help="Inputs; also @file or a mapping."),
        click.option("--check", is_flag=True, help="Dry run: say what would change, change nothing."),
        click.option("--diff", is_flag=True, help="Show differences."),
        click.option(
            "--window",
            "window",
            is_flag=False,
            flag_value="",
            metavar="[SPEC]",
            help="Keep to the declared window, or to SPEC, like 'Sun 02:00-04:00 UTC'. A declared window holds anyway.",
        ),
        click.option("--wait", is_flag=True, help="Wait until the window opens."),
        click.option("--no-window", is_flag=True, help="Run outside the window; needs --reason, which is recorded."),
        click.option("--reason", default="", metavar="TEXT", help="Why the run may start outside its window."),
        click.option("--attest", multiple=True, metavar="NAME", help="Say that a prerequisite holds; recorded."),
        click.option("--yes", is_flag=True, help="Answer yes to every question, attestations too; recorded as yours."),
        click.option("--step", multiple=True, metavar="ID", help="Only this step, with its guards; may be repeated."),
        click.option("--timeout", metavar="DURATION", help="End and put back after this time, like 45m."),
        options.json_option,
        options.verbosity_option,
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def _complete_runbooks(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [runbook.id for runbook in catalog.load() if runbook.id.startswith(incomplete)]


@click.command()
@click.argument("runbook", shell_complete=_complete_runbooks)
@run_options
@click.pass_context
def run(ctx: click.Context, /, runbook: str, **given: Any) -> None:
    """Run a RUNBOOK, like maintenance/production_update.

    The window, the lock and the prerequisites are checked before anything is changed; a failed step puts back what was
    there.
    """
    ctx.exit(_operate(runbook, **given))


@click.command()
@run_options
@click.pass_context
def maintenance(ctx: click.Context, /, **given: Any) -> None:
    """Update the production service: run maintenance/production_update.

    \b
    pyrunbook maintenance --window              keep to the declared window
    pyrunbook maintenance --window --wait       wait until it opens
    pyrunbook maintenance --check               say what would change
    """  # noqa: D301 - click reads the character, not the two signs
    ctx.exit(_operate(UPDATE, **given))


def _operate(name: str, **given: Any) -> int:
    runbook = catalog.load().get(name)
    extra = options.extra_variables(given["extra_vars"])
    if given["no_window"] and not given["reason"].strip():
        raise BadInput("--no-window needs a reason", next_step="--no-window --reason 'why it cannot wait'")
    if given["no_window"] and given["window"] is not None:
        raise BadInput("--window and --no-window exclude each other")
    if given["reason"] and not given["no_window"]:
        raise BadInput("--reason goes with --no-window")
    if given["window"]:
        windows.parse(given["window"])
        extra["preflight_window"] = given["window"]
    if given["no_window"]:
        extra["preflight_window_override"] = given["reason"].strip()
    timeout = windows.parse_duration(given["timeout"]) if given["timeout"] else runbook.metadata.timeout
    _check_steps(runbook, given["step"])
    sources = options.inventory_sources(given["inventory"])
    extra["preflight_attested"] = _attested(runbook, given)
    if given["wait"]:
        _wait(runbook, sources, given)

    # Imported here: the database and Ansible's runner are not needed to refuse a wrong option.
    from pyrunbook.execution import display
    from pyrunbook.execution import run as execution
    from pyrunbook.execution.play import Request
    from pyrunbook.journal import new_run_id

    request = Request(
        playbook=runbook.path,
        inventory=sources,
        run_id=new_run_id(),
        limit=given["limit"],
        extra_vars=extra,
        tags=",".join(given["step"]),
        check=given["check"],
        diff=given["diff"],
        verbosity=given["verbosity"],
        timeout=timeout.total_seconds() if timeout else None,
    )
    shown = display.choose(
        as_json=given["as_json"], title=str(runbook.metadata.title), inventory=options.inventory_name(sources)
    )
    with shown:
        result = execution.operate(request, shown)
    return int(result.exit_code)


def _check_steps(runbook: catalog.Runbook, steps: tuple[str, ...]) -> None:
    known = {step.id for strategy in runbook.strategies for step in runbook.steps(strategy)}
    for step in steps:
        if step not in known:
            raise BadInput(f"{runbook.id} has no step {step!r} (it has: {', '.join(sorted(known))})")


def _attested(runbook: catalog.Runbook, given: dict[str, Any]) -> list[str]:
    """The prerequisites that the operator says hold: named, answered yes to, or all with `--yes`."""
    asked = {p.id: p for p in runbook.metadata.prerequisites if p.check == "attested"}
    for name in given["attest"]:
        if name not in asked:
            raise BadInput(
                f"{runbook.id} asks for no attestation {name!r} (it asks for: {', '.join(asked) or 'none'})",
                next_step=f"pyrunbook show {runbook.id}",
            )
    if given["yes"]:
        return list(asked)
    attested = list(dict.fromkeys(given["attest"]))
    if sys.stdin.isatty() and not given["as_json"] and not given["check"]:
        for name, prerequisite in asked.items():
            if name not in attested and click.confirm(f"{prerequisite.text}: is that so?", err=True):
                attested.append(name)
    return attested


def _wait(runbook: catalog.Runbook, sources: tuple[str, ...], given: dict[str, Any]) -> None:
    """Sleep until the window of every service is open, with a countdown on a terminal.

    Raises:
        BadInput: there is no window to wait for.
    """
    from pyrunbook.cli.plan import decision_for
    from pyrunbook.execution import inventory

    services = inventory.services(sources, given["limit"])
    terminal = sys.stderr.isatty()
    told = ""
    while True:
        now = datetime.now(UTC)
        closed = [
            decision
            for name, variables in services.items()
            if not (decision := decision_for(runbook, variables, now, spec=given["window"])).open
        ]
        if not closed:
            break
        starts = [decision.next_start for decision in closed]
        if any(start is None for start in starts):
            raise BadInput(
                f"The window never opens: {closed[0].reason}", next_step=f"pyrunbook window explain {runbook.id}"
            )
        until = max(start for start in starts if start is not None)
        left = windows.format_duration(until - now)
        if terminal:
            click.echo(
                f"\rWaiting for the window: opens {until:%a %Y-%m-%d %H:%M} UTC, in {left}   ", nl=False, err=True
            )
        elif str(until) != told:
            click.echo(f"Waiting for the window: opens {until:%a %Y-%m-%d %H:%M} UTC, in {left}", err=True)
            told = str(until)
        time.sleep(min(1.0 if terminal else 30.0, max(0.05, (until - now).total_seconds())))
    if terminal:
        click.echo("", err=True)
