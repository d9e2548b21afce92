"""`pyrunbook show`: what a runbook is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pyrunbook.cli import project as projects
from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.cli.options import json_option

if TYPE_CHECKING:
    from pyrunbook.catalog import Runbook, Step, Text
    from pyrunbook.docs.page import Page

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
    help="Steps of which strategy. Default: the inventory's, or else zero_downtime.",
)
@click.option(
    "--lang",
    "--language",
    "language",
    type=click.Choice(["en", "fr"]),
    default="en",
    show_default=True,
    help="Of the texts.",
)
@click.option("--service", default="", help="Whose values are shown; the inventory's first by default.")
@projects.inventory_option
@json_option
def show(runbook: str, strategy: str | None, language: str, service: str, inventory: str | None, as_json: bool) -> None:
    """Show what RUNBOOK is: window, prerequisites, inputs, steps, known errors, whom to call.

    Texts and commands show the values of an inventory's service; what nobody sets stands there in capitals. With
    --json they are as written. `pyrunbook docs show RUNBOOK` shows the page, with the commands for the day when the
    automation is down.
    """
    from pyrunbook import places
    from pyrunbook.catalog import load
    from pyrunbook.catalog.settings import read_settings
    from pyrunbook.docs.page import Page
    from pyrunbook.docs.target import Target, choose

    found = load().get(runbook)
    content = places.content()
    named = read_settings(content).docs.inventory if inventory is None else inventory
    path, services = projects.services_of(content, named)
    target = Target(content) if path is None else choose(content, path, services, service)
    wanted = strategy or target.strategy
    steps = found.steps(wanted)
    if as_json:
        click.echo(json.dumps(_as_dict(found, steps, wanted), ensure_ascii=False))
        return
    lines = list(_Shown(Page(found, target, language), steps, wanted).lines())
    click.echo("\n".join(lines))


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


class _Shown:
    """A runbook as lines for a terminal, with the values that its page has."""

    def __init__(self, page: Page, steps: list[Step], strategy: str) -> None:
        self._page = page
        self._runbook = page.runbook
        self._steps = steps
        self._strategy = strategy

    def _say(self, text: Text | str) -> str:
        from pyrunbook.catalog import Text

        return self._page.values.fill(text.in_language(self._page.language) if isinstance(text, Text) else text)

    def lines(self) -> Iterator[str]:
        from pyrunbook.windows.duration import format_duration

        say, metadata, target = self._say, self._runbook.metadata, self._page.target
        yield f"{say(metadata.title)} ({self._runbook.id})"
        if metadata.summary:
            yield say(metadata.summary)
        yield ""
        if target.service:
            yield f"Values      of {target.service.name} in {target.inventory_path}; of another one: -i"
        yield f"Owner       {metadata.owner}, reviewed {metadata.updated}"
        if metadata.estimate:
            takes = [f"Takes       {format_duration(metadata.estimate)}"]
            if metadata.reserve:
                takes.append(f"{format_duration(metadata.reserve)} in reserve for a rollback")
            if metadata.timeout:
                takes.append(f"ended and put back after {format_duration(metadata.timeout)}")
            yield "; ".join(takes)
        if metadata.frequency:
            yield f"Frequency   {say(metadata.frequency)}"
        yield f"Window      {_window(self._page)}"
        if metadata.severity:
            yield f"Severity    {metadata.severity}"
        for symptom in metadata.symptoms:
            yield f"Symptom     {say(symptom)}"
        if metadata.impact:
            yield f"Impact      {say(metadata.impact)}"
        if metadata.prerequisites:
            yield from ("", "Prerequisites")
            for item in metadata.prerequisites:
                how = f"attest it with --attest {item.id}" if item.check == "attested" else "checked by the run"
                yield f"  {say(item.text)} ({how})"
                if item.how:
                    yield f"    {say(item.how)}"
        yield from _inputs(self._runbook)
        yield from self._procedure()
        if metadata.rollback:
            yield from ("", "Rollback", f"  {say(metadata.rollback)}")
        if metadata.troubleshooting:
            yield from ("", "Known errors")
            for trouble in metadata.troubleshooting:
                yield f"  {trouble.error}: {say(trouble.cause)}"
                yield f"    {say(trouble.solution)}"
                yield from (f"    $ {say(command)}" for command in trouble.commands)
        yield from self._people()
        if metadata.links:
            yield from ("", "Links")
            yield from (f"  {say(link.title)}: {say(link.url)}" for link in metadata.links)
        if unknown := sorted(self._page.values.unknown):
            yield from ("", f"Nobody sets {', '.join(unknown)}: name an inventory that does with -i.")
        yield from ("", f"What a run would do now: pyrunbook plan {self._runbook.id}")
        yield f"Its page, with the commands to do it by hand: pyrunbook docs show {self._runbook.id}"

    def _procedure(self) -> Iterator[str]:
        from pyrunbook.windows.duration import format_duration

        several = len(self._runbook.strategies) > 1
        varies = f" with strategy {self._strategy} (the other one: --strategy)" if several else ""
        yield from ("", f"Steps{varies}")
        phase = ""
        for number, step in enumerate(self._steps, 1):
            if step.phase != phase:
                phase = step.phase
                yield f"  {_HEADINGS[phase]}"
            takes = f"  {format_duration(step.estimate)}" if step.estimate else ""
            yield f"  {number:>3}. {self._runbook.title_of(step, self._page.language)}  [{step.id}]{takes}"
            if step.conditions:
                yield f"       only when {' and '.join(step.conditions)}"
            if step.notes:
                yield f"       {self._say(step.notes.purpose)}"
                yield f"       Expected: {self._say(step.notes.expected)}"

    def _people(self) -> Iterator[str]:
        from pyrunbook.windows.duration import format_duration

        metadata = self._runbook.metadata
        if metadata.escalation:
            yield from ("", "Escalation")
        for level in metadata.escalation:
            after = f" after {format_duration(level.after)}" if level.after else ""
            yield f"  {level.to}{after}: {self._say(level.when)}"
        named = list(dict.fromkeys((*metadata.contacts, *(level.to for level in metadata.escalation))))
        if named:
            yield from ("", "Contacts")
            yield from (f"  {self._reached(name)}" for name in named)

    def _reached(self, name: str) -> str:
        """A level or channel with who that is and how it is reached, as far as the inventory says."""
        from pyrunbook.catalog.contacts import Contact
        from pyrunbook.catalog.templates import SECRET
        from pyrunbook.redaction import is_secret_name

        found = self._page.target.contacts.get(name)
        if found is None:
            return f"{name} (the inventory does not say who)"
        if not isinstance(found, Contact):
            return f"{name}: {SECRET if is_secret_name(found.kind) else self._public(found.reach)}"
        who = ", ".join(self._public(text) for text in (found.role, found.name) if text)
        return f"{name}, {who}: {self._public(found.reach)}"

    def _public(self, text: Text | str) -> str:
        """What the inventory says in its own words, without what looks like a secret."""
        from pyrunbook.catalog.templates import SECRET
        from pyrunbook.redaction import MASK, redact_text

        return redact_text(self._say(text)).replace(MASK, SECRET)


def _window(page: Page) -> str:
    """When it may run: the inventory's window goes before the runbook's own, as for a run."""
    from pyrunbook.cli.window import schedule_for
    from pyrunbook.windows.duration import format_duration
    from pyrunbook.windows.explain import describe

    service = page.target.service
    schedule = schedule_for(
        page.runbook, {name: page.values.get(name) for name in service.variables} if service else {}
    )
    if schedule.window is None:
        return f"closed until the inventory names one ({page.runbook.metadata.window.variable})"
    spec = schedule.window.spec
    parts = [spec if spec == "always" else f"{spec} ({describe(schedule.window)})"]
    if schedule.cutoff:
        parts.append(f"nothing starts in its last {format_duration(schedule.cutoff)}")
    if schedule.exclusions:
        parts.append(f"closed {', '.join(exclusion.text for exclusion in schedule.exclusions)}")
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
