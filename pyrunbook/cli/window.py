"""`pyrunbook window`: when a runbook may run, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import click

from pyrunbook.errors import ExitCode
from pyrunbook.windows import (
    Schedule,
    decide_on,
    explain_on,
    format_duration,
    iso,
    parse_duration,
    parse_instant,
    shown,
)

DEFAULT_RUNBOOK = "maintenance/production_update"

Command = TypeVar("Command", bound=Callable[..., Any])


def _instant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime:
    return datetime.now(UTC) if value is None else parse_instant(value)


def _duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    return None if value is None else parse_duration(value)


def _asked(command: Command) -> Command:
    """The argument and the options that all three commands share."""
    for decorate in (
        click.option(
            "--reserve", callback=_duration, metavar="DURATION", help="Time for a rollback, before the window closes."
        ),
        click.option(
            "--needs", callback=_duration, metavar="DURATION", help="Time that the run takes, before the window closes."
        ),
        click.option(
            "--cutoff", callback=_duration, metavar="DURATION", help="Nothing starts later than this before the end."
        ),
        click.option(
            "--exclude",
            multiple=True,
            metavar="EXCLUSION",
            help="A date, a range 2026-12-24..2027-01-02 or an iCalendar file *.ics that closes it. Repeatable.",
        ),
        click.option(
            "--at", callback=_instant, metavar="INSTANT", help="ISO 8601; UTC without an offset. Default: now."
        ),
        click.argument("what", nargs=-1, metavar="[SPEC|RUNBOOK]"),
    ):
        command = decorate(command)
    return command


def _schedule(
    what: tuple[str, ...],
    exclude: tuple[str, ...],
    cutoff: timedelta | None,
    needs: timedelta | None,
    reserve: timedelta | None,
) -> Schedule:
    """What the arguments name: a window as it is written, or a runbook's own with its exclusions and estimates."""
    name = " ".join(what) if what else DEFAULT_RUNBOOK
    none = timedelta()
    if "/" not in name or any(sign.isspace() for sign in name):
        return Schedule.read(
            name, exclusions=exclude, cutoff=cutoff or none, needs=needs or none, reserve=reserve or none
        )
    from pyrunbook.catalog import load

    metadata = load().get(name).metadata
    declared = metadata.window
    return Schedule.read(
        declared.spec or (None if declared.required else "always"),
        exclusions=[*declared.exclusions, *exclude],
        cutoff=declared.cutoff if cutoff is None else cutoff,
        needs=metadata.estimate if needs is None else needs,
        reserve=metadata.reserve if reserve is None else reserve,
    )


@click.group()
def window() -> None:
    """When a runbook may run, and why.

    SPEC is a window, such as "Sun 02:00-04:00 UTC", "first Sun 02:00-03:00 Europe/Paris", "Mon-Fri 21:00-05:00 UTC",
    "RRULE:FREQ=MONTHLY;BYDAY=1SU 02:00 2h UTC" or "always". RUNBOOK is a runbook's id, such as
    maintenance/production_update (the default): its declared window, exclusions, cutoff and estimate are used.
    What an inventory puts in their place for one service is shown by "pyrunbook plan".
    """


@window.command()
@_asked
@click.option("--json", "as_json", is_flag=True, help="One JSON object: open, code, reason, start, end, next_start …")
@click.pass_context
def check(context: click.Context, /, what: tuple[str, ...], at: datetime, as_json: bool, **limits: Any) -> None:
    """Whether a run may start. Exit code 0 open, 3 closed, 2 malformed."""
    schedule = _schedule(what, **limits)
    decision = decide_on(schedule, at)
    if as_json:
        spec = schedule.window.spec if schedule.window else None
        click.echo(json.dumps({"window": spec, **decision.as_dict()}))
    else:
        click.echo(decision.reason)
    context.exit(ExitCode.SUCCEEDED if decision.open else ExitCode.REFUSED)


@window.command("next")
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
    schedule = _schedule(what, **limits)
    found = list(islice(schedule.upcoming(at), count))
    spec = schedule.window.spec if schedule.window else None
    for opening in found:
        if as_json:
            click.echo(json.dumps({"window": spec, "start": iso(opening.start), "end": iso(opening.end)}))
            continue
        until = "does not close"
        if opening.end is not None:
            until = f"until {shown(opening.end, schedule.zone)}, {format_duration(opening.end - opening.start)}"
        click.echo(f"{shown(opening.start, schedule.zone)}, {until} (in {format_duration(opening.start - at)})")
    if not found:
        decision = decide_on(schedule, at)  # also raises what is wrong with a window that can never be met
        click.echo(f"No further opening: {decision.reason}", err=True)
        context.exit(ExitCode.REFUSED)


@window.command()
@_asked
def explain(what: tuple[str, ...], at: datetime, **limits: Any) -> None:
    """Which rule, which zone, what daylight saving does, why it is closed, when it opens next."""
    click.echo(explain_on(_schedule(what, **limits), at))
