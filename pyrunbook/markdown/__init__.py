"""Reads a Markdown runbook: sections, steps, commands, checklists, each with its line. Knows no rules."""

from __future__ import annotations

from pyrunbook.markdown.page import (
    CodeBlock,
    Definition,
    Html,
    Item,
    Label,
    Link,
    ListItem,
    Page,
    Paragraph,
    Section,
    Table,
)
from pyrunbook.markdown.page_reader import read_page
from pyrunbook.markdown.words import plain_title

__all__ = [
    "CodeBlock",
    "Definition",
    "Html",
    "Item",
    "Label",
    "Link",
    "ListItem",
    "Page",
    "Paragraph",
    "Section",
    "Table",
    "plain_title",
    "read_page",
]
