"""Fills a subject from a role: what its `meta/step.yml` says, and what its tasks do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from pyrunbook.catalog import Text
from pyrunbook.catalog.step_notes import NOTES, StepNotes, notes_of
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Command, ManualAction, Subject, WrittenStep
from pyrunbook.lint.task_notes import note_task
from pyrunbook.lint.translations import add_role_inputs, add_translations, purpose_of
from pyrunbook.lint.yaml_passages import add_text, command_of, leaves
from pyrunbook.markdown.section_names import SectionName
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Spot
from pyrunbook.project.tasks import task_files, tasks_of_file

PLATFORMS = ("host", "kubernetes")


def is_notes(path: Path) -> bool:
    """Whether a file is a role's notes, or a translation of them."""
    return path.parent.name == "meta" and (path.name == NOTES.name or path.match("step.??.yml"))


def read_role(role: Path, project: Project) -> Subject:
    """A role, with its notes where it has any (`Subject.metadata`); read once."""
    if role not in project.role_subjects:
        project.role_subjects[role] = _read_role(role, project)
    return project.role_subjects[role]


def _read_role(role: Path, project: Project) -> Subject:
    notes = role / NOTES
    subject = Subject("role", notes, role.name, Spot(notes, 1, 1), metadata=notes.is_file())
    _add_tasks(subject, role, project)
    if not notes.is_file():
        return subject
    subject.files[notes] = None
    try:
        document = read(notes)
    except InvalidFile as error:
        subject.problems += error.problems
        return subject
    known = notes_of(document, subject.problems)
    _add_notes(subject, document, project)
    if known is not None:
        add_translations(subject, document, document.root, known, project)
        add_role_inputs(subject, role, notes, known, project)
    return subject


def _add_tasks(subject: Subject, role: Path, project: Project) -> None:
    for file in task_files(role):
        subject.files[file] = None
        loose = project.read(file)
        subject.problems += loose.problems
        for task in tasks_of_file(loose):
            note_task(subject, task, project)


def _add_notes(subject: Subject, document: Document, project: Project) -> None:
    source, root = project.lines(document.file), document.root
    subject.at = document.key_spot(root, "purpose") or subject.at
    if document.get(root, "troubleshooting") is not None:
        subject.sections[SectionName.TROUBLESHOOTING] = subject.at
    verifies = document.get(root, "verifies")
    checks = verifies is not None and str(verifies.value).lower() == "true"
    trouble: list[Command] = []
    for leaf in leaves(document, root, StepNotes):
        if leaf.kind is Text:
            add_text(subject, document, leaf.node, purpose_of(StepNotes, leaf.path[-1]), source)
        elif leaf.path[0] == "troubleshooting" and "commands" in leaf.path:
            command = command_of(document, leaf.node, source, flow="")
            trouble += [command] if command else []
    expected = document.get(root, "expected") is not None
    undoes = {platform: list(_actions(document, "undo", platform, source)) for platform in PLATFORMS}
    for platform in PLATFORMS:
        actions = tuple(_actions(document, "by_hand", platform, source))
        undo = checks or bool(undoes[platform]) or not any(undoes.values())
        subject.steps.append(WrittenStep(subject.name, subject.at, expected, actions, undo, platform))
        for action in (*actions, *undoes[platform]):
            subject.commands += action.commands
    subject.commands += trouble  # typed in after what the steps have set


def _actions(document: Document, key: str, platform: str, source: list[str]) -> Iterator[ManualAction]:
    items = document.get(document.get(document.root, key), platform)
    for item in items.value if isinstance(items, yaml.SequenceNode) else []:
        node = document.get(item, "commands") if isinstance(item, yaml.MappingNode) else None
        found = command_of(document, node, source, platform) if node is not None else None
        expected = document.get(item, "expected") is not None
        yield ManualAction(document.spot(item), (found,) if found else (), expected)
