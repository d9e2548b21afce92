"""Adds texts and commands of YAML files to a subject."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from pyrunbook.lint.masks import masked
from pyrunbook.lint.subject import Command, Role, Subject, Text
from pyrunbook.lint.yaml_text import rows, source_lines
from pyrunbook.project.document import Document


def add_text(
    subject: Subject, document: Document, node: yaml.Node, role: Role, source: Sequence[str], language: str = "en"
) -> None:
    """A text in one language, or in several of which each is named."""
    given = [(language, node)]
    if isinstance(node, yaml.MappingNode):
        given = [(name, value) for name, _, value in document.items(node)]
    for said_in, value in given:
        if isinstance(value, yaml.ScalarNode):
            subject.texts.append(Text(source_lines(document, value, source), role, said_in))


def add_command(
    subject: Subject, document: Document, node: yaml.Node, source: Sequence[str], *, flow: str
) -> Command | None:
    """A scalar with commands."""
    command = command_of(document, node, source, flow)
    if command is not None:
        subject.commands.append(command)
    return command


def command_of(document: Document, node: yaml.Node, source: Sequence[str], flow: str) -> Command | None:
    """The command of a scalar; `None` where it is empty or no scalar."""
    if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
        return None
    text, starts = rows(document, node, source)
    exact = node.style == "|" or node.start_mark.line == node.end_mark.line
    return Command(masked(text, templates=True), text, starts, flow, exact)
