"""A question inside of a play: under a runner, a schedule or a pipeline nobody answers it."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """`vars_prompt`, and `pause` that waits for a key."""
    for prompt in subject.prompts:
        yield Finding(
            prompt.at,
            f"{prompt.word} asks in the middle of a play, where nobody may be; take it as an input, or as an attested "
            "prerequisite",
        )


RULE = Rule("prompt-in-play", "error", "A play asks a question while it runs.", check)
