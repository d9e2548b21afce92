"""An alert that wakes somebody up and does not say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pyrunbook.catalog import CATEGORIES
from pyrunbook.lint.rule import Context, Finding, Subject, rule


@rule("warning", "An alert leads to no runbook.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Alerts without `runbook_url` that no runbook names either; URLs that name a runbook that is not there."""
    for alert in subject.alerts:
        if not alert.runbook_url:
            if alert.name not in context.runbook_alerts:
                yield Finding(alert.at, f"the alert {alert.name} leads to no runbook: give it annotations.runbook_url")
            continue
        parts = [part for part in urlsplit(alert.runbook_url).path.split("/") if part]
        if len(parts) < 2 or parts[-2] not in CATEGORIES or not context.project.known_runbooks:
            continue
        name = f"{parts[-2]}/{parts[-1].removesuffix('.md').removesuffix('.html')}"
        if context.project.runbook(name) is None:
            yield Finding(alert.url_at, f"the runbook_url of {alert.name} names {name}, which does not exist")
