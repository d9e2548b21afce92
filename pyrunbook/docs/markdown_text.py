"""Pieces of Markdown: fences that hold whatever they are given, cells of tables, lines that open no block, anchors."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

_TICKS = re.compile(r"`+")
# A no-break space stays: French has one before a colon.
_BLANKS = re.compile(r"[^\S\u00a0\u202f]+")
# What CommonMark takes for the beginning of a block: heading, quote, list, fence, rule, definition of a link. Two marks
# make a rule behind the one of a list: `- --`.
_BLOCK = re.compile(r"#{1,6}(?=\s|$)|>|[-+*](?=\s|$)|~{3,}|(?:[-_*] ?){2,}$|\[(?=[^\]]*\]:)|={1,}$|\|")
_BRACKET = re.compile(r"(?<!\\)[\[\]]")
_NUMBER = re.compile(r"(\d{1,9})([.)])(?=\s|$)")


def fence(text: str, language: str = "bash") -> str:
    """A code block; its fence is longer than any in the text."""
    longest = max((len(found) for found in _TICKS.findall(text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def cell(text: object) -> str:
    """A cell of a table: one line, and no pipe of its own."""
    return _BLANKS.sub(" ", str(text)).strip(" ").replace("|", "\\|")


def code(text: object) -> str:
    """Inline code, also of a text with backticks."""
    shown = " ".join(str(text).split())
    if not shown:
        return ""
    marks = "`" * (max((len(found) for found in _TICKS.findall(shown)), default=0) + 1)
    return f"{marks} {shown} {marks}" if "`" in shown else f"{marks}{shown}{marks}"


@lru_cache(maxsize=4096)
def plain_text(text: str) -> str:
    """A text as one line of a paragraph, whatever it holds: it opens no block, no HTML, and no code that does not end.

    Markdown within a line stays: inline code, emphasis, links.
    """
    line = _BLANKS.sub(" ", text).strip(" ")
    parts: list[str] = []
    position = 0
    while found := _TICKS.search(line, position):
        parts.append(_without_html(line[position : found.start()]))
        end = None if _ends_with_escape(parts[-1]) else _end_of_code(line, found)
        parts.append(line[found.start() : end] if end else _escaped(found[0], parts[-1]))
        position = end or found.end()
    parts.append(_without_html(line[position:]))
    shown = _NUMBER.sub(r"\1\\\2", "".join(parts), count=1) if _NUMBER.match(line) else "".join(parts)
    if _BLOCK.match(shown):
        shown = f"\\{shown}"
    return f"{shown}\\" if _ends_with_escape(shown) else shown


def link(text: str, target: str) -> str:
    """A link; the text is Markdown already."""
    url = quote(target.strip(), safe="/:?#[]@!$&'*+,;=%~", errors="replace")
    shown = _BRACKET.sub(r"\\\g<0>", text)
    return f"[{shown}]({url})"


def anchor(text: str) -> str:
    """An anchor of letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _without_html(text: str) -> str:
    """`<name>` and `&amp;` as they are written."""
    return re.sub(r"(\\*)<(?=[A-Za-z/!?])", lambda found: f"{found[1]}{'' if len(found[1]) % 2 else chr(92)}<", text)


def _end_of_code(line: str, opening: re.Match[str]) -> int | None:
    """Where the code ends that backticks open; `None` where as many are never found again."""
    return next((found.end() for found in _TICKS.finditer(line, opening.end()) if found[0] == opening[0]), None)


def _escaped(ticks: str, before: str) -> str:
    return ticks[0] + "\\`" * (len(ticks) - 1) if _ends_with_escape(before) else "\\`" * len(ticks)


def _ends_with_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1
