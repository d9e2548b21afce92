"""Builds a page from markdown-it's tokens: CommonMark and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pyrunbook.markdown.fences import prepared
from pyrunbook.markdown.inline import labels_in, links_of, plain_text
from pyrunbook.markdown.page import CodeBlock, Definition, Html, Item, Link, ListItem, Page, Paragraph, Section, Table
from pyrunbook.markdown.words import plain_title

_CHECKBOX = re.compile(r"\[([ xX])\][ \t]+")
_DEEPEST = 5
"""Pages in pages in pages: no author writes them, and a parser must end."""


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def read_page(text: str, file: Path) -> Page:
    """Read a page of Markdown; YAML front matter is skipped. The file is named in messages, and is not opened."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\N{BYTE ORDER MARK}").split("\n")
    return _page(lines, file, offset=0, depth=0)


def _page(lines: list[str], file: Path, offset: int, depth: int, source: Sequence[str] | None = None) -> Page:
    """A page from the lines of a file, or of a block of it whose first line has `offset` lines before it."""
    whole = tuple(source) if source is not None else tuple(lines)
    reader = _Reader(whole, file, offset, depth)
    environment: dict[str, Any] = {}
    tokens = _parser().parse("\n".join(prepared(lines)), environment)
    definitions = tuple(
        Definition(label, found["href"], found["map"][0] + 1 + offset, found["map"][1] + offset)
        for label, found in environment.get("references", {}).items()
    )
    return Page(file, whole, reader.sections(tokens, last=offset + len(lines)), definitions)


class _Reader:
    """Reads tokens; `_source` are the lines of the whole file, tokens count from the line after `_offset`."""

    def __init__(self, source: tuple[str, ...], file: Path, offset: int, depth: int) -> None:
        self._source = source
        self._file = file
        self._offset = offset
        self._depth = depth

    # --- sections ------------------------------------------------------------------------------------------------

    def sections(self, tokens: Sequence[Token], last: int) -> Section:
        """The tree of sections, made from the flat sequence of headings."""
        root = Section("", 0, self._offset + 1, 1, last)
        flat: list[tuple[Section, list[Item]]] = [(root, [])]
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token.type == "heading_open":
                line, _ = self._span(token)
                title = plain_title(plain_text(tokens[position + 1]))
                flat.append((Section(title, int(token.tag[1]), line, self._indent(line), last), []))
                position += 3
                continue
            end = _closing(tokens, position)
            flat[-1][1].extend(self._items(tokens[position : end + 1]))
            position = end + 1
        return _tree([replace(section, items=tuple(items)) for section, items in flat], last)

    # --- items ---------------------------------------------------------------------------------------------------

    def _items(self, tokens: Sequence[Token]) -> Iterator[Item]:
        position = 0
        while position < len(tokens):
            token = tokens[position]
            end = _closing(tokens, position)
            inside = tokens[position + 1 : end]
            if token.type in ("paragraph_open", "heading_open"):
                yield from self._paragraph(inside[0], bold=token.type == "heading_open")
            elif token.type in ("fence", "code_block"):
                yield self._code(token)
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                yield from self._list(inside, token.attrGet("start"), ordered=token.type == "ordered_list_open")
            elif token.type == "table_open":
                yield self._table(token, inside)
            elif token.type == "html_block":
                line, last = self._span(token)
                yield Html(token.content.strip(), line, self._indent(line), last)
            elif token.type == "blockquote_open":
                yield from self._items(inside)
            position = end + 1

    def _paragraph(self, inline: Token, *, bold: bool = False) -> Iterator[Item]:
        line, last = self._span(inline)
        links = links_of(inline, line, self._source)
        source = "\n".join(part.strip() for part in inline.content.split("\n"))
        paragraph = Paragraph(plain_text(inline), source, line, self._indent(line), last, bold or _bold(inline), links)
        yield from labels_in(paragraph, self._indent)
        yield from self._comments(inline, line)

    def _comments(self, inline: Token, line: int) -> Iterator[Html]:
        for child in inline.children or []:
            if child.type in ("softbreak", "hardbreak"):
                line += 1
            elif child.type == "html_inline":
                if child.content.startswith("<!--"):
                    last = line + child.content.count("\n")
                    yield Html(child.content, line, self._source[line - 1].find("<!--") + 1, last)
                line += child.content.count("\n")

    def _code(self, token: Token) -> CodeBlock:
        line, last = self._span(token)
        if token.type == "code_block":
            last = line + max(token.content.count("\n") - 1, 0)
            return CodeBlock("", token.content, line, self._column(line, token.content), last, line, fenced=False)
        language = token.info.strip().split(maxsplit=1)[0].lower() if token.info.strip() else ""
        block = CodeBlock(language, token.content, line + 1, self._column(line + 1, token.content), last, line)
        if language in ("markdown", "md") and self._depth < _DEEPEST:
            content = token.content.removesuffix("\n").split("\n")
            return replace(block, page=_page(content, self._file, line, self._depth + 1, self._source))
        return block

    def _list(self, tokens: Sequence[Token], start: str | int | float | None, *, ordered: bool) -> Iterator[ListItem]:
        number = int(start) if start is not None else 1
        position = 0
        while position < len(tokens):
            end = _closing(tokens, position)
            yield self._list_item(tokens[position], tokens[position + 1 : end], number if ordered else None)
            number += 1
            position = end + 1

    def _list_item(self, opening: Token, tokens: Sequence[Token], number: int | None) -> ListItem:
        line, _ = self._span(opening)
        if not tokens or tokens[0].type != "paragraph_open":
            items = tuple(self._items(tokens))
            return ListItem(
                "", "", line, self._indent(line), max([line, *(i.end for i in items)]), None, number, items=items
            )
        inline = tokens[1]
        first, last = self._span(inline)
        text, source = plain_text(inline), "\n".join(part.strip() for part in inline.content.split("\n"))
        checkbox = _CHECKBOX.match(source)
        if checkbox:
            text, source = text[len(checkbox[0]) :], source[len(checkbox[0]) :]
        links = links_of(inline, first, self._source)
        column = self._indent(line)
        whole = Paragraph(text, source, first, column, last, _bold(inline), links)
        first_label, *others = labels_in(whole, self._indent)
        label = first_label if not isinstance(first_label, Paragraph) else None
        items = (*others, *self._comments(inline, first), *self._items(tokens[3:]))
        if label is not None or others:
            text, source = whole.text if label else first_label.text, whole.source if label else first_label.source
        return ListItem(
            text=text,
            source=source,
            line=line,
            column=column,
            end=max([last, *(item.end for item in items)]),
            checked=checkbox[1] != " " if checkbox else None,
            number=number,
            label=label,
            bold=whole.bold,
            links=links,
            items=items,
        )

    def _table(self, opening: Token, tokens: Sequence[Token]) -> Table:
        line, last = self._span(opening)
        rows: list[list[str]] = []
        row_lines: list[int] = []
        links: list[Link] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
                row_lines.append(self._span(token)[0])
            elif token.type == "inline":
                rows[-1].append(plain_text(token))
                links += links_of(token, row_lines[-1], self._source)
        body = tuple(tuple(row) for row in rows[1:])
        return Table(tuple(rows[0]), body, tuple(row_lines[1:]), line, self._indent(line), last, tuple(links))

    # --- places --------------------------------------------------------------------------------------------------

    def _span(self, token: Token) -> tuple[int, int]:
        """First and last line of a token in the file."""
        first, behind = token.map or [0, 1]
        return first + 1 + self._offset, max(behind, first + 1) + self._offset

    def _indent(self, line: int) -> int:
        """The column of the first character that is neither blank nor the mark of a quotation."""
        text = self._source[line - 1] if line <= len(self._source) else ""
        return len(text) - len(text.lstrip(" \t>")) + 1

    def _column(self, line: int, content: str) -> int:
        """Where the first line of a block begins in the source."""
        first = content.split("\n", 1)[0]
        text = self._source[line - 1] if line <= len(self._source) else ""
        return max(text.find(first), 0) + 1 if first.strip() else self._indent(line)


def _closing(tokens: Sequence[Token], position: int) -> int:
    """The position of the token that closes the one at `position`; that one itself where nothing has to be closed."""
    if tokens[position].nesting != 1:
        return position
    level = tokens[position].level
    return next(at for at in range(position + 1, len(tokens)) if tokens[at].level == level and tokens[at].nesting == -1)


def _bold(inline: Token) -> bool:
    children = [child for child in inline.children or [] if child.content.strip() or child.type != "text"]
    if len(children) < 3 or children[0].type != "strong_open" or children[-1].type != "strong_close":
        return False
    return sum(child.type == "strong_open" for child in children) == 1


def _tree(flat: list[Section], last: int) -> Section:
    """Sections put below the preceding ones of a lower level; each ends where the next of its kind begins."""

    def below(position: int, level: int, end: int) -> tuple[list[Section], int]:
        found: list[Section] = []
        while position < len(flat) and flat[position].level > level:
            section = flat[position]
            behind = next((s.line - 1 for s in flat[position + 1 :] if s.level <= section.level), end)
            children, position = below(position + 1, section.level, behind)
            found.append(replace(section, sections=tuple(children), end=behind))
        return found, position

    children, _ = below(1, 0, last)
    return replace(flat[0], sections=tuple(children), end=last)
