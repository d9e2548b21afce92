"""A block of code that does not say what it is: neither a reader nor a check knows whether it is to be typed in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Edit, Finding, Subject, rule
from pyrunbook.markdown.code import PROMPT, looks_like_shell


@rule("warning", "A block of code does not say its language.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Each fence without a language; with its language where the content leaves no doubt."""
    for block in subject.blocks:
        if block.language:
            continue
        language = _certain(block.text)
        edit = None
        if language:
            marks = re.match(r"`+|~+", block.fence[block.at.column - 1 :])
            if marks:
                at = block.at._replace(column=block.at.column + len(marks[0]))
                edit = Edit(
                    at, block.fence[at.column - 1 :].rstrip("\r\n"), language, f"said that the block is {language}"
                )
        known = f"; it is {language}" if language else "; output is text"
        yield Finding(block.at, f"the block of code does not say its language{known}", edit)


def _certain(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    if any(PROMPT.match(line) for line in lines):
        # Prompts with something else between them: a session, of which only a part is typed in.
        return "console"
    if looks_like_shell(text):
        return "bash"
    if text.lstrip().startswith(("{", "[")):
        try:
            json.loads(text)
        except ValueError:
            return ""
        return "json"
    return ""
