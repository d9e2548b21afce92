"""A runbook for an incident that no alert leads to: who is woken up does not find it."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule


@rule("warning", "No alert leads to the runbook of an incident.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Asked only where alert rules are known."""
    if context.alerts is None:
        return
    if subject.kind == "runbook" and subject.name.startswith("incidents/"):
        named = any(mention.kind == "alert" for mention in subject.mentions)
        if not named and not _linked(f"/{subject.name}", context):
            yield Finding(subject.at, f"no alert leads to {subject.name}: name it under alerts, or in a runbook_url")
    of_a_page = subject.form == "alert" and subject.file.stem not in context.alerts
    if of_a_page and not _linked(f"/{subject.file.stem}", context):
        yield Finding(subject.at, f"no rule raises an alert {subject.file.stem}, and no runbook_url leads here")


def _linked(ending: str, context: Context) -> bool:
    for alert in (context.alerts or {}).values():
        path = alert.runbook_url.partition("#")[0].partition("?")[0].rstrip("/")
        if path.removesuffix(".md").removesuffix(".html").endswith((ending, ending.replace("_", "-"))):
            return True
    return False
