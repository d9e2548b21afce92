"""Turns a draft into the files of a runbook and of its step roles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pyrunbook.catalog.metadata import SCHEMA
from pyrunbook.catalog.translation import KEYS
from pyrunbook.scaffold.draft import BLANK, Deed, RunbookDraft, StepDraft
from pyrunbook.scaffold.yaml_writing import Shared, dumped, scalar, with_long_lines_allowed

NEVER = date(1970, 1, 1)
"""Stands for an unknown day of review, and counts as too old everywhere."""

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
}
_GROUPS = {"symptoms", "impact", "prerequisites", "rollback", "escalation", "troubleshooting", "contacts"}
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
    return environment


def render(template: str, **values: Any) -> str:
    """A template of `pyrunbook/scaffold/templates`, filled."""
    return _templates().get_template(template).render(**values)


def runbook_files(draft: RunbookDraft) -> dict[str, str]:
    """Name to text: the playbook, its metadata, its roles; relative to the project."""
    where = f"playbooks/{draft.category}/{draft.name}"
    files = {f"{where}.yml": render("playbook.yml.j2", draft=draft)}
    files |= _beside(f"{where}.meta.yml", *metadata_text(draft))
    for step in (*draft.steps, *draft.way_back):
        files |= role_files(step, draft)
    return files


def metadata_text(draft: RunbookDraft) -> tuple[str, str]:
    """`<name>.meta.yml`, and its translation."""
    said, french = in_two({"title": draft.title} | {name: value for name, value in draft.metadata.items() if value})
    if titles := said.pop("titles", None):
        french = (french or {}) | {"titles": titles["fr"]}
    head = dumped({"argument_specs": {draft.title: {"short_description": draft.short_description}}})
    lines = ["---\n", MODELINE.format(up="../../", name="runbook"), head, "\n    runbook:\n"]
    lines += _fields(draft, said)
    return with_long_lines_allowed("".join(lines)), _translation(french, "../../", "runbook")


def _fields(draft: RunbookDraft, said: dict[str, Any]) -> Iterator[str]:
    known: dict[str, Any] = {
        "owner": draft.owner or f"@{BLANK}",
        "updated": draft.updated or NEVER,
        **{name: value for name, value in said.items() if value not in (None, "", [], {})},
    }
    missing = _FIELDS | (_INCIDENT if draft.category == "incidents" else {})
    yield dumped({"schema": SCHEMA, "title": said["title"]}, indent=6)
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
    names = ["tasks/main.yml"]
    if draft is None or draft.automated:  # else the notes are all there is; who automates it adds what it needs
        names.append("meta/argument_specs.yml")
        names += [f"molecule/default/{name}.yml" for name in ("molecule", "verify")]
    home = f"roles/{step.role}"
    files = {f"{home}/{name}": render(f"role/{name}.j2", **values) for name in names}
    return files | _beside(f"{home}/meta/step.yml", *step_notes_text(step))


def step_notes_text(step: StepDraft) -> tuple[str, str]:
    """A role's `meta/step.yml`, and its translation."""
    notes: dict[str, Any] = {"schema": SCHEMA, "purpose": step.purpose, "expected": step.expected}
    after: dict[str, Any] = {}
    if step.by_hand:
        after["by_hand"] = _both(step.by_hand)
    if step.verifies:
        after["verifies"] = True
    after["undo_text"] = step.undo_text
    if step.undo:
        after["undo"] = _both(step.undo)
    after["check_mode"] = "full"
    said, french = in_two(notes | after)
    text = "---\n" + MODELINE.format(up="../../../", name="step") + dumped({name: said[name] for name in notes})
    text += f"# {BLANK}: estimate: 1m, how long it takes\n"
    text += dumped({name: said[name] for name in after})
    return with_long_lines_allowed(text), _translation(french, "../../../", "step")


def in_two(data: Any, seen: dict[int, tuple[Any, Any]] | None = None) -> tuple[Any, Any]:
    """Plain data with texts in two languages as the same in English, and what of it is French; `None` for nothing."""
    seen = {} if seen is None else seen
    if isinstance(data, dict) and "en" in data and data.keys() <= {"en", "fr"}:
        return data["en"], data.get("fr")
    if isinstance(data, dict):
        parts = {name: in_two(value, seen) for name, value in data.items()}
        french = {name: words for name, (_, words) in parts.items() if words is not None}
        known_by = {name: data[name] for name in KEYS if name in data}
        return {name: said for name, (said, _) in parts.items()}, (known_by | french) if french else None
    if not isinstance(data, list):
        return data, None
    if id(data) not in seen:  # a list that is written once stays one
        items = [in_two(item, seen) for item in data]
        words = [french if french is not None else {} if isinstance(said, dict) else said for said, french in items]
        if any(isinstance(said, dict) and said.keys() & set(KEYS) for said, _ in items):
            words = [entry for entry in words if entry]
        some = any(french is not None for _, french in items)
        seen[id(data)] = type(data)(said for said, _ in items), type(data)(words) if some else None
    return seen[id(data)]


def _translation(french: Any, up: str, schema: str) -> str:
    if not french:
        return ""
    head = MODELINE.format(up=up, name=f"{schema}-translation")
    return with_long_lines_allowed("---\n" + head + dumped(french))


def _beside(name: str, text: str, french: str) -> dict[str, str]:
    """A file, and its translation where it has one."""
    return {name: text} | ({name.removesuffix(".yml") + ".fr.yml": french} if french else {})


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
