"""The texts and commands of a YAML file, line by line where they stand.

msgspec's structs carry no lines, so the nodes are walked along the fields of the struct that they are read as: what a
field means is said once, in the catalog, and no new field can be forgotten here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from pyrunbook.catalog.strict import fields_of, is_struct, taken_apart
from pyrunbook.lint.masks import masked
from pyrunbook.lint.subject import Command, Line, Passage, Purpose, Subject
from pyrunbook.project.document import Document
from pyrunbook.project.problem import Spot

Path = tuple[str | int, ...]


class Leaf(NamedTuple):
    """A value of a struct: how to get there, its node, and the type that it is read as."""

    path: Path
    node: yaml.Node
    kind: Any


def leaves(document: Document, node: yaml.Node, kind: Any, path: Path = ()) -> Iterator[Leaf]:
    """The values of a struct in the order of the file; what does not fit the struct is left out."""
    kind, _, origin, arguments = taken_apart(kind)
    if is_struct(kind):
        fields = fields_of(kind)
        for name, _, value in document.items(node):
            if name in fields:
                yield from leaves(document, value, fields[name].type, (*path, name))
    elif origin in (list, tuple) and isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from leaves(document, item, arguments[0], (*path, index))
    elif origin is dict and isinstance(node, yaml.MappingNode):
        for name, _, value in document.items(node):
            yield from leaves(document, value, arguments[1], (*path, name))
    else:
        yield Leaf(path, node, kind)


def add_text(
    subject: Subject, document: Document, node: yaml.Node, purpose: Purpose, source: Sequence[str], language: str = "en"
) -> None:
    """A text in one language, or in several of which each is named."""
    given = [(language, node)]
    if isinstance(node, yaml.MappingNode):
        given = [(name, value) for name, _, value in document.items(node)]
    for said_in, value in given:
        if isinstance(value, yaml.ScalarNode):
            subject.texts.append(Passage(source_lines(document, value, source), purpose, said_in))


def command_of(document: Document, node: yaml.Node, source: Sequence[str], flow: str) -> Command | None:
    """The command of a scalar; `None` where it is empty or no scalar."""
    if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
        return None
    text, starts = rows(document, node, source)
    exact = node.style == "|" or node.start_mark.line == node.end_mark.line
    return Command(masked(text, templates=True), text, starts, flow, exact)


def source_lines(document: Document, node: yaml.Node, source: Sequence[str]) -> tuple[Line, ...]:
    """The lines of the file that a scalar is written in, without what stands before and behind it."""
    first, last = node.start_mark.line, min(node.end_mark.line, len(source) - 1)
    if _is_block(node):
        first += 1
        last -= node.end_mark.column == 0 or (last > node.start_mark.line and _behind_block(node, source))
        block = [_line(document, number, source[number], 0) for number in range(first, last + 1)]
        return tuple(line for line in block if line.words) or (Line(document.spot(node), ""),)
    lines = []
    for number in range(first, last + 1):
        text = source[number] if number < len(source) else ""
        begin = node.start_mark.column if number == first else 0
        end = node.end_mark.column if number == last else len(text)
        lines.append(_line(document, number, text[:end], begin))
    return tuple(lines)


def rows(document: Document, node: yaml.Node, source: Sequence[str]) -> tuple[str, tuple[Spot, ...]]:
    """The value of a scalar and where each line of the value begins in the file."""
    value = str(node.value).rstrip("\n")
    texts = value.split("\n")
    start = document.spot(node)
    if isinstance(node, yaml.ScalarNode) and node.style == "|":
        first = node.start_mark.line + 1
        spots = []
        for offset, text in enumerate(texts):
            written = source[first + offset] if first + offset < len(source) else ""
            column = len(written) - len(text) + 1 if text and written.endswith(text) else 1
            spots.append(Spot(document.file, first + offset + 1, column))
        return value, tuple(spots)
    if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"'):
        start = start._replace(column=start.column + 1)
    elif _is_block(node):
        start = source_lines(document, node, source)[0].at
    return value, (start,) * len(texts)


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")


def _behind_block(node: yaml.Node, source: Sequence[str]) -> bool:
    """Whether the line in which a block scalar is said to end no longer belongs to it."""
    number = node.end_mark.line
    return number >= len(source) or node.end_mark.column <= len(source[number]) - len(source[number].lstrip())


def _line(document: Document, number: int, text: str, begin: int) -> Line:
    column = begin + len(text[begin:]) - len(text[begin:].lstrip())
    return Line(Spot(document.file, number + 1, column + 1), text[column:].rstrip())
