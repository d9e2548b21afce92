"""A runbook or a playbook that is named and does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from pyrunbook.lint.calls import playbook_calls, runbook_calls
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.project.problem import Spot


@rule("error", "A runbook or playbook is named that does not exist.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """In `pyrunbook` and `ansible-playbook` commands, in `import_playbook`, `undone_by` and `ended_by`."""
    project = context.project
    for mention in subject.mentions:
        of_a_collection = mention.name.count(".") >= 2 and "/" not in mention.name
        if mention.kind == "playbook" and not of_a_collection and not (subject.file.parent / mention.name).is_file():
            yield Finding(mention.at, f"there is no playbook {mention.name} beside {subject.file.name}")
        if mention.kind == "runbook" and mention.name not in project.known_runbooks:
            yield _missing(mention.at, mention.name, context)
    if not project.known_runbooks:
        return
    for call in runbook_calls(subject):
        of_a_file = call.runbook.endswith((".yml", ".yaml"))  # any playbook of the reader's, wherever it stands
        if call.runbook and not of_a_file and project.runbook(call.runbook) is None:
            yield _missing(call.at, call.runbook, context)
    for play in playbook_calls(subject):
        first, slash, _ = play.path.partition("/")  # what begins elsewhere is not this project's
        if first and slash and (project.root / first).is_dir() and not (project.root / play.path).is_file():
            yield Finding(play.at, f"there is no playbook {play.path} in this project")


def _missing(at: Spot, name: str, context: Context) -> Finding:
    close = get_close_matches(name.replace("-", "_"), context.project.known_runbooks, 1)
    return Finding(at, f"there is no runbook {name}" + (f"; did you mean {close[0]}?" if close else ""))
