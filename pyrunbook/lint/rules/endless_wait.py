"""Waiting for something that never comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.effects import verb_of
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.script import Invocation
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Subject


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """`kubectl wait` for a deployment that is not available; loops without an end."""
    for command in subject.commands:
        script = parse(command.text)
        for each in script.invocations:
            if each.program in ("kubectl", "oc") and verb_of(each) == "wait" and _for_unavailable(each):
                message = (
                    "a deployment scaled to 0 stays Available, so this waits until its timeout; "
                    "wait for its pods instead: kubectl wait --for=delete pod -l …"
                )
                yield Finding(command.spot(each.row, each.column), message)
        for row, line in enumerate(command.text.split("\n")):
            found = re.search(r"\bwhile (true|:|\[ 1 \])\s*;?\s*do\b", line)
            if found and not re.search(r"\bbreak\b|\bexit\b|\breturn\b|timeout ", command.text):
                yield Finding(command.spot(row, found.start()), "the loop has no end: say how long, or what ends it")


def _for_unavailable(command: Invocation) -> bool:
    words = " ".join(command.texts).lower()
    return re.search(r"--for[= ]condition=available=false", words) is not None


RULE = Rule("endless-wait", "error", "A command waits for something that never comes.", check)
