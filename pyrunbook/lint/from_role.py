"""Adds to a subject what a role's `meta/step.yml` says: its words, what is done by hand, how it is undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from pyrunbook.catalog import Text
from pyrunbook.catalog.step_notes import StepNotes, read_step_notes
from pyrunbook.catalog.yaml_file import Document, InvalidFile, read
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Command, Deed, Role, Spot, Step, Subject
from pyrunbook.lint.tasks import Task
from pyrunbook.lint.yaml_text import key_spot, leaves, spot
from pyrunbook.lint.yaml_texts import add_command, add_text, command_of
from pyrunbook.markdown.section_names import SectionName

PLATFORMS = ("host", "kubernetes")
NOTES = Path("meta") / "step.yml"
_INSTRUCTIONS = ("text", "undo_text", "solution")
_UNDONE_ANYWAY = ("rescue", "always")
"""Parts of a block whose steps are a way back, or a last word, themselves."""


def add_role(subject: Subject, role: Path, task: Task | None, project: Project, position: int) -> None:
    """Add a role's notes.

    Args:
        subject: that gets them.
        role: its directory.
        task: that applies it; `None` where the role is linted by itself.
        project: that it is of.
        position: of the role in the playbook.
    """
    file = role / NOTES
    title = role.name
    at = task.spot(task.node) if task else Spot(file, 1, 1)
    section = task.section if task else ""
    if not file.is_file():
        if subject.kind == "runbook" and section not in ("handlers",):
            subject.steps.append(Step(title, at, expected=False, undo=True))
        return
    subject.files[file] = None
    try:
        document = read(file)
        read_step_notes(file)
    except InvalidFile as error:
        subject.problems += error.problems
        try:
            document = read(file)
        except InvalidFile:
            return
    source = project.lines(file)
    if document.get(document.root, "troubleshooting") is not None:
        subject.sections.setdefault(SectionName.TROUBLESHOOTING, Spot(file, 1, 1))
    verifies = document.get(document.root, "verifies")
    checks = verifies is not None and str(verifies.value).lower() == "true"
    if checks and position > 0 and section not in _UNDONE_ANYWAY:  # what is checked first is a prerequisite
        subject.sections.setdefault(SectionName.VERIFICATION, at)
    for leaf in leaves(document, document.root, StepNotes):
        if leaf.kind is Text:
            kind = Role.INSTRUCTION if leaf.path[-1] in _INSTRUCTIONS else Role.STATEMENT
            add_text(subject, document, leaf.node, kind, source, project.settings.docs.languages)
        elif leaf.path[0] == "troubleshooting" and "commands" in leaf.path:
            add_command(subject, document, leaf.node, source, flow="")
    expected = document.get(document.root, "expected") is not None
    at_notes = key_spot(document, document.root, "purpose") or Spot(file, 1, 1)
    undoes = {platform: list(_deeds(document, "undo", platform, source)) for platform in PLATFORMS}
    for platform in PLATFORMS:
        deeds = tuple(_deeds(document, "by_hand", platform, source))
        undo = checks or section in _UNDONE_ANYWAY or bool(undoes[platform]) or not any(undoes.values())
        subject.steps.append(Step(title, at_notes, expected, deeds, undo, platform))
        for deed in (*deeds, *undoes[platform]):
            subject.commands += deed.commands


def _deeds(document: Document, key: str, platform: str, source: list[str]) -> Iterator[Deed]:
    items = document.get(document.get(document.root, key), platform)
    for item in items.value if isinstance(items, yaml.SequenceNode) else []:
        node = document.get(item, "commands") if isinstance(item, yaml.MappingNode) else None
        found: Command | None = command_of(document, node, source, platform) if node is not None else None
        expected = document.get(item, "expected") is not None
        yield Deed(spot(document, item), (found,) if found else (), expected)
