"""A command that cannot be pasted: something in it has to be filled in first, or it does not end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.blanks import Surroundings, speaks_for_itself
from pyrunbook.lint.masks import BLANKS
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.shell_syntax import DANGLING, goes_on
from pyrunbook.lint.subject import Command

_TO_DO = re.compile(
    r"(?<![\w./-])(?:TODO|FIXME|TBD|CHANGE[_-]?ME|REPLACE[_-]?ME|YOUR[_-][A-Z_-]+|your-[a-z-]+-here)(?!\w)"
    r"|(?<![\w./-])X{3,}(?!\w)|(?<=[\s='\"])[xX]{2,}(?=[\s'\"]|$)"
    r"|(?<=\s)(?:\.\.\.|…)(?=\s+[^\s'\"])"
)


@rule("warning", "A command has a blank to fill in, or does not end.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Blanks, each once; words that stand for a blank, and a last line that goes on behind the end."""
    said: set[str] = set()
    for command in subject.commands:
        fault = context.syntax.get(command)
        typed = fault is None or goes_on(command, fault)  # what is no shell is output, and dots in it mean more output
        if typed:
            yield from _blanks(command, subject, context, said)
        rows = command.source.split("\n")
        dangling = DANGLING.search(rows[-1])
        if dangling and typed:
            message = f"the command goes on behind {dangling[1]}, and there is nothing"
            yield Finding(command.spot(len(rows) - 1, dangling.start()), message)
    for place in subject.open_code:
        yield Finding(place.at, f"the code that begins here with ` is never closed: {place.words}")


def _blanks(command: Command, subject: Subject, context: Context, said: set[str]) -> Iterator[Finding]:
    rows = command.source.split("\n")
    comments = [comment for row in rows for comment in re.findall(r"(?:^|\s)#(.*)", row)]
    blanks = [(row, found) for row, line in enumerate(rows) for found in BLANKS.finditer(_without_comment(line))]
    words = [(row, found) for row, line in enumerate(rows) for found in _TO_DO.finditer(_bare(line))]
    if (not blanks and not words) or _has_example(command, subject, context):
        return
    elsewhere = [*_elsewhere(subject, command), *comments]
    for row, found in blanks:
        blank, name = found[0], found["name"]
        closes = f"</{name}>" in command.source or f"</{name.split()[0]}>" in command.source
        # `NAMESPACE=<namespace>` is the place to fill it in, once, and its variable says what it is.
        assigned = re.match(r"\s*(export |local )?\w+=[\"']?$", rows[row][: found.start()]) is not None
        if closes or assigned or name.startswith("/") or blank in said or speaks_for_itself(name):
            continue
        said.add(blank)
        named = any(blank in text for text in (*subject.raw, *comments))
        if not named and not _around(subject, [*elsewhere, *rows[:row]]).tell(name):
            message = f"{blank} has to be filled in, and nothing says with what"
            yield Finding(command.spot(row, found.start()), message)
    told: set[int] = set()
    for row, found in words:
        # What it stands for is in its own words, or in those of the variable or option that it is the value of.
        before = re.search(r"([\w-]+)(?:=|\s|:\s)[\"']?$", rows[row][: found.start()])
        name = f"{found[0]} {before[1] if before else ''}"
        if row not in told and not _around(subject, [*elsewhere, *rows[:row]]).tell(name):
            told.add(row)  # a line is filled in as one
            message = f"{found[0]} stands where something has to be filled in"
            yield Finding(command.spot(row, found.start()), message)


def _around(subject: Subject, texts: list[str]) -> Surroundings:
    return Surroundings(texts, of_an_alert=subject.form == "alert")


def _has_example(command: Command, subject: Subject, context: Context) -> bool:
    """Whether the command is shown once more with its blanks filled in, or is itself such an example."""
    if subject.kind != "page":
        return False
    lines = context.project.lines(command.at.file)
    first, last = command.starts[0].line, command.starts[-1].line
    near = (*lines[max(first - 4, 0) : first - 1], *lines[first - 1 : last + 6])
    return any(re.search(r"(?i)\bexamples?\b|\be\.g\.|\bpar exemple\b", line) for line in near)


def _bare(line: str) -> str:
    """A line without its comment and its blanks, as long as it was."""
    return BLANKS.sub(lambda found: " " * len(found[0]), _without_comment(line))


def _elsewhere(subject: Subject, command: Command) -> Iterator[str]:
    """The words of the whole page, and the code above the command: what it lists, and what it prints."""
    yield from subject.raw
    yield from (line.words for text in subject.texts for line in text.lines)
    yield from (block.text for block in subject.blocks if block.at.line < command.at.line - 1)
    for other in (*subject.before, *subject.commands):
        if other is command:
            return
        yield other.source


def _without_comment(line: str) -> str:
    return re.sub(r"(?:^|(?<=\s))#.*", "", line)
