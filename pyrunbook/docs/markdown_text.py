"""Pieces of Markdown: fences that hold whatever they are given, cells of tables, anchors."""

from __future__ import annotations

import re


def fence(text: str, language: str = "bash") -> str:
    """A code block; its fence is longer than any in the text."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def cell(text: object) -> str:
    """A cell of a table: one line, and no pipe of its own."""
    return " ".join(str(text).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Inline code, also of a text with backticks."""
    shown = " ".join(str(text).split())
    marks = "`" * (max((len(found) for found in re.findall(r"`+", shown)), default=0) + 1)
    return f"{marks} {shown} {marks}" if "`" in shown else f"{marks}{shown}{marks}"


def plain_text(text: str) -> str:
    """Words that Markdown would take for HTML, as they are: `<name>`."""
    return re.sub(r"<(?=[A-Za-z/!])", r"\\<", text)


def anchor(text: str) -> str:
    """An anchor of letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
