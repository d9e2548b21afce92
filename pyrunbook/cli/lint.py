"""`pyrunbook lint`: what will hurt at night, found in daylight."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrunbook.cli import project as projects
from pyrunbook.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from pyrunbook.lint.collecting import Linted
    from pyrunbook.lint.context import Context, Project
    from pyrunbook.lint.subject import Subject
    from pyrunbook.project.inventory import Service


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@projects.project_option
@projects.inventory_option
@click.option("--journal", is_flag=True, help="Ask the journal when each runbook was run last.")
@click.option("--online", is_flag=True, help="Ask the web whether the pages that links lead to are there.")
@click.option("--select", multiple=True, metavar="RULE,...", help="Only these rules.")
@click.option("--ignore", multiple=True, metavar="RULE,...", help="Not these rules.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    help="How findings are written; json is one object a line.",
)
@click.option("--fix", is_flag=True, help="Correct what can be corrected safely, then lint again.")
@click.option("--strict", is_flag=True, help="Fail on notes, too.")
@click.option(
    "--today", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The day on which ages are computed."
)
@click.option("--rules", "list_rules", is_flag=True, help="List the rules and their levels.")
@click.option("--explain", metavar="RULE", default="", help="Print the page about a rule.")
@click.pass_context
def lint(
    ctx: click.Context,
    paths: tuple[Path, ...],
    project: Path | None,
    inventory: str | None,
    journal: bool,
    online: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    form: str,
    fix: bool,
    strict: bool,
    today: datetime | None,
    list_rules: bool,
    explain: str,
) -> None:
    """Look for what will hurt at night: in playbooks with their metadata, roles' step.yml, Markdown pages, alert rules.

    PATH is such a file, or a directory that is searched for them; without one, all playbooks of the project are
    looked at. Nothing of a project is executed. Rules, their levels and what is allowed come from `.pyrunbook.yml` or
    `[tool.pyrunbook.lint]` in `pyproject.toml`. Exits 2 where there is nothing to look at.

    A finding that is right and stays is waived beside it, with the reason: `# pyrunbook: allow RULE because REASON`,
    in Markdown the same in an HTML comment.

    Exit codes: 0 nothing found, or notes only; 8 findings; 2 usage.
    """
    from pyrunbook import places
    from pyrunbook.catalog.settings import read_settings
    from pyrunbook.lint import collecting, formats, linting
    from pyrunbook.lint.context import Project
    from pyrunbook.lint.fixing import fix as correct

    if explain:
        _explain(explain)
        return
    root = collecting.project_of(paths[0]) if paths and not project else projects.project_directory(project)
    settings = read_settings(root)
    chosen = linting.chosen_rules(settings.lint, _names(select), _names(ignore))
    if list_rules:
        from pyrunbook.cli.table import echo_table

        echo_table(
            ["RULE", "LEVEL", "WHAT IT FINDS"], [[rule.id, level, rule.summary] for rule, level in chosen.items()]
        )
        return
    if not paths and not project:
        projects.refuse_shipped(root)
    services, broken = _services(root, settings.docs.inventory if inventory is None else inventory)
    tested = None
    if journal:
        tested = _last_tested()

    def look() -> tuple[Linted, list[linting.Reported]]:
        fresh = Project(root, settings, services)
        collection = collecting.collect(paths, fresh)
        collection.subjects += broken
        context = _context(fresh, collection, today.date() if today else date.today(), tested)  # noqa: DTZ011
        if online:
            from pyrunbook.lint.online import ask

            context.answers = ask(link.target for subject in collection.subjects for link in subject.links)
        return collection, linting.lint(collection, context, chosen)

    collection, found = look()
    if fix:
        corrected = correct(found)
        for each in corrected:
            done = each.edit.done if each.edit else ""
            click.echo(f"{places.from_here(each.at.file)}:{each.at.line}: fixed {each.rule}: {done}", err=True)
        if corrected:
            collection, found = look()
    subjects = sum(subject.kind not in ("alerts", "inventory") for subject in collection.subjects)
    if form == "sarif":
        click.echo(formats.as_sarif(found, chosen))
    else:
        lines = {"text": formats.as_text, "json": formats.as_json, "github": formats.as_github}[form](found)
        for line in lines:
            click.echo(line)
    if form == "text":
        where = "" if paths or project or root == Path.cwd().resolve() else f"These are of {root}: "
        click.echo(where + formats.summary(found, subjects))
    if any(strict or each.level != "note" for each in found):
        ctx.exit(ExitCode.FINDINGS)


def _last_tested() -> dict[str, date]:
    """Runbook to the day (UTC) of its last run that was no dry run and succeeded."""
    from pyrunbook.journal import Journal  # loads the database's library

    if not Journal.exists():
        raise BadInput("there is no journal yet, so it is not known what was tested", next_step="leave --journal out")
    with Journal.open() as journal:
        return {run.runbook: run.ended.date() for run in reversed(journal.practised()) if run.ended}


def _names(given: tuple[str, ...]) -> list[str]:
    return [name.strip() for item in given for name in item.split(",") if name.strip()]


def _explain(name: str) -> None:
    from pyrunbook.lint.linting import rule_named
    from pyrunbook.lint.rule import page_of

    rule = rule_named(name, "--explain: ")
    page = page_of(rule.id)
    if not page.is_file():
        raise BadInput(f"the page about {rule.id} is not installed: {page}", next_step="reinstall pyrunbook")
    click.echo(page.read_text(encoding="utf-8").rstrip("\n"))


def _services(root: Path, inventory: str) -> tuple[list[Service], list[Subject]]:
    """The services of the inventory; of a broken one, the error to report."""
    from pyrunbook.lint.subject import Subject
    from pyrunbook.project.problem import InvalidFile, Spot

    try:
        return projects.services_of(root, inventory)[1], []
    except InvalidFile as error:
        file = projects.inventory_path(root, inventory)
        return [], [Subject("inventory", file, file.name, Spot(file, 1, 1), problems=list(error.problems))]


def _context(project: Project, collection: Linted, today: date, tested: dict[str, date] | None) -> Context:
    from pyrunbook.lint.collecting import alert_subjects, named_alerts
    from pyrunbook.lint.context import Context

    known = {subject.file for subject in collection.subjects}
    configured = [subject for subject in alert_subjects(project) if subject.file not in known]
    collection.subjects += configured
    rules = [subject for subject in collection.subjects if subject.kind == "alerts"]
    context = Context(project, today, collection.subjects, last_tested=tested)
    if rules:
        context.alerts = {alert.name: alert for subject in rules for alert in subject.alerts}
        context.runbook_alerts = named_alerts(project)
    return context
