"""A tag, a step or a prerequisite that a command names and that the playbook does not have: nothing would run."""

from __future__ import annotations

from collections.abc import Iterator, Set

from pyrunbook.lint.calls import playbook_calls, runbook_calls
from pyrunbook.lint.context import ALWAYS_THERE
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.project.problem import Spot


@rule("error", "A command names a tag, step or prerequisite that does not exist.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """`--tags` and `--skip-tags` of ansible-playbook; `--step` and `--attest` of pyrunbook."""
    project = context.project
    for play in playbook_calls(subject):
        file = project.root / play.path
        if file.is_file():
            known = project.tags_of(file) | set(ALWAYS_THERE)
            yield from _missing(play.tags, known, "tag", play.path)
    for call in runbook_calls(subject):
        playbook = project.runbook(call.runbook)
        if playbook is None:
            continue
        name = f"{playbook.parent.name}/{playbook.stem}"
        if call.steps:
            yield from _missing(call.steps, project.tags_of(playbook) | project.role_names(playbook), "step", name)
        if call.attested and (metadata := project.metadata(playbook)):
            yield from _missing(call.attested, {each.id for each in metadata.prerequisites}, "prerequisite", name)


def _missing(named: list[tuple[str, Spot]], known: Set[str], what: str, where: str) -> Iterator[Finding]:
    for name, at in named:
        if name not in known:
            there = ", ".join(sorted(known - set(ALWAYS_THERE))) or "none"
            yield Finding(at, f"{where} has no {what} {name}; it has {there}")
