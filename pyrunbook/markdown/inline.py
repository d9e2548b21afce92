"""Texts inside of blocks: plain words, links, labels in bold type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from markdown_it.token import Token

from pyrunbook.markdown.page import Label, Link, Paragraph

# `**Cause**: …` and `**Cause :** …`; the name holds no other bold word.
_LABEL = re.compile(
    r"(?P<mark>\*\*|__)(?P<name>[^*_\n](?:(?!\1).)*?)"
    r"(?:\s*[:\uff1a]\s*(?P=mark)|(?P=mark)\s*[:\uff1a])(?!\S*//)[ \t]*(?P<value>.*)"
)


def plain_text(inline: Token) -> str:
    """The words of an inline token without markup; a line for each line of the source."""
    return "".join(_words(inline.children or [])).strip()


def _words(children: Sequence[Token]) -> Iterator[str]:
    for child in children:
        if child.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif child.type in ("text", "code_inline"):
            yield child.content
        elif child.type == "image":
            yield plain_text(child)


def links_of(inline: Token, line: int, source: Sequence[str]) -> tuple[Link, ...]:
    """The links and images of an inline token that begins in a line of the source."""
    return tuple(_links(inline.children or [], line, source))


def _links(children: Sequence[Token], line: int, source: Sequence[str]) -> Iterator[Link]:
    for position, child in enumerate(children):
        if child.type in ("softbreak", "hardbreak"):
            line += 1
        elif child.type == "link_open":
            behind = next(at for at in range(position, len(children)) if children[at].type == "link_close")
            text = "".join(_words(children[position + 1 : behind]))
            yield _link(text, str(child.attrGet("href")), line, source)
        elif child.type == "image":
            yield _link(plain_text(child), str(child.attrGet("src")), line, source)


def _link(text: str, target: str, line: int, source: Sequence[str]) -> Link:
    written = source[line - 1] if line <= len(source) else ""
    for sought in (target, text):
        if sought and (at := written.find(sought)) >= 0:
            return Link(" ".join(text.split()), target, line, at + 1)
    return Link(" ".join(text.split()), target, line, 1)


def labels_in(paragraph: Paragraph, indent: Callable[[int], int]) -> Iterator[Label | Paragraph]:
    """A paragraph split into the text before the first label, and the labels; unchanged where there is none.

    Args:
        paragraph: whose text and source have the same lines.
        indent: the column at which a line of the file begins.
    """
    sources, texts = paragraph.source.split("\n"), paragraph.text.split("\n")
    starts = [at for at, line in enumerate(sources) if _LABEL.fullmatch(line)]
    if not starts or len(sources) != len(texts):
        yield paragraph
        return
    bounds = [*([0] if starts[0] > 0 else []), *starts, len(sources)]
    for begin, behind in pairwise(bounds):
        line, end = paragraph.line + begin, paragraph.line + behind - 1
        links = tuple(link for link in paragraph.links if line <= link.line <= end)
        found = _LABEL.fullmatch(sources[begin])
        column = paragraph.column if begin == 0 else indent(line)
        text, source = "\n".join(texts[begin:behind]), "\n".join(sources[begin:behind])
        if found is None:
            yield Paragraph(text, source, line, column, end, links=links)
            continue
        value = "\n".join([found["value"], *sources[begin + 1 : behind]]).strip()
        _, _, said = text.partition(_colon(text, found["name"]))
        yield Label(_name(found["name"]), said.strip(), value, line, column, end, links)


def _colon(text: str, name: str) -> str:
    """The colon that ends the label's name in the plain text."""
    behind = text[len(_name(name)) :] if text.startswith(_name(name)) else text
    found = re.search(r"[:\uff1a]", behind)
    if found is None:
        return ":"
    return text[: len(text) - len(behind) + found.end()]


def _name(written: str) -> str:
    return re.sub(r"[*_`]", "", written).strip().rstrip(":\uff1a").strip()
