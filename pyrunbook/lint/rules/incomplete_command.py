"""A command that cannot be pasted: something in it has to be filled in first, or it does not end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.blanks import Surroundings, speaks_for_itself
from pyrunbook.lint.context import Context
from pyrunbook.lint.masks import BLANKS
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.script import BLANK
from pyrunbook.lint.shell_syntax import DANGLING, goes_on
from pyrunbook.lint.subject import Command, Subject

_TO_DO = re.compile(
    r"(?<![\w./-])(?:TODO|FIXME|TBD|CHANGE[_-]?ME|REPLACE[_-]?ME|YOUR[_-][A-Z_-]+|your-[a-z-]+-here)(?!\w)"
    r"|(?<![\w./-])X{3,}(?!\w)|(?<=[\s='\"])[xX]{2,}(?=[\s'\"]|$)"
    r"|(?<=\s)(?:\.\.\.|…)(?=\s+[^\s'\"])"
)


def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Blanks, each once; words that stand for a blank, and a last line that goes on behind the end."""
    said: set[str] = set()
    for command in subject.commands:
        yield from _blanks(command, subject, said)
        fault = context.syntax.get(command)
        typed = fault is None or goes_on(command, fault)  # what is no shell is output, and dots in it mean more output
        rows = command.source.split("\n")
        for row, line in enumerate(rows):
            for found in _TO_DO.finditer(BLANKS.sub(_spaces, _without_comment(line))) if typed else ():
                message = f"{found[0]} stands where something has to be filled in"
                yield Finding(command.spot(row, found.start()), message)
                break  # a line is filled in as one
        dangling = DANGLING.search(rows[-1])
        if dangling and typed:
            message = f"the command goes on behind {dangling[1]}, and there is nothing"
            yield Finding(command.spot(len(rows) - 1, dangling.start()), message)
    for place in subject.open_code:
        yield Finding(place.at, f"the code that begins here with ` is never closed: {place.word}")


def _blanks(command: Command, subject: Subject, said: set[str]) -> Iterator[Finding]:
    rows = command.source.split("\n")
    comments = [comment for row in rows for comment in re.findall(r"(?:^|\s)#(.*)", row)]
    said_elsewhere = [*_elsewhere(subject, command), *comments] if BLANK in command.text else []
    for row, line in enumerate(rows):
        for found in BLANKS.finditer(_without_comment(line)):
            blank, name = found[0], found["name"]
            closes = f"</{name}>" in command.source or f"</{name.split()[0]}>" in command.source
            if closes or blank in said or BLANK not in command.text or speaks_for_itself(name):
                continue
            said.add(blank)
            named = any(blank in text for text in (*subject.raw, *comments))
            around = Surroundings([*said_elsewhere, *rows[:row]], of_an_alert=subject.form == "alert")
            if not named and not around.tell(name):
                message = f"{blank} has to be filled in, and nothing says with what"
                yield Finding(command.spot(row, found.start()), message)


def _elsewhere(subject: Subject, command: Command) -> Iterator[str]:
    """The words of the whole page, and the code above the command: what it lists, and what it prints."""
    yield from subject.raw
    yield from (line.words for text in subject.texts for line in text.lines)
    yield from (block.text for block in subject.blocks if block.at.line < command.at.line - 1)
    for other in (*subject.before, *subject.commands):
        if other is command:
            return
        yield other.source


def _spaces(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _without_comment(line: str) -> str:
    return re.sub(r"(?:^|(?<=\s))#.*", "", line)


RULE = Rule("incomplete-command", "warning", "A command has a blank to fill in, or does not end.", check)
