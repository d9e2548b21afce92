"""A change that leaves the reader without a way back."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.effects import needs_a_way_back
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.shell import parse


@rule("warning", "A step changes something and nothing says how to undo it.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """The first command of a step that changes something, where nothing says how to undo it."""
    if not subject.is_runbook or (subject.kind == "role" and context.goes_back(subject)):
        return
    for step in subject.steps:
        if step.undo:
            continue
        for command in step.commands:
            change = next((each for each in parse(command.text).invocations if needs_a_way_back(each)), None)
            if change is not None:
                on = f" on platform {step.platform}" if step.platform else ""
                what = f'{change.program} changes something in the step "{step.title}"'
                message = f"{what}, and nothing says how to undo it{on}"
                yield Finding(command.spot(change.row, change.column), message)
                break
