"""Fills a subject from a runbook of the catalog, or from any other playbook."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml

from pyrunbook.catalog import CATEGORIES, Text
from pyrunbook.catalog.metadata import Metadata
from pyrunbook.catalog.runbook import Runbook, read_runbook
from pyrunbook.lint.context import Project
from pyrunbook.lint.from_inventory import add_inventory
from pyrunbook.lint.from_role import read_role
from pyrunbook.lint.subject import Link, Mention, Subject, WrittenStep
from pyrunbook.lint.task_notes import note_prompt, note_task
from pyrunbook.lint.translations import add_titles_and_inputs, add_translations, purpose_of, spec_of
from pyrunbook.lint.yaml_passages import add_text, command_of, leaves
from pyrunbook.markdown.section_names import SectionName
from pyrunbook.project.document import NULL, Document, read
from pyrunbook.project.problem import InvalidFile, Spot
from pyrunbook.project.tasks import Play, Task, plays_of

_SECTIONS = {
    "prerequisites": SectionName.PREREQUISITES,
    "rollback": SectionName.ROLLBACK,
    "troubleshooting": SectionName.TROUBLESHOOTING,
    "contacts": SectionName.CONTACTS,
    "escalation": SectionName.ESCALATION,
    "symptoms": SectionName.SYMPTOMS,
    "impact": SectionName.IMPACT,
    "when_to_ignore": SectionName.WHEN_TO_IGNORE,
    "verification": SectionName.VERIFICATION,
}


def from_playbook(playbook: Path, project: Project) -> Subject:
    """A playbook with its metadata, the notes of the roles that it applies, and what the inventory says about it."""
    file = playbook.with_suffix(".meta.yml")
    of_catalog = playbook.parent.name in CATEGORIES and playbook.parent.parent.name == "playbooks"
    kind: Literal["runbook", "playbook"] = "runbook" if file.is_file() or of_catalog else "playbook"
    name = f"{playbook.parent.name}/{playbook.stem}"
    subject = Subject(kind, playbook, name, Spot(playbook, 1, 1), metadata=file.is_file())
    subject.files[playbook] = None
    runbook: Runbook | None = None
    document: Document | None = None
    if file.is_file():
        subject.files[file] = None
        try:
            runbook = read_runbook(name, playbook, project.roles(playbook))
        except InvalidFile as error:
            subject.problems += error.problems
        with suppress(InvalidFile):
            document = read(file)
    window_at = _add_metadata(subject, document, project) if document else None
    loose = project.read(playbook)
    if not file.is_file():
        subject.problems += loose.problems
        what = "who owns it, what it needs, how to go back"
        subject.note("without-metadata", subject.at, f"the playbook has no metadata: {what} ({file.name})")
    _add_tasks(subject, playbook, project)
    if runbook is not None and document is not None:
        block = document.get(spec_of(document), "runbook") or document.root
        add_translations(subject, document, block, runbook.metadata, project)
        add_titles_and_inputs(subject, runbook, document, project)
        add_inventory(subject, runbook, project, window_at or subject.at)
    return subject


def _add_metadata(subject: Subject, document: Document, project: Project) -> Spot | None:
    """Returns where the window stands."""
    source, spec = project.lines(document.file), spec_of(document)
    block = document.get(spec, "runbook")
    if block is None:
        return None
    subject.at = document.key_spot(spec, "runbook") or subject.at
    subject.incident = subject.name.startswith("incidents/")
    for key, where, value in document.items(block):
        if key in _SECTIONS and value.tag != NULL and value.value:
            subject.sections[_SECTIONS[key]] = document.spot(where)
    for leaf in leaves(document, block, Metadata):
        if leaf.kind is Text:
            add_text(subject, document, leaf.node, purpose_of(Metadata, leaf.path[-1]), source)
        elif leaf.path[0] == "troubleshooting" and "commands" in leaf.path:
            command = command_of(document, leaf.node, source, flow="")
            subject.commands += [command] if command else []
        else:
            _add_value(subject, document, leaf.path, leaf.node)
    return document.key_spot(block, "window")


def _add_value(subject: Subject, document: Document, path: tuple[str | int, ...], node: yaml.Node) -> None:
    value, at = str(node.value), document.spot(node)
    match path:
        case ("updated",):
            plain: Any = None
            with suppress(ValueError):
                plain = document.value(node)
            subject.updated = (plain, at) if type(plain) is date else None
        case ("contacts", int()) | ("escalation", int(), "to"):
            subject.mentions.append(Mention("contact", value, at))
        case ("undone_by" | "ended_by",):
            subject.mentions.append(Mention("runbook", value, at))
        case ("alerts", int()):
            subject.mentions.append(Mention("alert", value, at))
        case ("links", int(), "url"):
            subject.links.append(Link(value, at))


def _add_tasks(subject: Subject, playbook: Path, project: Project) -> None:
    """Note what the tasks do, and add the sections and commands of the roles that they apply."""
    seen: set[Path] = set()
    for play in plays_of(project.read(playbook)):
        _add_play(subject, play)
        for task in play.tasks():
            role = note_task(subject, task, project)
            directory = project.role(role, playbook) if role else None
            if directory is not None:
                subject.roles.setdefault(directory, set()).add(task.section)
                if directory not in seen:
                    _add_role(subject, task, directory, project)
                seen.add(directory)


def _add_play(subject: Subject, play: Play) -> None:
    if "vars_prompt" in play.entries:
        key, value = play.entries["vars_prompt"]
        asked = value.value[0] if isinstance(value, yaml.SequenceNode) and value.value else key
        note_prompt(subject, play.spot(asked), "vars_prompt")
    if play.imports and "{{" not in play.imports and "$" not in play.imports:
        subject.mentions.append(Mention("playbook", play.imports, play.spot()))


def _add_role(subject: Subject, task: Task, directory: Path, project: Project) -> None:
    role = read_role(directory, project)
    subject.before += role.commands
    if not role.metadata and subject.kind == "runbook" and task.section != "handlers":
        subject.steps.append(WrittenStep(role.name, task.spot(), expected=False, undo=True))
    for name, at in role.sections.items():
        subject.sections.setdefault(name, at)
