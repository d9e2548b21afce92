"""A run as a Markdown page: for the ticket, the review after an incident, the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pyrunbook.journal.outcome import Outcome
from pyrunbook.journal.records import Run, ServiceRun, StepRun

_SAID = {
    Outcome.SUCCEEDED: "Succeeded",
    Outcome.NOT_CLEANED_UP: "Done, and not cleaned up",
    Outcome.REFUSED: "Refused; nothing was changed",
    Outcome.FAILED: "Failed; nothing was changed",
    Outcome.ROLLED_BACK: "Failed, and put back what was there",
    Outcome.ROLLBACK_FAILED: "FAILED AND NOT PUT BACK",
    Outcome.LEFT_CHANGED: "FAILED AND LEFT AS IT IS; nothing puts back what was changed",
    Outcome.CANCELED: "Interrupted; what was there before is in place",
    Outcome.UNREACHABLE: "A machine was unreachable; what was there before is in place",
    Outcome.TIMED_OUT: "Took too long; what was there before is in place",
    Outcome.CONTAINED: "Contained; something else was found bad",
    Outcome.NOT_CONTAINED: "NOT CONTAINED",
}


def undo(run: Run, ended_by: str = "", undone_by: str = "") -> tuple[str, str | None]:
    """How a run can be undone: one sentence, and the command to type where there is one.

    Args:
        ended_by: the command that ends what its runbook leaves on purpose, such as secure mode.
        undone_by: id of the runbook that undoes it; asked for where its playbook is a plain one.
    """
    if run.outcome is Outcome.LEFT_CHANGED:
        return "Its playbook has no way back (undone_by): what it changed stays until somebody sees to it.", None
    if run.outcome is Outcome.ROLLBACK_FAILED:
        return "What was there before is not in place. Bring it back:", f"pyrunbook recover {run.id} --rollback"
    if run.outcome is None:
        return "The run was not brought to an end; it is still running, or died:", f"pyrunbook recover {run.id}"
    if run.check_mode and not run.changed:
        return "It was a dry run; there is nothing to undo.", None
    if run.outcome is Outcome.NOT_CONTAINED:
        return "The service was not seen in secure mode. Do what the step says, then:", f"pyrunbook run {run.runbook}"
    if run.outcome is Outcome.CONTAINED:
        return "What contains the incident stays on until somebody ends it:", ended_by or None
    if not run.undoable:
        return "Nothing was changed; there is nothing to undo.", None
    if run.plain and not undone_by:
        return "Its playbook has no way back (undone_by); see the steps for what it changed.", None
    if run.outcome in (Outcome.SUCCEEDED, Outcome.NOT_CLEANED_UP):
        return "To put back what was there before it:", f"pyrunbook rollback {run.id}"
    if run.stays_on:
        sentence = f"What it changed stays on {', '.join(run.stays_on)}. To put back what was there before it:"
        return sentence, f"pyrunbook rollback {run.id} --limit {','.join(run.stays_on)}"
    return "What was there before is in place; there is nothing to undo.", None


def as_markdown(run: Run, ended_by: str = "", undone_by: str = "") -> str:
    """The page; arguments as of `undo`."""
    return "\n".join(_page(run, ended_by, undone_by)) + "\n"


def _page(run: Run, ended_by: str, undone_by: str) -> Iterator[str]:
    yield f"# Run {run.id}: {run.runbook}"
    yield ""
    said = _SAID[run.outcome] if run.outcome else "Not brought to an end"
    exit_code = f" (exit code {int(run.outcome.exit_code)})" if run.outcome else ""
    yield f"**{said}{exit_code}.**" + (f" {_inline(run.cause)}" if run.cause else "")
    yield ""
    yield f"- Operator: {_inline(run.operator)} on {_inline(run.machine)}"
    yield f"- Started: {_instant(run.started)}"
    if run.ended:
        yield f"- Ended: {_instant(run.ended)}, after {_seconds(run.seconds)}"
    mode = f"{run.mode}, attempt {run.attempt}" if run.attempt > 1 else run.mode
    dry = "dry run, with tasks that change something" if run.changed else "dry run: nothing was changed"
    yield f"- Mode: {mode}{f', {dry}' if run.check_mode else ''}"
    if run.rollback_of:
        yield f"- Puts back what was there before: {_inline(run.rollback_of)}"
    yield f"- Inventory: {_inline(run.inventory)}"
    if run.project:
        yield f"- Project: {_inline(run.project)}"
    if run.strategy:
        yield f"- Strategy: {_inline(run.strategy)}"
    if run.only_steps:
        yield f"- Only a part of the runbook: {_inline(', '.join(run.only_steps))}, with the guards"
    if run.inputs:
        yield f"- Inputs: {_code(run.inputs)}"
    for part in run.services:
        yield from _service(part)
    if not run.services:
        yield from ("", "The run reached no service.")
    if run.outcome is Outcome.NOT_CLEANED_UP:
        words = "What the run was for is done and verified. Take away what kept it from cleaning up, then:"
        yield from ("", "## To finish", "", words, "", "```bash", f"pyrunbook recover {run.id}", "```")
    sentence, command = undo(run, ended_by, undone_by)
    yield from ("", "## To undo", "", sentence)
    if command:
        yield from ("", "```bash", command, "```")


def _service(part: ServiceRun) -> Iterator[str]:
    yield from ("", f"## {_inline(part.service)}{f' ({_inline(part.platform)})' if part.platform else ''}", "")
    said = _SAID[part.outcome] if part.outcome else "Not concluded"
    yield f"- Outcome: {said}{f'. {_inline(part.cause)}' if part.cause else ''}"
    if part.window is not None:
        reason = part.window.get("reason") or ("open" if part.window.get("open") else "closed")
        spec = part.window.get("window")
        yield f"- Window{f' {_inline(spec)}' if spec else ''}: {_inline(reason)}"
    if part.override_reason:
        yield f"- Allowed outside its window, because: {_inline(part.override_reason)}"
    for item in part.attestations:
        yield f"- Attested: {_inline(item.name)}, by {_inline(item.by)} at {_instant(item.at)}"
    if part.plan_id:
        yield f"- Rollback plan: {_inline(part.plan_id)}, SHA-256 `{part.plan_checksum}`"
    elif part.platform:
        yield "- Rollback plan: none was recorded"
    if part.steps:
        yield from ("", "| # | step | started (UTC) | took | outcome | what was seen |", "|---|---|---|---|---|---|")
        attempts = {step.attempt for step in part.steps}
        for step in part.steps:
            yield _row(step, several=len(attempts) > 1)
    for step in part.steps:
        if step.error:
            yield from ("", f"{_inline(step.title)} failed:", "", *_block(step.error, "text"))
    if part.evidence:
        yield from ("", "### Evidence")
        for proof in part.evidence:
            heading = f"{_inline(proof.step)}: {_inline(proof.name)}, {_instant(proof.at)}"
            value = json.dumps(proof.value, indent=2, ensure_ascii=False, sort_keys=True)
            yield from ("", heading, "", *_block(value, "json"))


def _row(step: StepRun, *, several: bool) -> str:
    title = f"{step.title} (attempt {step.attempt})" if several else step.title
    outcome = step.outcome.value if step.outcome else "never ended: its process died"
    seen = step.detail or (step.error or "").partition("\n")[0]
    cells = [str(step.position), title, f"{step.started:%H:%M:%S}", _seconds(step.seconds), outcome, seen]
    return f"| {' | '.join(_inline(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _block(text: str, language: str) -> list[str]:
    """A fenced block whose fence does not occur in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *text.splitlines(), fence]


def _code(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return f"`{text}`" if "`" not in text else _inline(text)


def _inline(text: object) -> str:
    """One line of text in which nothing is markup."""
    return re.sub(r"([\\`*_<>\[\]#])", r"\\\1", " ".join(str(text).split())) if text else ""


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"
