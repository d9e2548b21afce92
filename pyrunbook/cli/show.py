"""`pyrunbook show`: what a runbook is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.cli.options import json_option

if TYPE_CHECKING:
    from pyrunbook.catalog import Runbook, Step

STRATEGIES = ("zero_downtime", "controlled_stop")
_HEADINGS = {
    "prerequisite": "Before the first change",
    "procedure": "Procedure",
    "rollback": "When a step fails",
    "conclude": "In any case",
}


@click.command()
@click.argument("runbook", shell_complete=complete_runbooks)
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    show_default=True,
    help="Steps of which strategy.",
)
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of the texts.")
@json_option
def show(runbook: str, strategy: str, language: str, as_json: bool) -> None:
    """Show what RUNBOOK is: window, prerequisites, inputs, steps, known errors, whom to call.

    `pyrunbook docs show RUNBOOK` shows its page, with the values of an inventory and the commands for the day when the
    automation is down.
    """
    from pyrunbook.catalog import load

    found = load().get(runbook)
    steps = found.steps(strategy)
    if as_json:
        click.echo(json.dumps(_as_dict(found, steps, strategy), ensure_ascii=False))
        return
    for line in _lines(found, steps, strategy, language):
        click.echo(line)


def _as_dict(runbook: Runbook, steps: list[Step], strategy: str) -> dict[str, Any]:
    from pyrunbook.catalog.runbook import plain

    return {
        **runbook.as_dict(),
        "strategy": strategy,
        "steps": [
            {
                "step": step.id,
                "title": step.title,
                "spoken_title": step.spoken_title(),
                "role": step.role,
                "phase": str(step.phase),
                "conditions": list(step.conditions),
                "line": step.line,
                "notes": plain(step.notes),
            }
            for step in steps
        ],
    }


def _lines(runbook: Runbook, steps: list[Step], strategy: str, language: str) -> Iterator[str]:
    from pyrunbook.windows.duration import format_duration

    metadata = runbook.metadata
    yield f"{metadata.title.in_language(language)} ({runbook.id})"
    if metadata.summary:
        yield metadata.summary.in_language(language)
    yield ""
    yield f"Owner       {metadata.owner}, reviewed {metadata.updated}"
    if metadata.estimate:
        takes = [f"Takes       {format_duration(metadata.estimate)}"]
        if metadata.reserve:
            takes.append(f"{format_duration(metadata.reserve)} in reserve for a rollback")
        if metadata.timeout:
            takes.append(f"ended and put back after {format_duration(metadata.timeout)}")
        yield "; ".join(takes)
    if metadata.frequency:
        yield f"Frequency   {metadata.frequency.in_language(language)}"
    yield f"Window      {_window(runbook)}"
    if metadata.severity:
        yield f"Severity    {metadata.severity}"
    for symptom in metadata.symptoms:
        yield f"Symptom     {symptom.in_language(language)}"
    if metadata.impact:
        yield f"Impact      {metadata.impact.in_language(language)}"
    if metadata.prerequisites:
        yield from ("", "Prerequisites")
        for item in metadata.prerequisites:
            how = f"attest it with --attest {item.id}" if item.check == "attested" else "checked by the run"
            yield f"  {item.text.in_language(language)} ({how})"
            if item.how:
                yield f"    {item.how.in_language(language)}"
    yield from _inputs(runbook)
    yield from _steps(steps, strategy, runbook.strategies, language)
    if metadata.rollback:
        yield from ("", "Rollback", f"  {metadata.rollback.in_language(language)}")
    if metadata.troubleshooting:
        yield from ("", "Known errors")
        for trouble in metadata.troubleshooting:
            yield f"  {trouble.error}: {trouble.cause.in_language(language)}"
            yield f"    {trouble.solution.in_language(language)}"
            yield from (f"    $ {command}" for command in trouble.commands)
    if metadata.escalation:
        yield from ("", "Escalation")
        for level in metadata.escalation:
            after = f" after {format_duration(level.after)}" if level.after else ""
            yield f"  {level.to}{after}: {level.when.in_language(language)}"
    if metadata.contacts:
        yield from ("", f"Contacts (of the inventory): {', '.join(metadata.contacts)}")
    if metadata.links:
        yield from ("", "Links")
        yield from (f"  {link.title.in_language(language)}: {link.url}" for link in metadata.links)
    yield from ("", f"What a run would do now: pyrunbook plan {runbook.id}")
    yield f"Its page, with the commands to do it by hand: pyrunbook docs show {runbook.id}"


def _window(runbook: Runbook) -> str:
    from pyrunbook.windows.duration import format_duration
    from pyrunbook.windows.explain import describe
    from pyrunbook.windows.grammar import parse

    window = runbook.metadata.window
    if window.spec is None:
        return "closed until the inventory names one (update_window)"
    parts = [window.spec if window.spec == "always" else f"{window.spec} ({describe(parse(window.spec))})"]
    if window.cutoff:
        parts.append(f"nothing starts in its last {format_duration(window.cutoff)}")
    if window.exclusions:
        parts.append(f"closed {', '.join(window.exclusions)}")
    return "; ".join(parts)


def _inputs(runbook: Runbook) -> Iterator[str]:
    if not runbook.inputs:
        return
    yield from ("", "Inputs (-e name=value)")
    for name, item in runbook.inputs.items():
        kind = f"list of {item.elements}" if item.kind == "list" and item.elements else item.kind
        facts = [kind]
        if item.choices:
            facts.append("one of " + ", ".join(str(choice) for choice in item.choices))
        if item.required:
            facts.append("required")
        elif item.default not in (None, "", []):
            facts.append(f"default {item.default}")
        yield f"  {name} ({'; '.join(facts)})"
        if item.text:
            yield f"    {item.text}"


def _steps(steps: list[Step], strategy: str, strategies: tuple[str, ...], language: str) -> Iterator[str]:
    from pyrunbook.windows.duration import format_duration

    varies = f" with strategy {strategy} (the other one: --strategy)" if len(strategies) > 1 else ""
    yield from ("", f"Steps{varies}")
    phase = ""
    for number, step in enumerate(steps, 1):
        if step.phase != phase:
            phase = step.phase
            yield f"  {_HEADINGS[phase]}"
        takes = f"  {format_duration(step.estimate)}" if step.estimate else ""
        yield f"  {number:>3}. {step.spoken_title()}  [{step.id}]{takes}"
        if step.conditions:
            yield f"       only when {' and '.join(step.conditions)}"
        if step.notes:
            yield f"       {step.notes.purpose.in_language(language)}"
            yield f"       Expected: {step.notes.expected.in_language(language)}"
