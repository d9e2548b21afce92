"""The README of a role, made of its `meta/argument_specs.yml` and `meta/step.yml`: in English, of no inventory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyrunbook.catalog import InvalidFile, StepNotes
from pyrunbook.catalog.roles import SPECS, Role, read_role
from pyrunbook.catalog.step_notes import NOTES, read_step_notes
from pyrunbook.catalog.templates import Values
from pyrunbook.docs.files import MARK
from pyrunbook.docs.input_tables import input_row
from pyrunbook.docs.markdown_text import cell, fence, plain_text
from pyrunbook.docs.wording import Wording
from pyrunbook.project.role_places import collection_of

_FIRST = f"<!-- Made by {MARK} from meta/; do not edit. -->"


def readmes(project: Path) -> dict[str, str]:
    """The READMEs of a project's roles, by their path below it.

    A role has one where it declares its inputs and its notes, or where its README was made before. A README that
    somebody has written stays as it is.
    """
    made = {}
    collection = collection_of(project)
    for specs in sorted((project / "roles").glob(f"*/{SPECS}")):
        role = specs.parent.parent
        file = role / "README.md"
        there = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None
        if (role / NOTES).is_file() if there is None else MARK in there.partition("\n")[0]:
            try:
                notes = read_step_notes(role / NOTES) if (role / NOTES).is_file() else None
            except InvalidFile:  # the pages say what is wrong
                continue
            read = read_role(project / "roles", role.name, project)
            made[f"roles/{role.name}/README.md"] = readme(read, notes, collection)
    return made


def readme(role: Role, notes: StepNotes | None, collection: str = "") -> str:
    """The README of a role; `notes` are those of a step, and `collection` is where others find the role."""
    return "\n\n".join(_paragraphs(role, notes, f"{collection}." if collection else "")) + "\n"


def _paragraphs(role: Role, notes: StepNotes | None, collection: str) -> Iterator[str]:
    yield _FIRST
    yield f"# {role.name}"
    yield from (plain_text(text) for text in role.details or (f"{role.description}.",))
    yield "## Inputs"
    if role.inputs:
        rows = ["| input | type | default | meaning |", "|---|---|---|---|"]
        wording = Wording(Values(), "en")
        for name, item in role.inputs.items():
            told = input_row(wording, {}, name, item, role.defaults.get(name, item.default), {}, {})
            rows.append("| " + " | ".join(cell(part) for part in told) + " |")
        yield "\n".join(rows)
    else:
        yield "None."
    yield "## In a playbook"
    import_role = "import_role" if notes else "include_role"
    task = f"- name: {role.description}\n  ansible.builtin.{import_role}:\n    name: {collection}{role.name}\n"
    yield fence(task + (f"  tags: [{role.name}]\n" if notes else "    public: true\n"), "yaml")
    if notes:
        why = f": {plain_text(notes.check_mode_why)}" if notes.check_mode_why else "."
        yield f"Check mode: {notes.check_mode}{why}"
        yield "What it does by hand, how to undo it, its known errors: `meta/step.yml`."
    if role.path and (role.path / "molecule").is_dir():
        yield f"Its proof: `cd roles/{role.name} && molecule test`."
