"""`pyrunbook window`: when a runbook may run, and why."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import click

from pyrunbook import places, windows
from pyrunbook.cli import options
from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.windows import (
    Schedule,
    decide,
    format_duration,
    iso,
    parse_duration,
    parse_instant,
    shown,
)


def _instant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime:
    return datetime.now(UTC) if value is None else parse_instant(value)


def _duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    return None if value is None else parse_duration(value)


_asked = options.several(
    click.argument("what", nargs=-1, metavar="[SPEC|RUNBOOK]", shell_complete=complete_runbooks),
    click.option(
        "-i",
        "--inventory",
        multiple=True,
        metavar="PATH",
        help="With a RUNBOOK: the windows that a run on this inventory has. A path, or the name of a shipped one. "
        "Default: PYRUNBOOK_INVENTORY, or else only what the runbook itself declares.",
    ),
    click.option("--limit", default="", help="With an inventory: only these services (host pattern)."),
    click.option("--at", callback=_instant, metavar="INSTANT", help="ISO 8601; UTC without an offset. Default: now."),
    click.option(
        "--exclude",
        multiple=True,
        metavar="EXCLUSION",
        help="A date, a range 2026-12-24..2027-01-02 or an iCalendar file *.ics that closes it. Repeatable.",
    ),
    click.option(
        "--cutoff", callback=_duration, metavar="DURATION", help="Nothing starts later than this before the end."
    ),
    click.option(
        "--needs", callback=_duration, metavar="DURATION", help="How long the run takes: that much must be left."
    ),
    click.option(
        "--reserve", callback=_duration, metavar="DURATION", help="Time for a rollback, which must be left as well."
    ),
)
"""The argument and the options that all three commands share."""


def _schedules(
    what: tuple[str, ...], inventory: tuple[str, ...], limit: str, exclude: tuple[str, ...], **limits: Any
) -> dict[str, Schedule]:
    """The schedules that the arguments name, by service; the name is empty where no inventory is asked."""
    name = " ".join(what) if what else options.UPDATE
    if not re.fullmatch(r"[\w./-]+", name) or name.lower() == "always":
        if inventory or limit:
            raise BadInput(
                "--inventory and --limit go with a runbook, and this is a window", next_step="leave them out"
            )
        given = {key: value for key, value in limits.items() if value is not None}
        return {"": Schedule.read(name, exclusions=exclude, **given)}
    from pyrunbook.catalog import load

    runbook = load().get(name)
    if not (inventory or limit or os.environ.get(places.ENV_INVENTORY)):
        return {"": runbook.schedule({}, exclude=exclude, **limits)}
    from pyrunbook.execution.inventory import services

    found = services(options.inventory_sources(inventory), limit)
    return {service: runbook.schedule(said, exclude=exclude, **limits) for service, said in found.items()}


@click.group()
def window() -> None:
    """When a runbook may run, and why.

    SPEC is a window, such as "Sun 02:00-04:00 UTC", "first Sun 02:00-03:00 Europe/Paris", "Mon-Fri 21:00-05:00 UTC",
    "RRULE:FREQ=MONTHLY;BYDAY=1SU 02:00 2h UTC" or "always". RUNBOOK is a runbook's id, such as
    maintenance/production_update (the default): its declared window, exclusions, cutoff and estimate are used, and with
    --inventory what the inventory puts in their place, for each of its services: what a run decides.
    """


@window.command(short_help="Whether a run may start.")
@_asked
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line: open, code, reason, start, end, next_start …"
)
@click.pass_context
def check(context: click.Context, /, what: tuple[str, ...], at: datetime, as_json: bool, **limits: Any) -> None:
    """Whether a run may start. Exit code 0 open, 3 closed (for one service at least), 2 malformed."""
    decisions = {service: (schedule, decide(schedule, at)) for service, schedule in _schedules(what, **limits).items()}
    for service, (schedule, decision) in decisions.items():
        if as_json:
            click.echo(json.dumps({**_facts(service, schedule), **decision.as_dict()}))
        else:
            click.echo(f"{_of(service)}{decision.reason}")
    all_open = all(decision.open for _, decision in decisions.values())
    context.exit(ExitCode.SUCCEEDED if all_open else ExitCode.REFUSED)


@window.command("next", short_help="When it opens next.")
@_asked
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: window, start, end.")
@click.pass_context
def next_(
    context: click.Context, /, what: tuple[str, ...], at: datetime, count: int, as_json: bool, **limits: Any
) -> None:
    """The next openings that start at the instant or later; the one that is open already is not among them.

    Openings that an exclusion closes, or in which the run does not fit, are left out. With --json each is an object
    on a line of its own, with "start" and "end" in ISO 8601 UTC; "end" is null for a window that does not close.
    Exit code 3 when the window does not open again.
    """
    never = False
    for service, schedule in _schedules(what, **limits).items():
        found = list(islice(schedule.upcoming(at), count))
        for opening in found:
            if as_json:
                facts = _facts(service, schedule)
                click.echo(json.dumps({**facts, "start": iso(opening.start), "end": iso(opening.end)}))
                continue
            until = "does not close"
            if opening.end is not None:
                until = f"until {shown(opening.end, schedule.zone)}, {format_duration(opening.end - opening.start)}"
            start = f"{shown(opening.start, schedule.zone)}, {until} (in {format_duration(opening.start - at)})"
            click.echo(f"{_of(service)}{start}")
        if not found:
            decision = decide(schedule, at)  # raises where the window can never open
            click.echo(f"{_of(service)}No further opening: {decision.reason}", err=True)
            never = True
    if never:
        context.exit(ExitCode.REFUSED)


@window.command(short_help="Which rule and zone, why it is closed, when it opens.")
@_asked
def explain(what: tuple[str, ...], at: datetime, **limits: Any) -> None:
    """Which rule, which zone, what daylight saving does, why it is closed, when it opens next."""
    schedules = _schedules(what, **limits)
    click.echo("\n\n".join(
        (f"{'Service':<10} {service}\n" if service else "") + windows.explain(schedule, at)
        for service, schedule in schedules.items()
    ))  # fmt: skip


def _facts(service: str, schedule: Schedule) -> dict[str, Any]:
    """What each JSON object begins with."""
    spec = schedule.window.spec if schedule.window else None
    return {"service": service, "window": spec} if service else {"window": spec}


def _of(service: str) -> str:
    return f"{service}: " if service else ""
