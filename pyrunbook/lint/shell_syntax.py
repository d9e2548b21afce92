"""Asks Bash whether commands are shell at all. `bash -n` reads from standard input and executes nothing.

A process a command would take minutes for a thousand runbooks. tree-sitter's grammar finds what is left open (quotes,
brackets, here-documents), so all commands that it understands can be read by one Bash, one behind the other. What it
does not understand, or where that Bash stops, is asked by itself.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from pyrunbook.lint.script import BLANK, TEMPLATE
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Command

_SECONDS = 30
DANGLING = re.compile(r"(\||&&|\|\||\\)\s*$")
"""The end of a line that goes on in the next one."""


class Fault(NamedTuple):
    """A mistake; the row counts from 0, the column from 0 where it is known."""

    row: int
    column: int
    message: str


def faults(commands: Sequence[Command]) -> dict[Command, Fault]:
    """The commands that Bash does not understand, with the first mistake in each. Without Bash, the grammar's word."""
    texts = {command.text: _plain(command.text) for command in commands}
    open_ones = {text for text in texts if parse(text).fault is not None}
    bad: dict[str, Fault | None] = {text: _alone(text, texts[text]) for text in open_ones}
    joined = [text for text in texts if text not in open_ones]
    while joined:
        stopped = _first_bad([texts[text] for text in joined])
        if stopped is None:
            break
        text = joined[stopped]
        bad[text] = _alone(text, texts[text])
        joined = joined[stopped + 1 :]
    return {command: fault for command in commands if (fault := bad.get(command.text)) is not None}


def goes_on(command: Command, fault: Fault) -> bool:
    """Whether Bash stops only because the last line goes on behind the end."""
    rows = command.source.split("\n")
    return fault.row == len(rows) - 1 and DANGLING.search(rows[-1]) is not None


def _plain(text: str) -> str:
    """Masks as letters, which are words anywhere."""
    return text.replace(TEMPLATE, "T").replace(BLANK, "B").removesuffix("\\")


def _ask(text: str) -> list[tuple[int, str]] | None:
    """What `bash -n` complains about: lines, counting from 1, and messages. `None` where there is no Bash."""
    try:
        # No start-up file, no exported function, no locale of the reader's: only the text decides.
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-n"],
            input=text.encode(),
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.findall(r"line (\d+): (.*)", done.stderr.decode(errors="replace"))
    return [(int(line), message) for line, message in found]


def _alone(text: str, plain: str) -> Fault | None:
    said = _ask(plain + "\n")
    script = parse(text)
    if said is None:
        return Fault(*script.fault, "it is not shell: the grammar stops here") if script.fault else None
    if not said:
        return None
    line, message = said[0]
    message = _in_words(message)
    row = min(line - 1, plain.count("\n"))
    place = script.fault if script.fault and script.fault[0] == row else None
    return Fault(row, place[1] if place else 0, message)


def _in_words(message: str) -> str:
    left_open = re.search(r"unexpected EOF while looking for matching `(.+?)'", message)
    if left_open:
        return f"{left_open[1]} is left open"
    return re.sub(r"^syntax error:? ?", "", re.sub(r"`(.+?)'", r'"\1"', message)) or "a syntax error"


def _first_bad(texts: Sequence[str]) -> int | None:
    """Which of several texts Bash stops at when it reads them one behind the other."""
    said = _ask("".join(f"{text}\n" for text in texts))
    if not said:
        return None
    line = 0
    for index, text in enumerate(texts):
        line += text.count("\n") + 1
        if said[0][0] <= line:
            return index
    return len(texts) - 1
