"""A URL that does not reach its program as it is written, because the shell reads signs of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.script import Word
from pyrunbook.lint.shell import parse

_URL = re.compile(r"(?:https?|wss?|ftp)://", re.IGNORECASE)
_BRACES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")


@rule("warning", "The shell changes a URL before its program sees it.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Braces that become several words, patterns of file names, and `&`, which ends the command."""
    for command in subject.commands:
        for invocation in parse(command.text).invocations:
            for word in invocation.arguments:
                if _URL.search(word.text) and (message := _read_by_shell(word)):
                    curl = "; curl reads brackets and braces, too: --globoff" if invocation.program == "curl" else ""
                    hint = curl if "--globoff" not in invocation.texts and "ends" not in message else ""
                    yield Finding(command.spot(word.row, word.column), f"{message}; quote the URL{hint}")


def _read_by_shell(word: Word) -> str:
    if _BRACES.search(word.bare):
        return "the shell makes several words of {…,…} in this URL"
    if re.search(r"[*\[\]]", word.bare):
        return "the shell takes * and [ ] in this URL for a pattern of file names"
    return "& ends the command within this URL, and what is behind it is lost" if word.cut else ""
