"""Turns a draft into the files of a runbook and of its step roles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pyrunbook.catalog.metadata import SCHEMA
from pyrunbook.scaffold.draft import BLANK, Deed, RunbookDraft, StepDraft, Words
from pyrunbook.scaffold.yaml_writing import Shared, dumped, scalar, with_long_lines_allowed

NEVER = date(1970, 1, 1)
"""Stands for a review that nobody knows of: it is too old for whoever asks."""

# Fields of the `runbook` block in the order of the file; what to write where a draft has none.
_FIELDS: dict[str, str] = {
    "summary": "summary: what it is for, in a sentence",
    "owner": "",
    "updated": "",
    "estimate": "estimate: 30m, how long a run takes",
    "reserve": "",
    "timeout": "",
    "frequency": "frequency: how often it is run",
    "window": "",
    "severity": "",
    "risk": "risk: low, medium or high: what a run can do to the service while all goes as expected",
    "symptoms": "",
    "impact": "impact: what users notice",
    "when_to_ignore": "when_to_ignore: when nothing has to be done about it now",
    "verification": "verification: how one sees that it worked",
    "prerequisites": "prerequisites: what must hold before the first change",
    "rollback": "rollback: how what was there is put back",
    "escalation": "escalation: whom to call, and when",
    "troubleshooting": "troubleshooting: known errors, their causes and solutions",
    "contacts": "",
    "links": "",
    "alerts": "",
    "titles": "",
}
_GROUPS = {"symptoms", "impact", "prerequisites", "rollback", "escalation", "troubleshooting", "contacts", "titles"}
"""Fields with an empty line before them."""
_INCIDENT = {
    "severity": "severity: critical, high, medium or low",
    "symptoms": "symptoms: what one sees",
    "alerts": "alerts: names of the alerts that lead here",
}
MODELINE = "# yaml-language-server: $schema={up}docs/schema/{name}.schema.json\n"


@cache
def _templates() -> Environment:
    # Ansible's own braces stay as they are.
    environment = Environment(
        loader=PackageLoader("pyrunbook.scaffold"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and Markdown, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters["scalar"] = scalar
    environment.filters["english"] = english
    return environment


def render(template: str, **values: Any) -> str:
    """A template of `pyrunbook/scaffold/templates`, filled."""
    return _templates().get_template(template).render(**values)


def english(words: Words) -> str:
    """The English words of a text."""
    return words if isinstance(words, str) else words["en"]


def runbook_files(draft: RunbookDraft) -> dict[str, str]:
    """Name to text: the playbook, its metadata, its roles; relative to the project."""
    where = f"playbooks/{draft.category}/{draft.name}"
    files = {f"{where}.yml": render("playbook.yml.j2", draft=draft), f"{where}.meta.yml": metadata_text(draft)}
    for step in (*draft.steps, *draft.way_back):
        files |= role_files(step, draft)
    return files


def metadata_text(draft: RunbookDraft) -> str:
    """`<name>.meta.yml`."""
    head = dumped({"argument_specs": {draft.title: {"short_description": draft.short_description}}})
    lines = ["---\n", MODELINE.format(up="../../", name="runbook"), head, "\n    runbook:\n"]
    lines += _fields(draft)
    return with_long_lines_allowed("".join(lines))


def _fields(draft: RunbookDraft) -> Iterator[str]:
    known: dict[str, Any] = {
        "owner": draft.owner or f"@{BLANK}",
        "updated": draft.updated or NEVER,
        **{name: value for name, value in draft.metadata.items() if value not in (None, "", [], {})},
    }
    missing = _FIELDS | (_INCIDENT if draft.category == "incidents" else {})
    title = draft.metadata.get("title", draft.title)
    yield dumped({"schema": SCHEMA, "title": title}, indent=6)
    for name in _FIELDS:
        before = "\n" if name in _GROUPS else ""
        if name in known:
            text = dumped({name: known[name]}, indent=6)
            if name == "updated" and draft.updated is None:
                text = text.replace("\n", f"  # {BLANK}: the day somebody last reviewed it\n")
            yield before + text
        elif missing[name]:
            yield f"{before}      # {BLANK}: {missing[name]}\n"


def role_files(step: StepDraft, draft: RunbookDraft | None = None) -> dict[str, str]:
    """Name to text of a step role, relative to the project."""
    values = {"step": step, "runbook": draft.id if draft else ""}
    if draft is not None and not draft.automated:  # the notes are all there is; who automates it adds what it needs
        tasks = render("role/tasks/by_hand.yml.j2", **values)
        return {
            f"roles/{step.role}/tasks/main.yml": tasks,
            f"roles/{step.role}/meta/step.yml": step_notes_text(step),
        }
    files = {
        f"roles/{step.role}/{name}": render(f"role/{name}.j2", **values)
        for name in (
            "README.md",
            "defaults/main.yml",
            "meta/main.yml",
            "meta/argument_specs.yml",
            "tasks/main.yml",
            "tasks/host.yml",
            "tasks/kubernetes.yml",
            "molecule/default/molecule.yml",
            "molecule/default/converge.yml",
            "molecule/default/verify.yml",
        )
    }
    files[f"roles/{step.role}/meta/step.yml"] = step_notes_text(step)
    return files


def step_notes_text(step: StepDraft) -> str:
    """A role's `meta/step.yml`."""
    notes: dict[str, Any] = {"schema": SCHEMA, "purpose": step.purpose, "expected": step.expected}
    after: dict[str, Any] = {}
    if step.by_hand:
        after["by_hand"] = _both(step.by_hand)
    if step.verifies:
        after["verifies"] = True
    after["undo_text"] = step.undo_text
    if step.undo:
        after["undo"] = _both(step.undo)
    if step.troubleshooting:
        after["troubleshooting"] = [
            {"error": t.error, "cause": t.cause, "solution": t.solution}
            | ({"commands": list(t.commands)} if t.commands else {})
            for t in step.troubleshooting
        ]
    after["check_mode"] = "full"
    text = "---\n" + MODELINE.format(up="../../../", name="step") + dumped(notes)
    text += f"# {BLANK}: estimate: 1m, how long it takes\n"
    return with_long_lines_allowed(text + dumped(after))


def _both(deeds: tuple[Deed, ...]) -> dict[str, Any]:
    """Deeds for both platforms, written once."""
    listed = Shared()
    for deed in deeds:
        item: dict[str, Any] = {"text": deed.text}
        if deed.commands:
            item["commands"] = deed.commands
        if deed.expected:
            item["expected"] = deed.expected
        listed.append(item)
    return {"host": listed, "kubernetes": listed}
