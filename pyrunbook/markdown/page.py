"""What a Markdown page is made of. Lines and columns count from 1; `end` is the last line of an item, inclusive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyrunbook.markdown.fences import front_matter_length

_ENTRY = re.compile(r"([A-Za-z][\w -]*?)\s*:\s*(\S.*?)\s*")
"""An entry of the front matter."""


@dataclass(frozen=True)
class Link:
    """A link or an image.

    Attributes:
        text: its visible text, or an image's alternative text.
        target: as CommonMark resolves it: percent-encoded, the target of a reference looked up.
    """

    text: str
    target: str
    line: int
    column: int


@dataclass(frozen=True)
class Definition:
    """What `[label]: target` says, which links refer to as `[text][label]`; the label in upper case."""

    label: str
    target: str
    line: int
    end: int


@dataclass(frozen=True)
class Paragraph:
    """Running text.

    Attributes:
        text: for readers: without markup, a line for each line of the source.
        source: as written, without its indentation.
        bold: whether all of it is set in bold type, as one writes headings that are none.
    """

    text: str
    source: str
    line: int
    column: int
    end: int
    bold: bool = False
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Label:
    """`**Cause**: an image that is not there`: a word in bold type, a colon, and the value up to the next such word.

    Attributes:
        name: the word, without its colon: `Cause`.
        text: the value without markup; may be empty, then what follows is meant.
    """

    name: str
    text: str
    source: str
    line: int
    column: int
    end: int
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class CodeBlock:
    """A fenced or an indented block of code.

    Attributes:
        language: the first word behind the fence, in lower case; empty where there is none.
        text: the content without the indentation of the block; ends with a newline unless empty.
        line: of the first line of the content.
        column: where that begins in the source.
        fence_line: of the opening fence; the content's own line for an indented block.
        page: of a block of Markdown: that text read as a page, with the lines of this file.
    """

    language: str
    text: str
    line: int
    column: int
    end: int
    fence_line: int
    fenced: bool = True
    page: Page | None = None

    def commands(self) -> Iterator[tuple[int, str]]:
        """The lines that are not empty, with their numbers."""
        for number, line in enumerate(self.text.splitlines(), self.line):
            if line.strip():
                yield number, line


@dataclass(frozen=True)
class Table:
    """A table; `rows` are the cells without markup, `row_lines` the line of each row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    row_lines: tuple[int, ...]
    line: int
    column: int
    end: int
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Html:
    """A piece of HTML; most of all a comment, `<!-- … -->`."""

    text: str
    line: int
    column: int
    end: int


@dataclass(frozen=True)
class ListItem:
    """An item of a list.

    Attributes:
        text: its first paragraph without markup and without the checkbox.
        source: that paragraph as written, without the checkbox.
        checked: of an item with a checkbox: whether it is ticked; `None` for others.
        number: of an item of an ordered list, as written.
        label: where the text begins with a word in bold type and a colon.
        items: what else is in it: further paragraphs, code, lists.
        end: the last line of all that.
    """

    text: str
    source: str
    line: int
    column: int
    end: int
    checked: bool | None = None
    number: int | None = None
    label: Label | None = None
    bold: bool = False
    links: tuple[Link, ...] = ()
    items: tuple[Item, ...] = ()


Item = Paragraph | Label | CodeBlock | Table | Html | ListItem


@dataclass(frozen=True)
class Section:
    """A heading and its content.

    Attributes:
        title: of the heading as plain text: no markup, no emoji.
        level: 1 to 6; 0 for the content before the first heading.
        items: up to the next heading of any level, in order.
        sections: those below this one, in order.
        end: the last line of the section with all that is below it.
    """

    title: str
    level: int
    line: int
    column: int
    end: int
    items: tuple[Item, ...] = ()
    sections: tuple[Section, ...] = ()

    def walk(self) -> Iterator[Section]:
        """This section and all below it, in the order of the page."""
        yield self
        for section in self.sections:
            yield from section.walk()

    def every_item(self) -> Iterator[Item]:
        """The items of this section alone, those inside of list items too, in the order of the page."""
        yield from flattened(self.items)

    def codes(self) -> Iterator[CodeBlock]:
        """The blocks of code of this section alone, in the order of the page."""
        for item in self.every_item():
            if isinstance(item, CodeBlock):
                yield item

    def links(self) -> Iterator[Link]:
        """The links and images of this section alone, those of its heading left out."""
        for item in self.every_item():
            if not isinstance(item, (CodeBlock, Html)):
                yield from item.links


@dataclass(frozen=True)
class Page:
    """A Markdown document.

    Attributes:
        lines: of the source, without their ends.
        root: the section of level 0: the content before the first heading; all others are below it.
        definitions: of targets that links refer to.
    """

    file: Path
    lines: tuple[str, ...]
    root: Section
    definitions: tuple[Definition, ...] = ()

    def front_matter(self) -> Iterator[Label]:
        """The entries `key: value` of the front matter that have a line of their own, as if they were labels."""
        for number, line in enumerate(self.lines[1 : front_matter_length(self.lines)], 2):
            if entry := _ENTRY.fullmatch(line):
                value = entry[2].strip("'\"")
                yield Label(entry[1].replace("_", " "), value, value, number, 1, number)

    def walk(self) -> Iterator[Section]:
        """All sections in the order of the page, the one of level 0 first; not those of embedded pages."""
        return self.root.walk()

    def embedded(self) -> Iterator[Page]:
        """The pages in blocks of Markdown, those inside of such pages too."""
        for section in self.walk():
            for code in section.codes():
                if code.page is not None:
                    yield code.page
                    yield from code.page.embedded()

    def codes(self) -> Iterator[CodeBlock]:
        """All blocks of code in the order of the page; in place of a block that is a page, the blocks in that page."""
        for section in self.walk():
            for code in section.codes():
                if code.page is None:
                    yield code
                else:
                    yield from code.page.codes()


def flattened(items: tuple[Item, ...]) -> Iterator[Item]:
    """Items, each followed by what is in it."""
    for item in items:
        yield item
        if isinstance(item, ListItem):
            yield from flattened(item.items)
