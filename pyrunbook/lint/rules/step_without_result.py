"""A step after which nobody can tell whether it worked."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule


@rule("warning", "A step does not say what is so when it has succeeded.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Steps without any expected result, and commands of a step whose result is not described."""
    for step in subject.steps:
        if not step.expected and subject.kind == "page":
            if step.actions:
                yield Finding(step.at, f'the step "{step.title}" does not say what its commands should show')
        elif not step.expected and not step.actions:
            yield Finding(step.at, f"the step {step.title} does not say what is so when it has succeeded")
        elif subject.kind != "page":
            for action in step.actions:
                if action.commands and not action.expected:
                    yield Finding(action.at, f"the step {step.title} does not say what these commands should show")
