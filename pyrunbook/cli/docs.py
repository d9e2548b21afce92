"""`pyrunbook docs`: the pages that are made from what runs."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrunbook import places
from pyrunbook.cli import options
from pyrunbook.cli import project as projects
from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from pyrunbook.catalog.settings import DocsSettings
    from pyrunbook.docs.collection import Pages
    from pyrunbook.docs.files import Drift
    from pyrunbook.docs.past_runs import PastRuns


page_options = options.several(
    projects.project_option,
    projects.inventory_option,
    click.option("--service", default="", help="Whose values the pages show; the inventory's first by default."),
)
"""What the pages are made from."""
all_inputs_option = click.option(
    "--all-inputs", is_flag=True, help="Also list the inputs of steps that keep their defaults; not to be committed."
)


@click.group()
def docs() -> None:
    """Make the pages of runbooks from the playbooks that are run, and see that they have not drifted.

    \b
    pyrunbook docs build                    write the pages that have changed
    pyrunbook docs check                    exit 7 when a page is not what the runbook says now
    pyrunbook docs show production_update   read one in the terminal
    """  # noqa: D301 - click reads the character, not the two signs


@docs.command(short_help="Write the pages that have changed.")
@click.argument("runbook", nargs=-1, shell_complete=complete_runbooks)
@click.option("--lang", "languages", multiple=True, type=click.Choice(["en", "fr"]), help="Only this language.")
@click.option("--output", type=click.Path(path_type=Path), help="Directory of the pages. Default: of the settings.")
@click.option("--journal", is_flag=True, help="Also say when it was last tested, and its time; not to be committed.")
@all_inputs_option
@page_options
@options.json_option
@click.pass_context
def build(
    ctx: click.Context,
    runbook: tuple[str, ...],
    languages: tuple[str, ...],
    output: Path | None,
    journal: bool,
    all_inputs: bool,
    project: Path | None,
    inventory: str | None,
    service: str,
    as_json: bool,
) -> None:
    """Write the pages of all runbooks, or of each RUNBOOK; a page that would be the same is not touched.

    Those are the project's own runbooks; with `docs: {shipped: true}` in its settings, also those that come with
    pyrunbook.

    Playbooks without metadata get a page of what is known, and the list of what is missing. Nothing of the project is
    executed. Exits 2 when a file of the project cannot be read: the other pages are written, and a page that is there
    already stays as it is.
    """
    from pyrunbook.docs.files import drift, write

    directory = projects.project_directory(project)
    if not project and not output:
        projects.refuse_shipped(directory)
    settings = _settings(directory)
    shipped = settings.shipped or bool(runbook and output)
    made = _collect(directory, settings, runbook, languages, inventory, service, journal, all_inputs, shipped)
    into = _output(directory, settings, output)
    _ask_for_review(drift(into, made.files, whole=False, partial=made.partial))
    written, removed = write(into, made.files, whole=made.whole and output is None, partial=made.partial)
    if output is None:
        written += write(directory, made.readmes, whole=False)[0]
    kept = [file for name in sorted(made.partial) if (file := into / name) not in written]
    _complain(made)
    known = len(made.files) + (len(made.readmes) if output is None else 0)
    if as_json:
        click.echo(json.dumps({
            "pages": known, "written": [str(file) for file in written],
            "removed": [str(file) for file in removed], "kept": [str(file) for file in kept],
            "problems": [str(problem) for problem in made.problems],
        }))  # fmt: skip
    else:
        for verb, files in (("wrote", written), ("removed", removed), ("left as it was", kept)):
            for file in files:
                click.echo(f"{verb} {places.from_here(file)}")
        counts = f"{len(written)} written, {known - len(written) - len(kept)} unchanged"
        click.echo(f"{_counted(known)}: {counts}{f', {len(kept)} left as they were' if kept else ''}.")
    if made.broken:
        ctx.exit(ExitCode.BAD_INPUT)


@docs.command(short_help="See whether the pages are what the runbooks say now.")
@click.argument("runbook", nargs=-1, shell_complete=complete_runbooks)
@click.option("--lang", "languages", multiple=True, type=click.Choice(["en", "fr"]), help="Only this language.")
@click.option("--output", type=click.Path(path_type=Path), help="Directory of the pages. Default: of the settings.")
@page_options
@click.pass_context
def check(
    ctx: click.Context,
    runbook: tuple[str, ...],
    languages: tuple[str, ...],
    output: Path | None,
    project: Path | None,
    inventory: str | None,
    service: str,
) -> None:
    """See whether the pages are what the runbooks say now. Changes nothing.

    Exits 7 when a page has drifted, with the differences where there is a page and a runbook; 2 when a file of the
    project cannot be read, because then nobody can say what its page should be.
    """
    from pyrunbook.docs.files import drift

    directory = projects.project_directory(project)
    if not project and not output:
        projects.refuse_shipped(directory)
    settings = _settings(directory)
    shipped = settings.shipped or bool(runbook and output)
    made = _collect(directory, settings, runbook, languages, inventory, service, shipped=shipped)
    into = _output(directory, settings, output)
    found = drift(into, made.files, whole=made.whole and output is None, partial=made.partial)
    known = len(made.files)
    if output is None:
        found += drift(directory, made.readmes, whole=False)
        known += len(made.readmes)
    _complain(made)
    for item in found:
        meaning = {
            "changed": "is not what the runbook says now",
            "missing": "is missing",
            "stale": "is the page of a runbook that no longer exists",
        }[item.kind]
        click.echo(f"{places.from_here(item.file)}:{item.line}: {meaning}")
        if item.diff:
            click.echo(item.diff)
    _ask_for_review(found)
    if found:
        build = ["pyrunbook", "docs", "build", *runbook]
        named: list[tuple[str, object]] = [("--lang", language) for language in languages]
        named += [("--output", output), ("--project", project), ("--inventory", inventory), ("--service", service)]
        build += [str(word) for option, value in named if value for word in (option, value)]
        first = "correct what cannot be read, then: " if made.broken else ""
        click.echo(f"Drifted: {len(found)} of {_counted(known)}.\nNext: {first}{shlex.join(build)}", err=True)
    if made.broken:
        ctx.exit(ExitCode.BAD_INPUT)
    if found:
        ctx.exit(ExitCode.DRIFT)
    click.echo(f"{_counted(known)}, each as the runbooks say.")


@docs.command(short_help="Show one page in the terminal.")
@click.argument("runbook", shell_complete=complete_runbooks)
@click.option("--lang", "language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of it.")
@click.option("--journal", is_flag=True, help="Also say when it was last tested and how long it took.")
@click.option("--raw", is_flag=True, help="As Markdown, also on a terminal.")
@all_inputs_option
@page_options
@click.pass_context
def show(
    ctx: click.Context,
    runbook: str,
    language: str,
    journal: bool,
    raw: bool,
    all_inputs: bool,
    project: Path | None,
    inventory: str | None,
    service: str,
) -> None:
    """Show the page of RUNBOOK; as Markdown where the output is no terminal."""
    directory = projects.project_directory(project)
    made = _collect(
        directory, _settings(directory), (runbook,), (language,), inventory, service, journal, all_inputs, shipped=True
    )
    (text,) = made.files.values()
    if raw or not sys.stdout.isatty():
        click.echo(text, nl=False)
    else:
        from pyrunbook.cli.page_view import rendered

        click.echo_via_pager(rendered(text))
    _complain(made)  # behind the page: a pager would hide it
    if made.broken:
        ctx.exit(ExitCode.BAD_INPUT)


def _settings(project: Path) -> DocsSettings:
    from pyrunbook.catalog.settings import read_settings

    return read_settings(project).docs


def _collect(
    project: Path,
    settings: DocsSettings,
    runbooks: tuple[str, ...],
    languages: tuple[str, ...],
    inventory: str | None,
    service: str,
    journal: bool = False,
    all_inputs: bool = False,
    shipped: bool = False,
) -> Pages:
    from pyrunbook.docs.collection import collect
    from pyrunbook.docs.target import Target, choose

    path, services = projects.services_of(project, settings.inventory if inventory is None else inventory)
    target = Target(project) if path is None else choose(project, path, services, service)
    known = tuple(dict.fromkeys((*settings.languages, *languages)))
    past_runs = _past_runs() if journal else None
    return collect(
        target,
        languages or known,
        only=runbooks,
        all_languages=known,
        past_runs=past_runs,
        all_inputs=all_inputs,
        shipped=shipped,
    )


def _past_runs() -> PastRuns:
    from pyrunbook.docs.past_runs import PastRuns
    from pyrunbook.journal import Journal

    if not Journal.exists():
        raise BadInput("nothing has been recorded on this machine yet", next_step="leave out --journal")
    with Journal.open() as journal:
        return PastRuns(journal)


def _output(project: Path, settings: DocsSettings, given: Path | None) -> Path:
    if given is not None:
        return given.expanduser().resolve()
    if project.resolve() == places.collection():
        raise BadInput(
            "the shipped runbooks are part of the installation, which is no place for pages",
            next_step="--output DIRECTORY",
        )
    output = project / settings.output
    if not output.resolve().is_relative_to(project.resolve()):  # the settings may be anybody's
        raise BadInput(f"docs.output leads out of the project: {output}", next_step="--output DIRECTORY")
    return output


def _ask_for_review(found: list[Drift]) -> None:
    for tasks in sorted({tasks for item in found for tasks in item.review}):
        said = f"{tasks} has changed, and its commands by hand have not"
        notes = f"{tasks.removesuffix('/tasks')}/meta/step.yml"
        click.echo(f"{said}: check that both still do the same ({notes})", err=True)


def _complain(made: Pages) -> None:
    for problem in made.problems:
        click.echo(str(problem), err=True)


def _counted(pages: int) -> str:
    return f"{pages} page{'' if pages == 1 else 's'}"
