"""A command that cannot be pasted: something in it has to be filled in first, or it does not end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.masks import BLANKS
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.script import BLANK
from pyrunbook.lint.shell_syntax import DANGLING, goes_on
from pyrunbook.lint.subject import Command, Subject

_TO_DO = re.compile(
    r"(?<![\w./-])(?:TODO|FIXME|TBD|X{3,}|CHANGE[_-]?ME|REPLACE[_-]?ME|YOUR[_-][A-Z_-]+|your-[a-z-]+-here)(?!\w)"
    r"|(?<=\s)(?:\.\.\.|…)(?=\s|$)"
)


def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Blanks, each once; words that stand for a blank, and a last line that goes on behind the end."""
    said: set[str] = set()
    prose = " ".join(line.words for text in subject.texts for line in text.lines)
    for command in subject.commands:
        rows = command.source.split("\n")
        fault = context.syntax.get(command)  # what is no shell is output, and dots in it stand for more output
        explained = prose + " ".join(comment for row in rows for comment in re.findall(r"(?:^|\s)#\s(.*)", row))
        for row, line in enumerate(rows):
            code = re.sub(r"(?:^|(?<=\s))#\s.*", "", line)
            for found in BLANKS.finditer(code):
                closes = f"</{found['name']}>" in command.source or f"</{found['name'].split()[0]}>" in command.source
                if closes or found[0] in said or _told(found[0], explained, subject):
                    continue
                said.add(found[0])
                if BLANK in command.text:
                    yield _finding(
                        command, row, found.start(), f"{found[0]} has to be filled in, and nothing says with what"
                    )
            for found in _TO_DO.finditer(code) if fault is None else ():
                yield _finding(command, row, found.start(), f"{found[0]} stands where something has to be filled in")
        dangling = DANGLING.search(rows[-1])
        if dangling and (fault is None or goes_on(command, fault)):
            message = f"the command goes on behind {dangling[1]}, and there is nothing"
            yield _finding(command, len(rows) - 1, dangling.start(), message)


def _told(blank: str, prose: str, subject: Subject) -> bool:
    """Whether the words around say what to fill in: they name the blank itself."""
    return blank in prose or any(f"`{blank}`" in line for line in subject.raw)


def _finding(command: Command, row: int, column: int, message: str) -> Finding:
    return Finding(command.spot(row, column), message)


RULE = Rule("incomplete-command", "warning", "A command has a blank to fill in, or does not end.", check)
