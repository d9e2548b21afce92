"""The table of a page that says who answers for the runbook, when it may run, how long it takes, for which service."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.catalog import Phase, Runbook
from pyrunbook.docs.markdown_text import code, plain_text
from pyrunbook.docs.past_runs import PastRuns
from pyrunbook.docs.target import Target
from pyrunbook.docs.window_words import window_in_words
from pyrunbook.docs.wording import Wording
from pyrunbook.windows import format_duration, parse_duration


def information(
    runbook: Runbook, target: Target, wording: Wording, past_runs: PastRuns | None
) -> Iterator[tuple[str, str]]:
    """The rows: what it is called, and Markdown."""
    metadata, t = runbook.metadata, wording.t
    yield t("runbook"), code(runbook.id)
    if metadata.updated:
        yield t("updated"), metadata.updated.isoformat()
    yield t("owner"), plain_text(metadata.owner)
    if metadata.estimate:
        takes = [format_duration(metadata.estimate)]
        takes += [t("reserve", format_duration(metadata.reserve))] if metadata.reserve else []
        back = any(step.phase is Phase.ROLLBACK for step in runbook.playbook.imports)
        limit = "timeout" if back else "timeout_only"
        takes += [t(limit, format_duration(metadata.timeout))] if metadata.timeout else []
        yield t("estimate"), t("separator").join(takes)
    if metadata.frequency:
        yield t("frequency"), wording.words(metadata.frequency)
    yield t("window"), _window(runbook, target, wording)
    if metadata.risk:
        yield t("risk"), t(metadata.risk)
    yield t("hosts"), ", ".join(dict.fromkeys(code(play.hosts) for play in runbook.plays))
    if target.service:
        name = target.service.name
        yield t("service"), plain_text(t("services", ", ".join(target.services), name) if target.services[1:] else name)
        yield t("platform"), plain_text(target.platform)
    if len(runbook.strategies) > 1:
        yield t("strategy"), code(target.strategy)
    if past_runs:
        yield t("last_tested"), past_runs.last_tested(runbook.id) or t("never_tested")
        if found := past_runs.of_runs(runbook.id):
            yield t("measured"), t("measured_runs", *found)


def _window(runbook: Runbook, target: Target, wording: Wording) -> str:
    """When it may run: the inventory's window goes before the runbook's own, as for a run."""
    t, declared = wording.t, runbook.metadata.window
    spec, excluded, cutoff = declared.for_service(wording.values if target.service is not None else {})
    if not spec:
        return t("window_closed", declared.variable)
    parts = [window_in_words(spec, wording.language)]
    if cutoff or declared.cutoff:
        parts.append(t("cutoff", format_duration(parse_duration(cutoff) if cutoff else declared.cutoff)))
    if excluded:
        parts.append(t("excluded", ", ".join(excluded)))
    return plain_text(t("separator").join(parts))
