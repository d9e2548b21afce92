"""A runbook without a part that a reader needs."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.effects import changes
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Subject
from pyrunbook.markdown.section_names import SectionName

_NEEDED = {
    SectionName.PREREQUISITES: "what must hold before it begins",
    SectionName.PROCEDURE: "what to do",
    SectionName.VERIFICATION: "how to see that it worked",
    SectionName.ROLLBACK: "how to go back",
    SectionName.TROUBLESHOOTING: "the known errors and what helps",
    SectionName.CONTACTS: "who is called",
    SectionName.ESCALATION: "who is called when it does not help",
    SectionName.SYMPTOMS: "how one notices it",
    SectionName.IMPACT: "what it means for the users",
    SectionName.MEANING: "what the alert means",
    SectionName.DIAGNOSIS: "how to find the cause",
    SectionName.MITIGATION: "what helps",
}
_ALERT = (SectionName.MEANING, SectionName.IMPACT, SectionName.DIAGNOSIS, SectionName.MITIGATION)


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """One finding for each section that is missing, at the runbook's beginning."""
    if not subject.is_runbook or subject.kind == "role" or not subject.metadata:
        return
    if subject.kind == "runbook" and subject.at.file == subject.file:
        return  # its metadata could not be read; that is said elsewhere
    for name in _wanted(subject):
        if name not in subject.sections:
            where = f"{subject.name} has no section" if subject.kind == "page" else f"{subject.name} says nothing under"
            yield Finding(subject.at, f"{where} {name.value}: {_NEEDED[name]}")


def _wanted(subject: Subject) -> Iterator[SectionName]:
    if subject.form == "alert":
        yield from _ALERT
        return
    if subject.incident:
        yield from (SectionName.SYMPTOMS, SectionName.IMPACT)
    else:
        yield SectionName.PREREQUISITES
    altering = any(
        changes(each)
        for c in (*subject.before, *subject.commands)
        if not c.diagnostic
        for each in parse(c.text).invocations
    )
    if subject.kind == "page":  # each step of a runbook says what is so when it has succeeded
        yield SectionName.PROCEDURE
        yield SectionName.VERIFICATION
    if altering or subject.kind == "runbook":
        yield SectionName.ROLLBACK
    yield SectionName.TROUBLESHOOTING
    if subject.kind == "page" and SectionName.ESCALATION in subject.sections:
        return
    yield SectionName.CONTACTS
    if subject.kind == "runbook":
        yield SectionName.ESCALATION


RULE = Rule("missing-section", "warning", "A runbook lacks a part that a reader needs.", check)
