"""A runbook that nobody has looked at, or run, for too long."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.markdown.section_names import SectionName
from pyrunbook.windows.duration import format_duration


@rule("warning", "A runbook was not reviewed, or not run, for too long.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Compares the date of the review, and with a journal that of the last run, with what the settings allow."""
    if not subject.is_runbook or subject.kind == "role":
        return
    settings = context.project.settings.lint
    if subject.updated is None:
        if subject.kind == "page" and SectionName.INFORMATION in subject.sections:
            yield Finding(subject.sections[SectionName.INFORMATION], "nobody says when this was reviewed last")
    else:
        day, at = subject.updated
        age = context.today - day
        if age > settings.reviewed_within:
            allowed = format_duration(settings.reviewed_within)
            yield Finding(at, f"reviewed {age.days} days ago; {allowed} are allowed (reviewed_within)")
        elif age.days < 0:
            yield Finding(at, f"the review is {-age.days} days in the future")
    if context.last_tested is not None and subject.kind == "runbook":
        tested = context.last_tested.get(subject.name)
        allowed = format_duration(settings.tested_within)
        if tested is None:
            yield Finding(subject.at, f"the journal has no run of {subject.name} that succeeded; a drill is one")
        elif context.today - tested > settings.tested_within:
            days = (context.today - tested).days
            yield Finding(subject.at, f"{subject.name} ran {days} days ago; {allowed} are allowed (tested_within)")
