"""A certificate on the screen and as an object."""

from __future__ import annotations

import shutil
import sys
import textwrap
from datetime import UTC, datetime
from typing import Any

import click

from pyrunbook import windows
from pyrunbook.catalog import Runbook
from pyrunbook.errors import BadInput
from pyrunbook.execution.certificates import Certificate, wrong

NARROWEST = 40
"""Columns to which lines are folded at least."""


def as_dict(found: Certificate, rotation: Runbook) -> dict[str, Any]:
    """The certificate for programs; docs/pki/README.md explains the fields."""
    return {
        "service": found.service,
        "certificate": found.name or None,
        "good": not found.attention,
        "attention": list(found.attention),
        "next_step": found.next_step or None,
        **found.state,
        "next_window": next_window(found, rotation),
    }


def next_window(found: Certificate, rotation: Runbook) -> str | None:
    """When the next rotation of it may begin by its window: ISO 8601, UTC; `None` where it need not wait for one.

    Also `None` where the inventory gives the window as a template, which only a play can resolve.
    """
    due = found.state.get("due")
    if due is None or due["then"] == "rotate":
        return None
    if due["waits_until"]:
        return str(due["waits_until"])
    now = datetime.now(UTC)
    at = max(now, datetime.fromisoformat(due["due_at"])) if due["due_at"] else now
    try:
        decision = windows.decide(rotation.schedule(found.variables), at)
    except BadInput:
        return None
    opens = at if decision.open else decision.next_start
    return windows.iso(opens) if opens else None


def show(found: Certificate, rotation: Runbook) -> None:
    """Print a line for each label; `!` marks what needs attention."""
    name = f"{found.service} · {found.name}" if found.name else found.service
    click.echo(f"{'✗' if found.attention else '✓'} {name}")
    for label, text in _rows(found, rotation) if found.state else [("problem", each) for each in found.attention]:
        _echo(f"  {'!' if text in found.attention else ' '} {label:<9} ", text)
    if found.next_step:
        click.echo(f"    {'Next:':<9} {found.next_step}")  # in one piece, to be copied


def _rows(found: Certificate, rotation: Runbook) -> list[tuple[str, str]]:
    """A label and a text each. Every text of `attention` is among them, as it is there."""
    state, standing, due = found.state, found.state["standing"], found.state["due"]
    rows = [(label, state[label]) for label in ("subject", "serial", "issuer")]
    if state["not_after"]:
        left = f"{state['days_left']:.1f} days left, {state['used']:.0%} of its lifetime used"
        rows.append(("valid", f"{_minute(state['not_before'])} to {_minute(state['not_after'])}; {left}"))
    rows.append(("deployed", state["place"]))
    rows += [
        ("served", wrong(each, state["serial"]) or f"{each['address']}: {each['detail']}") for each in state["served"]
    ]
    if state["staged"]:
        rows.append(("staged", f"{standing['new']}, by run {standing['run']}; deployed by: pyrunbook certs deploy"))
        rows.append(("staged", state["staged_problem"]))
    elif standing["run"]:
        rows.append(("rotation", standing["seen"]))
    rows.append(("place", state["obstacle"]))
    for old in state["retired"]:
        rows.append(
            ("replaced", f"{old['version']}, {_minute(old['since'])}; revoked after {_minute(old['revoked_after'])}")
        )
    opens = next_window(found, rotation) if due["then"] == "nothing" else None
    rows.append(("then", due["describe"] + (f"; its window is open at {_minute(opens)}" if opens else "")))
    rows += [("note", each) for each in due["notes"]]
    return [(label, text) for label, text in rows if text]


def _minute(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _echo(begin: str, text: str) -> None:
    """A line, folded on a terminal; whole for everything else."""
    if not sys.stdout.isatty():
        click.echo(begin + text)
        return
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    further = " " * len(begin)
    click.echo(textwrap.fill(text, width, initial_indent=begin, subsequent_indent=further, break_on_hyphens=False))
