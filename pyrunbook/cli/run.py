"""`pyrunbook run` and `pyrunbook maintenance`: run a runbook, and put back what was there when it fails."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from pyrunbook import catalog, places, run_contract, service, windows
from pyrunbook.cli import options
from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.errors import BadInput

PATIENCE = 200
"""How many openings are compared before several windows count as never open together."""


window_options = options.several(
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
)
"""The options of a run that is guarded by `preflight`: its window, and what the operator attests."""


run_options = options.several(
    options.inventory_options,
    click.option("-e", "--extra-vars", multiple=True, metavar="KEY=VALUE", help="Inputs; also @file or a mapping."),
    click.option("--check", is_flag=True, help="Dry run: say what would change, change nothing."),
    click.option("--diff", is_flag=True, help="Show differences."),
    click.option("--yes", is_flag=True, help="Answer yes to every question, attestations too; recorded as yours."),
    click.option(
        "--step",
        "--tags",
        multiple=True,
        metavar="ID",
        help="Only this step, with its guards; may be repeated. Of a plain playbook: a tag.",
    ),
    click.option("--timeout", metavar="DURATION", help="End and put back after this time, like 45m."),
    options.json_option,
    options.verbosity_option,
)
"""The options of everything that runs a runbook."""


@click.command()
@click.argument("runbook", shell_complete=complete_runbooks)
@run_options
@window_options
@click.pass_context
def run(ctx: click.Context, /, runbook: str, **given: Any) -> None:
    """Run a RUNBOOK, like maintenance/production_update.

    The window, the lock and the prerequisites are checked before anything is changed; a failed step puts back what was
    there.
    """
    ctx.exit(operate(runbook, **given))


@click.command()
@run_options
@window_options
@click.pass_context
def maintenance(ctx: click.Context, /, **given: Any) -> None:
    """Update the production service: run maintenance/production_update.

    \b
    pyrunbook maintenance --window              keep to the declared window
    pyrunbook maintenance --window --wait       wait until it opens
    pyrunbook maintenance --check               say what would change
    """  # noqa: D301 - click reads the character, not the two signs
    ctx.exit(operate(options.UPDATE, **given))


def operate(name: str, inputs: Mapping[str, Any] | None = None, **given: Any) -> int:
    """Run a runbook, and see it to an end.

    Args:
        name: its id.
        inputs: set by the command itself; they win over `--extra-vars`.
        given: the values of `run_options`, and of `window_options` where the command has them.

    Returns:
        the exit code.

    Raises:
        PyrunbookError: the run could not begin; nothing was changed.
    """
    given = {"window": None, "wait": False, "no_window": False, "reason": "", "attest": ()} | given
    given["step"] = [name.strip() for each in given["step"] for name in each.split(",")]
    runbook = catalog.load().get(name)
    extra = options.extra_variables(given["extra_vars"]) | dict(inputs or {})
    if given["no_window"] and not given["reason"].strip():
        raise BadInput("--no-window needs a reason", next_step="--no-window --reason 'why it cannot wait'")
    if given["no_window"] and given["window"] is not None:
        raise BadInput("--window and --no-window exclude each other")
    if given["no_window"] and given["wait"]:
        raise BadInput("--wait and --no-window exclude each other")
    if given["reason"] and not given["no_window"]:
        raise BadInput("--reason goes with --no-window")
    if given["window"]:
        windows.parse(given["window"])
        extra[run_contract.INPUT_WINDOW] = given["window"]
    if given["no_window"]:
        extra[run_contract.INPUT_WINDOW_OVERRIDE] = given["reason"].strip()
    timeout = windows.parse_duration(given["timeout"]) if given["timeout"] else runbook.metadata.timeout
    if given["step"]:
        runbook.refuse_selection(given["step"])
    if runbook.plain:
        places.use_config_for(runbook.path)
    sources = options.inventory_sources(given["inventory"], plain=runbook.plain)
    attested = _attested(runbook, given)
    if attested or not runbook.plain:
        extra[run_contract.INPUT_ATTESTED] = attested
    told = asked(runbook, extra)
    if runbook.plain and runbook.undone_by and not given["check"]:  # at its time nobody may be there to answer
        told = asked(catalog.load().get(runbook.undone_by), extra) | told
    if given["wait"]:
        _wait(runbook, sources, given, extra)

    return start(
        runbook,
        sources,
        as_json=given["as_json"],
        limit=given["limit"],
        extra_vars=extra,
        tags=",".join(given["step"]),
        check=given["check"],
        diff=given["diff"],
        verbosity=given["verbosity"],
        timeout=timeout.total_seconds() if timeout else None,
        told=told,
    )


def start(runbook: catalog.Runbook, sources: tuple[str, ...], *, as_json: bool, **request: Any) -> int:
    """Run a runbook, show it, and see it to an end.

    `request` is the rest of `pyrunbook.execution.play.Request`; the exit code comes back.
    """
    # Imported here: the database and Ansible's runner are not needed to refuse a wrong option.
    from pyrunbook.execution import display
    from pyrunbook.execution import run as execution
    from pyrunbook.execution.play import Request
    from pyrunbook.journal import new_run_id

    request |= {"run_id": new_run_id(), "undone_by": runbook.undone_by}
    request |= {"plain": runbook.id} if runbook.plain else {}
    name = options.inventory_name(sources)
    with display.choose(as_json=as_json, title=str(runbook.metadata.title), inventory=name) as shown:
        return int(execution.operate(Request(playbook=runbook.path, inventory=sources, **request), shown).exit_code)


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


def asked(runbook: catalog.Runbook, extra: dict[str, Any]) -> dict[str, str]:
    """Ask what the plays would ask (`vars_prompt`), before anything begins.

    An answer becomes an input, in `extra`. A private answer is typed into the play's own prompt and recorded nowhere.

    Returns:
        the private answers, by the prompts (regular expressions) that they are typed into.
    """
    told: dict[str, str] = {}
    for prompt in (prompt for play in runbook.plays for prompt in play.prompts if prompt.name not in extra):
        if not sys.stdin.isatty():
            raise BadInput(
                f"{runbook.id} asks for {prompt.name} (vars_prompt), and nobody is there to answer.",
                means="Nothing was changed.",
                next_step=f"-e {prompt.name}=…, or -e @FILE for a secret",
            )
        answer = click.prompt(prompt.text, err=True, hide_input=prompt.private)
        if prompt.private:
            told[rf"{re.escape(prompt.text)}(?: \[.*\])?:\s*$"] = answer
        else:
            extra[prompt.name] = answer
    return told


def _wait(runbook: catalog.Runbook, sources: tuple[str, ...], given: dict[str, Any], extra: dict[str, Any]) -> None:
    """Sleep until the window of every service is open, with a countdown on a terminal.

    Raises:
        BadInput: there is no instant to wait for.
        JournalError: the run could not be recorded.
    """
    from pyrunbook.execution import certificates, inventory
    from pyrunbook.journal import Journal

    with Journal.open():
        pass
    if runbook.plain:
        services = inventory.hosts(sources, runbook.hosts, given["limit"])
    else:
        services = inventory.services(sources, given["limit"])
        for name, variables in services.items():  # refuse now what would be refused hours later
            service.read(name, {**variables, **extra}, sources, complete=runbook.needs_colors)
    if runbook.replaces_certificates:
        for name in certificates.cannot_wait(runbook, sources, services, extra):
            click.echo(f"{name}: does not wait: nothing is due, or something expires before the window opens", err=True)
            del services[name]
    schedules = [runbook.schedule({**variables, **extra}, spec=given["window"]) for variables in services.values()]
    terminal = sys.stderr.isatty()
    until = None
    while True:
        now = datetime.now(UTC)
        if until is None or now >= until:
            until = _opening(runbook.id, schedules, now)
            if until <= now:
                break
            told = f"Waiting for the window: opens {until:%a %Y-%m-%d %H:%M} UTC, in "
            if not terminal:
                click.echo(told + windows.format_duration(until - now), err=True)
        if terminal:
            click.echo(f"\r{told}{windows.format_duration(until - now)}   ", nl=False, err=True)
        time.sleep(min(1.0 if terminal else 30.0, max(0.05, (until - now).total_seconds())))
    if terminal:
        click.echo("", err=True)


def _opening(runbook_id: str, schedules: list[windows.Schedule], now: datetime) -> datetime:
    """The earliest instant, `now` or later, at which the windows of all services are open.

    Raises:
        BadInput: there is none, or none is found.
    """
    explain = f"pyrunbook window explain {runbook_id} -i INVENTORY"
    at = now
    for _ in range(PATIENCE):
        closed = [found for one in schedules if not (found := windows.decide(one, at)).open]
        if not closed:
            return at
        starts = [decision.next_start for decision in closed if decision.next_start is not None]
        if len(starts) < len(closed):
            never = next(decision for decision in closed if decision.next_start is None)
            raise BadInput(f"The window never opens: {never.reason}", next_step=explain)
        at = max(starts)
    raise BadInput(
        "The windows of these services are never open at the same time, so there is nothing to wait for.",
        next_step="wait for one service at a time: --limit SERVICE",
    )
