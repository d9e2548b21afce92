"""A runbook without a part that a reader needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.effects import needs_a_way_back
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.shell import parse
from pyrunbook.markdown.section_names import SectionName, plain

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
    SectionName.WHEN_TO_IGNORE: "when nothing has to be done about it now",
    SectionName.MEANING: "what the alert means",
    SectionName.DIAGNOSIS: "how to find the cause",
    SectionName.MITIGATION: "what helps",
}
_ALERT = (SectionName.MEANING, SectionName.IMPACT, SectionName.DIAGNOSIS, SectionName.MITIGATION)
_SAID = {
    name: re.compile(pattern)
    for name, pattern in {
        SectionName.PREREQUISITES: r"\bpre-?(requis|flight|condition|check)|\bbefore (you|starting|begin)|\bavant de\b"
        r"|\brequire(d|ments?)\b|\byou('ll| will)? need\b|\baccess to\b",
        SectionName.PROCEDURE: r"\bsteps?\b|\bprocedures?\b|\betapes?\b|\bhow to\b",
        SectionName.VERIFICATION: r"\bverif|\bvalidat|\bconfirm|\bcheck (that|if|whether)\b|\bshould\b|\bexpected\b"
        r"|\bpost-?\w+ checks?|\bhealth ?check|\bsmoke|\bs'assurer|\bcontroler\b|\battendu",
        SectionName.ROLLBACK: r"\broll(ed|s|ing)?[ -]?back|\brevert|\bundo|\bback-?out\b|\bretour arriere|\bannul"
        r"|\bretabli",
        SectionName.TROUBLESHOOTING: r"\btrouble-?shoot|\bdepann|\b(known|common) (root )?(issue|error|problem|cause)"
        r"|\bfaq\b"
        r"|\bgotcha|\bpitfall|\bgoes wrong\b"
        r"|\bif (it|this|that|the \w+) (fails?|does not|doesn't|still)\b|\berreurs? connue",
        SectionName.CONTACTS: r"\bescala|\bcontacts?\b|(?<!\w)@[\w-]+|(?<![\w/(\]#])#[a-z][\w-]{2,}|\bpagerduty\b"
        r"|\bslack\b|\bowners?\b|\bmaintained by\b|\bask (the|in)\b|\bnotify\b|\breach out\b"
        r"|\bqui appeler\b|\bprevenir\b",
        SectionName.IMPACT: r"\bimpact|\baffect|\bcustomers?\b|\busers?\b|\butilisateurs?\b|\boutage|\bdowntime\b"
        r"|\bunavailab",
        SectionName.MEANING: r"\bmeans?\b|\bthis alert\b|\bfires?\b|\btrigger|\balert (is|when|if)\b|\bindicates?\b",
        SectionName.DIAGNOSIS: r"\bdiagnos|\binvestigat|\bdebug|\btrouble-?shoot|\bcheck\b|\binspect|\bverify\b"
        r"|\blogs?\b"
        r"|\bcauses?\b",
        SectionName.MITIGATION: r"\bmitigat|\bremed|\bresol|\bfix|\bworkaround|\brestart|\bactions?\b|\bincrease"
        r"|\brecover",
    }.items()
}
"""The words of a page that tell a part without a heading for it; without accents."""


@rule("warning", "A runbook lacks a part that a reader needs.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """One finding for each section that is missing, at the runbook's beginning."""
    if not subject.is_runbook or subject.kind == "role" or not subject.metadata:
        return
    if subject.kind == "runbook" and subject.at.file == subject.file:
        return  # its metadata could not be read; that is said elsewhere
    for name in _wanted(subject):
        if name not in subject.sections and not (subject.kind == "page" and _told(subject, name)):
            where = f"{subject.name} has no section" if subject.kind == "page" else f"{subject.name} says nothing under"
            yield Finding(subject.at, f"{where} {name.value}: {_NEEDED[name]}")


def _told(subject: Subject, name: SectionName) -> bool:
    """Whether a page tells a part otherwise than below a heading: in a sentence, in a comment of its commands."""
    if name is SectionName.PROCEDURE and (subject.commands or subject.blocks):
        return True
    pattern = _SAID.get(name)
    if pattern is None:
        return False
    comments = (row for command in subject.commands for row in command.source.split("\n") if "#" in row)
    return any(pattern.search(plain(line)) for line in (*subject.raw, *comments))


def _wanted(subject: Subject) -> Iterator[SectionName]:
    if subject.form == "alert":
        yield from _ALERT
        return
    if subject.kind == "page" and not subject.titled:
        return  # a tutorial has steps and a verification, too; who is called is asked of what calls itself a runbook
    if subject.incident:
        yield from (SectionName.SYMPTOMS, SectionName.IMPACT)
    else:
        yield SectionName.PREREQUISITES
    altering = any(
        needs_a_way_back(each)
        for c in (*subject.before, *subject.commands)
        if not c.diagnostic
        for each in parse(c.text).invocations
    )
    if subject.kind == "page":
        yield SectionName.PROCEDURE
    else:
        yield SectionName.WHEN_TO_IGNORE
    yield SectionName.VERIFICATION
    if altering or subject.kind == "runbook":
        yield SectionName.ROLLBACK
    if subject.kind == "runbook" or not subject.incident:  # a page about an incident is that
        yield SectionName.TROUBLESHOOTING
    if subject.kind == "page" and SectionName.ESCALATION in subject.sections:
        return
    yield SectionName.CONTACTS
    if subject.kind == "runbook":
        yield SectionName.ESCALATION
