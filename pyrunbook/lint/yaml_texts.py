"""Adds texts and commands of YAML files to a subject."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from pyrunbook.catalog.yaml_file import Document
from pyrunbook.lint.masks import masked
from pyrunbook.lint.subject import Command, Place, Role, Subject, Text
from pyrunbook.lint.yaml_text import rows, source_lines, spot


def add_text(
    subject: Subject,
    document: Document,
    node: yaml.Node,
    role: Role,
    source: Sequence[str],
    languages: Sequence[str],
) -> None:
    """A text in one language or in several; those of the project's languages that are missing are noted."""
    if isinstance(node, yaml.MappingNode):
        given = {name: value for name, _, value in document.items(node)}
    elif isinstance(node, yaml.ScalarNode):
        given = {"en": node}
    else:
        return
    for language, value in given.items():
        if isinstance(value, yaml.ScalarNode):
            subject.texts.append(Text(source_lines(document, value, source), role, language))
    missing = [language for language in languages if language not in given]
    subject.untranslated += [Place(spot(document, node), language) for language in missing]


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
