"""What the operator sees while a run goes on: a live list of steps, plain lines, or one JSON object a line."""

from __future__ import annotations

import abc
import contextlib
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from pyrunbook.run_contract import STEP_ROLLBACK
from pyrunbook.windows import format_duration

MARKS = {"ok": "✓", "changed": "✓", "failed": "✗", "unreachable": "✗"}
FEW = 5
"""So many hosts are named."""
WIDTH = 40
"""Columns of a step's title."""


class Display(contextlib.AbstractContextManager["Display"]):
    """Takes the events of an operation; a context manager."""

    def __exit__(self, *_: object) -> None:
        """Most have nothing to end."""

    @abc.abstractmethod
    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event; may be called from another thread."""


def choose(*, as_json: bool, title: str, inventory: str, stream: TextIO | None = None) -> Display:
    """The display that fits: JSON when asked for, live on a terminal, plain lines otherwise."""
    out = stream or sys.stdout
    if as_json:
        return JsonLines(out)
    if out.isatty():
        return Live(out, title, inventory)
    return Lines(out, title, inventory)


class JsonLines(Display):
    """One object a line: `event`, `run`, `step`, `outcome`, `time`, and what the event has besides."""

    EVENTS = ("run_started", "step_started", "step_ended", "run_ended")

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._run: str | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Write the events that other programs rely on; the others are for people."""
        if event["event"] not in self.EVENTS:
            return
        self._run = event.get("run") or self._run
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        whole = {"event": event["event"], "run": self._run, "step": None, "outcome": None, "time": now, **event}
        self._out.write(json.dumps(whole, ensure_ascii=False) + "\n")
        self._out.flush()


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0] if (text or "").strip() else ""


def _cause(text: str | None) -> str:
    """The first line; of a list also what it lists, as in "Nobody has attested a, b: …"."""
    lines = (text or "").strip().splitlines()
    if not lines or not lines[0].endswith(":"):
        return _first_line(text)
    return f"{lines[0]} {'; '.join(line.strip() for line in lines[1:] if line.startswith('  '))}".strip()


def _clause(text: str | None) -> str:
    """A first line that more words follow: its full stop is left out."""
    return _first_line(text).removesuffix(".")


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else format_duration_of(value)


def format_duration_of(seconds: float) -> str:
    """`1 h 43 min` for a number of seconds."""
    from datetime import timedelta

    return format_duration(timedelta(seconds=round(seconds)))


class Lines(Display):
    """A line for each step when it ends: for logs, and for terminals that cannot move the cursor."""

    def __init__(self, out: TextIO, title: str, inventory: str) -> None:
        self._out = out
        self._title = title
        self._inventory = inventory
        self._began = time.monotonic()
        self._detail: dict[str, str] = {}
        self._open: list[str] = []  # services that are being worked on
        self._check = False
        self._told: set[str] = set()  # lines of errors

    def write(self, line: str = "") -> None:
        """Show one more line, for good."""
        self._out.write(line + "\n")
        self._out.flush()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show what the event says, when it says something to the operator."""
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def _on_run_started(self, event: dict[str, Any]) -> None:
        self._check = bool(event.get("check"))
        if self._check:
            self.write("Dry run: each step says what it would do; nothing is changed.")

    def _on_service_started(self, event: dict[str, Any]) -> None:
        self._open.append(event["service"])
        self.write(
            f"{self._title} · {event['service']} on {self._inventory} ({event['platform']}) · run {event['run']}"
        )

    def _on_hosts_started(self, event: dict[str, Any]) -> None:
        if not self._open:
            names = event["hosts"]
            shown = ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
            self.write(f"{self._title} · {shown} on {self._inventory} · run {event['run']}")
        self._open += event["hosts"]

    def _on_window(self, event: dict[str, Any]) -> None:
        decision = event["decision"]
        spec = decision.get("window") or decision.get("spec") or ""
        override = f" Overridden: {event['override']}" if event.get("override") else ""
        self.write(f"Window {spec}: {decision['reason']}.{override}".replace("  ", " "))

    def _on_step_ended(self, event: dict[str, Any]) -> None:
        if event["outcome"] != "skipped":
            self.write(step_line(event, of=event["service"] if len(set(self._open)) > 1 else ""))
        # The further lines of an error that an earlier attempt has shown are not repeated.
        for line in (event.get("error") or "").strip().splitlines()[1:]:
            if line not in self._told:
                self.write(f"      {line}")
                self._told.add(line)
        for known in event.get("known") or []:
            self.write(f"      Known: {known['cause']} {known['solution']}")
            for command in known["commands"]:
                self.write(f"        $ {command}")

    def _on_play_refused(self, event: dict[str, Any]) -> None:
        first, *rest = event["error"].splitlines()
        self.write(f"  ✗ {first}")
        for line in rest:
            self.write(f"      {line}")

    def _on_service_ended(self, event: dict[str, Any]) -> None:
        self._open = [service for service in self._open if service != event["service"]]
        self._detail[event["service"]] = event.get("detail") or ""

    def _on_interrupted(self, event: dict[str, Any]) -> None:
        self.write(f"  ! {event['signal']}: ending the run, then putting back what was there")

    def _on_putting_back(self, event: dict[str, Any]) -> None:
        # An undo of a runbook's own decides by itself: what was proven stays, and then nothing is put back.
        what = "bringing it to an end" if event.get("decides") else "putting back what was there"
        self.write(f"  ! {_clause(event['cause'])}: {what} ({', '.join(event['services'])})")

    def _on_keeping(self, event: dict[str, Any]) -> None:
        names = ", ".join(event["services"])
        self.write(f"  ! {_clause(event['cause'])}: what was verified stays, if it still serves ({names})")

    def _on_note(self, event: dict[str, Any]) -> None:
        self.write(f"  ! {event['text']}")

    def _on_output(self, event: dict[str, Any]) -> None:
        self.write(f"    {event['line']}")

    def _on_run_ended(self, event: dict[str, Any]) -> None:
        spent = time.monotonic() - self._began
        if self._check and event.get("outcome") == "succeeded":
            self.write(f"Dry run ended in {_seconds(spent)}; nothing was changed.")
            return
        several = len(self._detail) > 1
        details = [f"{service}: {told}" if several else told for service, told in self._detail.items() if told]
        for line in summary(event, spent, details):
            self.write(line)


def step_line(event: dict[str, Any], of: str = "") -> str:
    """A step that has ended, as one line."""
    put_back = event["step"] == STEP_ROLLBACK and event["outcome"] != "failed"
    mark = "↩" if put_back else MARKS[event["outcome"]]
    said = _first_line(event.get("error")) or event.get("detail") or ""
    title = f"{of}: {event['title']}" if of else event["title"]
    return f"  {mark} {title:<{WIDTH}} {_seconds(event['seconds']):>7}   {said}".rstrip()


def summary(event: dict[str, Any], seconds: float, details: list[str]) -> list[str]:
    """The last words of a run: how it ended, why, and what to type next.

    Args:
        event: `run_ended`.
        seconds: since the operator's command began.
        details: how it is now, a text for each service.
    """
    if event.get("outcome") is None:
        return []  # there was no run: the error that is shown says all
    spent, run = _seconds(seconds), event["run"]
    now = "; ".join(detail for detail in details if detail)
    cause = _cause(event.get("cause"))
    words = {
        "succeeded": f"Succeeded in {spent}{': ' + now if now else ''}.",
        "not_cleaned_up": f"Done, and not cleaned up (exit 8) in {spent}{': ' + now if now else ''}.",
        "refused": f"Refused (exit {event['exit_code']}); nothing was changed.",
        "failed": "Failed (exit 4) before anything was changed.",
        "rolled_back": f"Failed and put back (exit 4) in {spent}{': ' + now if now else ''}.",
        "timed_out": f"Timed out and put back (exit 4){': ' + now if now else ''}.",
        "unreachable": f"Unreachable (exit {event['exit_code']}): {now or 'what was there is in place'}.",
        "canceled": f"Interrupted and put back (exit 130){': ' + now if now else ''}.",
        "contained": f"Contained (exit 8) in {spent}: {now or 'secure mode is on'}.",
        "not_contained": "NOT CONTAINED (exit 5): the service was not seen in secure mode.",
        "left_changed": f"FAILED AND LEFT AS IT IS (exit 5) in {spent}: nothing puts back what was changed.",
        "rollback_failed": f"FAILED AND NOT PUT BACK (exit 5){': ' + now if now else ''}. "
        "The lock stays held, so no other run starts.",
    }
    lines = [words[event["outcome"]]]
    if event["exit_code"] == 0 and event["outcome"] != "succeeded":  # a recovery did what it was asked for
        lines = [f"Recovered in {spent}: {now or 'nothing was changed'}. The run counts as {event['outcome']}."]
    if event["outcome"] == "succeeded":
        if event.get("next_step"):
            lines[0] += f" To undo: {event['next_step']}"
        return lines
    if cause:
        lines.append(f"Cause: {cause}")
    lines += [f"Changed: {told}" for told in event.get("left") or ()]
    if event.get("not_begun"):
        names = ",".join(event["not_begun"])
        lines.append(f"Not begun: {names}. Once the cause is gone: the same command with --limit {names}")
    lines.append(f"Details: pyrunbook report {run}")
    if event.get("next_step"):
        remedy = "remove what kept it from cleaning up, then: " if event["outcome"] == "not_cleaned_up" else ""
        lines.append(f"Next: {remedy}{event['next_step']}")
    return lines


class Live(Lines):
    """The same lines, and below them the step that is going on, with its time."""

    def __init__(self, out: TextIO, title: str, inventory: str) -> None:
        super().__init__(out, title, inventory)
        self._step: dict[str, Any] | None = None
        self._step_began = 0.0
        self._closes: float | None = None
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(file=out, highlight=False, soft_wrap=True)
        self._live = RichLive(
            console=self._console, get_renderable=self._going_on, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._step = None
        with contextlib.suppress(OSError):  # the terminal may be gone by now
            self._live.stop()

    def write(self, line: str = "") -> None:
        """Show one more line above the step that is going on."""
        from rich.text import Text

        style = {"✗": "red", "✓": "green", "↩": "yellow", "!": "yellow"}.get(line.strip()[:1], "")
        text = Text(line)
        if style:
            text.stylize(style, 2, 3)
        self._console.print(text)

    def _going_on(self) -> Any:
        from rich.text import Text

        step = self._step
        if step is None:
            return Text("")
        left = ""
        if self._closes is not None:
            left = f"   window closes in {format_duration_of(max(0, self._closes - time.time()))}"
        spent = time.monotonic() - self._step_began
        return Text(f"  … {step['title']:<{WIDTH}} {_seconds(spent):>7}{left}", style="cyan")

    def _on_window(self, event: dict[str, Any]) -> None:
        super()._on_window(event)
        if end := event["decision"].get("end"):
            self._closes = datetime.fromisoformat(end).timestamp()

    def _on_step_started(self, event: dict[str, Any]) -> None:
        self._step, self._step_began = event, time.monotonic()

    def _on_step_ended(self, event: dict[str, Any]) -> None:
        self._step = None
        self._live.refresh()  # or the step would be shown as running below its own end
        super()._on_step_ended(event)
