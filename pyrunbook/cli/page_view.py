"""A page on a terminal."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from typing import ClassVar

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.style import Style
from rich.table import Table
from rich.text import Text

_DIAGRAM = re.compile(r"^#+ [^\n]*\n\n(`{3,})mermaid\n.*?^\1\n\n?", re.DOTALL | re.MULTILINE)
_ELSEWHERE = re.compile(r"^<!--.*?-->\n|^<a id=[^\n]*\n|^</?details>\n|^\[[^\]]*\]\([^)]*\.md\)\n\n", re.MULTILINE)
"""What is for a browser: the mark, anchors, folding, the link to the page in the other language."""
_SUMMARY = re.compile(r"^<summary>(.*)</summary>$", re.MULTILINE)
"""The words over what a browser folds; a terminal shows all of it, below these words."""
_ANCHOR = re.compile(r"\[([^\]]*)\]\(#[^)]*\)")
_BOX = re.compile(r"^(\s*- )\[ \]", re.MULTILINE)
_END = re.compile(r"(?: |\x1b\[[\d;]*m)+$")
_COMMAND = Style(color="green")
MOST_COLUMNS = 110


class _Table(TableElement):
    """A table that folds a word which is too long for its cell, where rich would cut it off."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                table.show_header = any(str(column.header) for column in table.columns)
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class _Prose(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "table_open": _Table}


def rendered(page: str, columns: int | None = None) -> str:
    """A Markdown page with the terminal's own means: no diagram, no anchors, lines that are not too long to read.

    Commands stand at the margin in lines as they are, however long, so that they can be copied.

    Args:
        page: as `docs build` makes it.
        columns: of the terminal; asked when `None`.
    """
    text = _SUMMARY.sub(r"**\1**", _ELSEWHERE.sub("", _DIAGRAM.sub("", page)))
    text = _BOX.sub(r"\1☐", _ANCHOR.sub(r"\1", text))
    width = min(columns or shutil.get_terminal_size().columns, MOST_COLUMNS)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width)
    for part, is_code in _parts(text):
        if is_code:
            console.print(Text(part, style=_COMMAND), soft_wrap=True)
        else:
            console.print(_Prose(part, hyperlinks=False))
        console.print()
    return "".join(f"{_END.sub(_styles, line)}\n" for line in out.getvalue().splitlines())


def _styles(end: re.Match[str]) -> str:
    """The end of a line without its blanks."""
    return end[0].replace(" ", "")


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """What is prose, and what is the inside of a code block."""
    lines = text.splitlines(keepends=True)
    position = 0
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "fence" and token.level == 0 and token.map:
            begin, end = token.map
            if prose := "".join(lines[position:begin]).strip("\n"):
                yield prose, False
            yield token.content.rstrip("\n"), True
            position = end
    if prose := "".join(lines[position:]).strip("\n"):
        yield prose, False
