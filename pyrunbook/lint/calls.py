"""The calls of `pyrunbook` and `ansible-playbook` in a subject's commands: which runbook, which tags, which steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyrunbook.lint.script import BLANK, TEMPLATE, Invocation, Word
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Command, Subject
from pyrunbook.project.problem import Spot

_WITH_RUNBOOK = (("run",), ("show",), ("plan",), ("window", "explain"), ("window", "check"), ("docs", "show"))
_UPDATE = "maintenance/production_update"
_VALUED = (
    "-i", "--inventory", "--limit", "-e", "--extra-vars", "--reason", "--attest", "--step", "--timeout", "--at",
    "--tags", "-t", "--skip-tags", "-l", "--lang", "--platform", "--strategy", "--start-at-task", "-u", "--user",
    "--vault-id", "--vault-password-file", "-f", "--forks", "--output",
)  # fmt: skip


@dataclass
class RunbookCall:
    """A call of pyrunbook: `runbook` as written, empty where none is named."""

    runbook: str
    at: Spot
    steps: list[tuple[str, Spot]]
    attested: list[tuple[str, Spot]]


@dataclass
class PlaybookCall:
    """A call of ansible-playbook."""

    path: str
    at: Spot
    tags: list[tuple[str, Spot]]


def runbook_calls(subject: Subject) -> Iterator[RunbookCall]:
    """The calls of `pyrunbook` that are about a runbook."""
    for command, each in _calls_of("pyrunbook", subject):
        plain, options = _split(each.arguments)
        words = tuple(word.text for word in plain)
        named: Word | None = None
        for prefix in _WITH_RUNBOOK:
            if words[: len(prefix)] == prefix and len(words) > len(prefix):
                named = plain[len(prefix)]
        maintenance = words[:1] == ("maintenance",)
        if (named is None or not _plain(named)) and not maintenance:
            continue
        at = command.spot(each.row, each.column) if named is None else command.spot(named.row, named.column)
        steps, attested = _named(command, options, ("--step",)), _named(command, options, ("--attest",))
        yield RunbookCall(_UPDATE if named is None else named.text, at, steps, attested)


def playbook_calls(subject: Subject) -> Iterator[PlaybookCall]:
    """The calls of `ansible-playbook`."""
    for command, each in _calls_of("ansible-playbook", subject):
        plain, options = _split(each.arguments)
        tags = _named(command, options, ("--tags", "-t", "--skip-tags"))
        for word in plain:
            if _plain(word):
                yield PlaybookCall(word.text, command.spot(word.row, word.column), tags)


def _calls_of(program: str, subject: Subject) -> Iterator[tuple[Command, Invocation]]:
    for command in subject.commands:
        if program in command.text:
            yield from ((command, each) for each in parse(command.text).invocations if each.program == program)


def _split(words: tuple[Word, ...]) -> tuple[list[Word], list[tuple[str, Word]]]:
    """Words that are no options, and options with their values."""
    plain: list[Word] = []
    options: list[tuple[str, Word]] = []
    position = 0
    while position < len(words):
        word = words[position]
        name, equals, value = word.text.partition("=")
        if word.text.startswith("-") and equals:
            options.append((name, Word(value, word.row, word.column + len(name) + 1, word.variables, word.literal)))
        elif word.text in _VALUED and position + 1 < len(words):
            position += 1
            options.append((word.text, words[position]))
        elif not word.text.startswith("-"):
            plain.append(word)
        position += 1
    return plain, options


def _named(command: Command, options: list[tuple[str, Word]], wanted: tuple[str, ...]) -> list[tuple[str, Spot]]:
    found = []
    for name, word in options:
        if name in wanted and _plain(word):
            found += [
                (part.strip(), command.spot(word.row, word.column)) for part in word.text.split(",") if part.strip()
            ]
    return found


def _plain(word: Word) -> bool:
    """Whether the word is what will be there: no variable, no template, no blank such as `RUNBOOK`."""
    return word.literal and not {TEMPLATE, BLANK} & set(word.text) and word.text.upper() != word.text
