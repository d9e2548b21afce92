"""Waiting for something that never comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from pyrunbook.lint.effects import verb_of
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.script import Invocation, Statement
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Command

_STOPPED = re.compile(r"ctrl|\bstop (it|this|the)\b|interrupt|\barrêt", re.IGNORECASE)
"""Words of a comment that tell the reader to end a command before the next one."""
_ENDING = ("head", "grep", "sed", "awk")
"""Programs that may end a pipe, and with it the program that feeds it."""


@rule("error", "A command waits for something that never comes.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """`kubectl wait` for a deployment that is not available; what does not end in front of further commands."""
    for command in subject.commands:
        script = parse(command.text)
        for each in script.invocations:
            if each.program in ("kubectl", "oc") and verb_of(each) == "wait" and _for_unavailable(each):
                message = (
                    "a deployment scaled to 0 stays Available, so this waits until its timeout; "
                    "wait for its pods instead: kubectl wait --for=delete pod -l …"
                )
                yield Finding(command.spot(each.row, each.column), message)
        # What watches until the reader ends it may stand last: nothing waits behind it.
        for statement, following in pairwise(script.statements):
            what = "" if statement.background else _endless(statement)
            if what and not _told_to_stop(command, statement, following):
                message = f"{what} does not end, so nothing below it is reached; give it a block of its own, or an end"
                yield Finding(command.spot(statement.row, statement.column), message)


def _for_unavailable(command: Invocation) -> bool:
    words = " ".join(command.texts).lower()
    return re.search(r"--for[= ]condition=available=false", words) is not None


def _endless(statement: Statement) -> str:
    """What in a statement goes on for ever; empty where it ends."""
    if statement.endless:
        return "the loop"
    if not statement.invocations:
        return ""
    first, *behind = statement.invocations
    if any(each.program in _ENDING and _leaves_early(each) for each in behind):
        return ""
    return _follows(first)


def _leaves_early(command: Invocation) -> bool:
    if command.program == "grep":
        return command.has(r"-\w*[mq]|--max-count|--quiet")
    return command.program == "head" or command.has(r"(?s).*\b(q|exit)\b")


_FOLLOWING = {"journalctl": "", "tail": "", "kubectl": "logs", "oc": "logs", "docker": "logs", "podman": "logs",
              "docker-compose": "logs"}  # fmt: skip
"""Programs that follow a log with `-f`, with the sub-command that it takes."""


def _follows(command: Invocation) -> str:
    """The words by which a command watches without an end; empty where it does not."""
    if "timeout" in command.through:
        return ""
    if "watch" in command.through:
        return "watch"
    name, words, verb = command.program, command.texts, verb_of(command)
    wanted = _FOLLOWING.get(name)
    if wanted is not None and (not wanted or wanted in words):
        if command.has(r"jobs?(\.batch)?/"):
            return ""  # the log of a job ends with it
        behind = words[words.index(wanted) + 1 :] if wanted else words  # `docker compose -f x.yml logs`
        flag = next((word for word in behind if re.fullmatch(r"-\w*[fF]\w*|--follow(=true)?", word)), "")
        return " ".join(filter(None, (name, wanted, flag))) if flag else ""
    if name in ("kubectl", "oc") and verb == "get":
        return next((f"{name} get {word}" for word in words if word in ("-w", "--watch", "--watch-only")), "")
    return f"{name} {verb}" if name in ("kubectl", "oc") and verb in ("port-forward", "proxy") else ""


def _told_to_stop(command: Command, statement: Statement, following: Statement) -> bool:
    between = command.source.split("\n")[statement.row : following.row + 1]
    return any(_STOPPED.search(comment) for row in between for comment in re.findall(r"#(.*)", row))
