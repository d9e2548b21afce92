"""`pyrunbook show`: what a runbook is."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pyrunbook.cli import project as projects
from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.cli.options import json_option

if TYPE_CHECKING:
    from pyrunbook.catalog import Runbook, Step

STRATEGIES = ("zero_downtime", "controlled_stop")


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
    """Show what RUNBOOK is: when it is needed, what to type, its steps, inputs, known errors, whom to call.

    Texts and commands show the values of an inventory's service; what nobody sets stands there in capitals. With
    --json they are as written. `pyrunbook docs show RUNBOOK` shows the whole page, with the commands for the day when
    the automation is down.

    Exits 2 when the inventory's window cannot be read.
    """
    from pyrunbook import places
    from pyrunbook.catalog import load
    from pyrunbook.catalog.settings import read_settings
    from pyrunbook.docs.page import RunbookPage
    from pyrunbook.docs.target import Target, choose

    found = load().get(runbook)
    content = places.content()
    if not found.described and not as_json:
        _show_undescribed(found, language)
        return
    named = read_settings(content).docs.inventory if inventory is None else inventory
    path, services = projects.services_of(content, named)
    target = Target(content) if path is None else choose(content, path, services, service)
    target = replace(target, asked_strategy=strategy or "")
    if as_json:
        said = _as_dict(found, found.steps(target.strategy), target.strategy)
        click.echo(json.dumps(said, ensure_ascii=False))
        return
    page = RunbookPage(found, target, language, brief=True)
    found.schedule(page.values if target.service else {})  # refuses a window that cannot be read
    text = page.as_markdown()
    if sys.stdout.isatty():
        from pyrunbook.cli.page_view import rendered

        text = rendered(text)
    click.echo(text)
    click.echo(f"What a run would do now: pyrunbook plan {found.id}")
    click.echo(f"Its page, with the commands to do it by hand: pyrunbook docs show {found.id}")


def _show_undescribed(runbook: Runbook, language: str) -> None:
    """The outline of a playbook without metadata, and what that means for a run."""
    from pyrunbook import places
    from pyrunbook.docs.outline_page import OutlinePage
    from pyrunbook.docs.target import Target

    inside = runbook.path.is_relative_to(places.content())
    target = Target(places.content() if inside else runbook.path.parent)
    click.echo(OutlinePage(runbook.id, runbook.path, target, language, (language,)).as_markdown())
    click.echo(f"It can be run, and has no {', no '.join(runbook.lacks)}: pyrunbook run {runbook.id} -i INVENTORY")


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
