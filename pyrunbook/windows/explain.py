"""Explains a decision: the rule in words, the zone, what daylight saving did, why closed, when next."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyrunbook.windows.decision import Decision, decide
from pyrunbook.windows.duration import format_duration
from pyrunbook.windows.instant import WEEKDAYS, checked_instant, shown
from pyrunbook.windows.schedule import Schedule
from pyrunbook.windows.window import Instance, Window

_NO_TIME = timedelta()


def explain(schedule: Schedule, at: datetime) -> str:
    """Explain at length what `decide` decides; arguments and errors are the same.

    Returns:
        Lines of a heading and a text each, without a newline at the end.
    """
    at = checked_instant(at)
    decision = decide(schedule, at)
    lines = [("At", shown(at, schedule.zone)), ("Decision", decision.reason)]
    if schedule.window is not None:
        lines = [("Window", schedule.window.spec), ("Rule", describe(schedule.window)), *lines]
        instance = next(schedule.window.instances(at), None)
        if instance is not None and not schedule.window.always:
            lines += _instance(schedule.window, instance, at)
    lines += [("Excluded", exclusion.text) for exclusion in schedule.exclusions]
    if schedule.cutoff:
        lines.append(("Cutoff", f"nothing starts in the last {format_duration(schedule.cutoff)}"))
    if schedule.whole_run:
        reserve = f", and {format_duration(schedule.reserve)} for its rollback" if schedule.reserve else ""
        lines.append(("Run", f"needs {format_duration(schedule.needs)}{reserve}, before the end"))
    lines.append(("Next", _next(schedule, decision)))
    return "\n".join(f"{heading:<10} {text}" for heading, text in lines)


def describe(window: Window) -> str:
    """A window in words: `every Sunday from 02:00 for 2 h, by the clock of Europe/Paris`."""
    if window.rule is None:
        return "open at all times"
    length = format_duration(window.length)
    return f"{window.rule.describe()}, from {window.start:%H:%M} for {length}, by the clock of {window.zone.key}"


def _instance(window: Window, instance: Instance, at: datetime) -> list[tuple[str, str]]:
    """The instance at or after the instant, and what daylight saving did to it."""
    heading = "This one" if instance.start <= at else "Next one"
    start, end = (moment.astimezone(window.zone) for moment in (instance.start, instance.end))
    text = f"{shown(instance.start, window.zone)} to {shown(instance.end, window.zone)}"
    clock = f"{window.zone.key} is UTC{_offset(start)} when it starts"
    changes = []
    if instance.wall is not None and instance.gap:
        changes.append(
            f"the clock skips {_minute(instance.wall)}: it starts {format_duration(instance.gap)} later, "
            f"at {_minute(start)}, and lasts as long as ever"
        )
    if instance.wall is not None and instance.fold:
        changes.append(f"the clock shows {_minute(instance.wall)} twice: it starts at the first")
    if start.utcoffset() != end.utcoffset():
        changes.append(
            f"the clock changes while it is open, from UTC{_offset(start)} to UTC{_offset(end)}: "
            f"it lasts {format_duration(instance.end - instance.start)} all the same"
        )
    return [(heading, text), ("Zone", clock), ("Daylight", "; ".join(changes) or "no clock change touches it")]


def _next(schedule: Schedule, decision: Decision) -> str:
    if decision.open and decision.end is None:
        return "open already, and it does not close"
    if decision.next_start is None:
        return "it does not open again" if schedule.window else "never: declare a window"
    until = f", until {shown(decision.next_end, schedule.zone)}" if decision.next_end else ""
    return f"{shown(decision.next_start, schedule.zone)}{until}"


def _minute(moment: datetime) -> str:
    return f"{WEEKDAYS[moment.weekday()]} {moment:%Y-%m-%d %H:%M}"


def _offset(local: datetime) -> str:
    return local.strftime("%z")[:3] + ":" + local.strftime("%z")[3:5]
