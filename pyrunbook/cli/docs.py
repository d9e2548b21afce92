"""`pyrunbook docs`: the pages that are made from what runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrunbook import places
from pyrunbook.cli import options
from pyrunbook.cli.completion import complete_runbooks
from pyrunbook.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from pyrunbook.docs.collection import Collection
    from pyrunbook.docs.measured import Measured
    from pyrunbook.docs.target import Target

NO_INVENTORY = "none"


def page_options(command: Any) -> Any:
    """What the pages are made from."""
    for decorate in (
        click.option("--service", default="", help="Whose values the pages show; the inventory's first by default."),
        click.option(
            "-i",
            "--inventory",
            metavar="PATH",
            help="Whose values the pages show: a path, the name of one of the project's inventories, or none. "
            "Default: what the project's settings name.",
        ),
        options.project_option,
    ):
        command = decorate(command)
    return command


@click.group()
def docs() -> None:
    """Make the pages of runbooks from the playbooks that are run, and see that they have not drifted.

    \b
    pyrunbook docs build                    write the pages that have changed
    pyrunbook docs check                    exit 7 when a page is not what the runbook says now
    pyrunbook docs show production_update   read one in the terminal
    """  # noqa: D301 - click reads the character, not the two signs


@docs.command()
@click.argument("runbook", nargs=-1, shell_complete=complete_runbooks)
@click.option("--lang", "languages", multiple=True, type=click.Choice(["en", "fr"]), help="Only this language.")
@click.option("--output", type=click.Path(path_type=Path), help="Directory of the pages. Default: of the settings.")
@click.option("--journal", is_flag=True, help="Also say when it was last tested and how long it took; not to commit.")
@page_options
@options.json_option
def build(
    runbook: tuple[str, ...],
    languages: tuple[str, ...],
    output: Path | None,
    journal: bool,
    project: Path | None,
    inventory: str | None,
    service: str,
    as_json: bool,
) -> None:
    """Write the pages of all runbooks, or of each RUNBOOK; a page that would be the same is not touched.

    Playbooks without metadata get a page of what is known, and the list of what is missing. Nothing of the project is
    executed.
    """
    from pyrunbook.docs.files import write

    directory = options.project_directory(project)
    made = _collect(directory, runbook, languages, inventory, service, journal)
    into = _output(directory, output)
    written, removed = write(into, made.files, whole=made.whole and output is None)
    _complain(made)
    if as_json:
        click.echo(json.dumps({
            "pages": len(made.files), "written": [str(file) for file in written],
            "removed": [str(file) for file in removed], "problems": [str(problem) for problem in made.problems],
        }))  # fmt: skip
        return
    for verb, files in (("wrote", written), ("removed", removed)):
        for file in files:
            click.echo(f"{verb} {places.from_here(file)}")
    unchanged = len(made.files) - len(written)
    click.echo(f"{_counted(len(made.files))}: {len(written)} written, {unchanged} unchanged.")


@docs.command()
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

    Exits 7 when a page has drifted, with the differences; 2 when a file of the project cannot be read.
    """
    from pyrunbook.docs.files import drift

    directory = options.project_directory(project)
    made = _collect(directory, runbook, languages, inventory, service, journal=False)
    found = drift(_output(directory, output), made.files, whole=made.whole and output is None)
    _complain(made)
    for item in found:
        meaning = {
            "changed": "is not what the runbook says now",
            "missing": "is missing",
            "stale": "is of a runbook that is not there any more",
        }[item.kind]
        click.echo(f"{places.from_here(item.file)}:{item.line}: {meaning}")
        click.echo(item.diff)
    if found:
        click.echo(f"Drifted: {len(found)} of {_counted(len(made.files))}.\nNext: pyrunbook docs build", err=True)
        ctx.exit(ExitCode.DRIFT)
    if made.problems:
        ctx.exit(ExitCode.BAD_INPUT)
    click.echo(f"{_counted(len(made.files))}, each as the runbooks say.")


@docs.command()
@click.argument("runbook", shell_complete=complete_runbooks)
@click.option("--lang", "language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of it.")
@click.option("--journal", is_flag=True, help="Also say when it was last tested and how long it took.")
@click.option("--raw", is_flag=True, help="As Markdown, also on a terminal.")
@page_options
def show(
    runbook: str, language: str, journal: bool, raw: bool, project: Path | None, inventory: str | None, service: str
) -> None:
    """Show the page of RUNBOOK; as Markdown where the output is no terminal."""
    directory = options.project_directory(project)
    made = _collect(directory, (runbook,), (language,), inventory, service, journal)
    _complain(made)
    (text,) = made.files.values()
    if raw or not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from pyrunbook.cli.page_view import rendered

    click.echo_via_pager(rendered(text))


def _collect(
    project: Path,
    runbooks: tuple[str, ...],
    languages: tuple[str, ...],
    inventory: str | None,
    service: str,
    journal: bool,
) -> Collection:
    from pyrunbook.catalog.settings import read_settings
    from pyrunbook.docs.collection import collect

    settings = read_settings(project).docs
    target = _target(project, settings.inventory if inventory is None else inventory, service)
    known = tuple(dict.fromkeys((*settings.languages, *languages)))
    measured = _measured() if journal else None
    return collect(target, languages or known, only=runbooks, all_languages=known, measured=measured)


def _target(project: Path, inventory: str, service: str) -> Target:
    from pyrunbook.catalog.inventory import NotStatic
    from pyrunbook.docs.target import choose, read_target, refuse_vaulted, told_by_ansible

    if inventory in ("", NO_INVENTORY):
        return read_target(project, None)
    path = _inventory(project, inventory)
    try:
        return read_target(project, path, service)
    except NotStatic:
        if project != places.content():
            raise  # nothing of a foreign project is run, its inventory neither
    from pyrunbook.execution.inventory import services

    refuse_vaulted(path)
    return choose(project, path, told_by_ansible(path, services((str(path),))), service)


def _inventory(project: Path, named: str) -> Path:
    candidates = [project / "inventories" / named, project / named, Path(named).expanduser()]
    for candidate in candidates:
        if candidate.exists():
            return candidate.resolve()
    raise BadInput(
        f"inventory {named}: no such file or directory",
        next_step="name one of the project's inventories, a path, or none",
    )


def _measured() -> Measured:
    from pyrunbook.docs.measured import Measured
    from pyrunbook.journal import Journal

    if not Journal.exists():
        raise BadInput("nothing has been recorded on this machine yet", next_step="leave out --journal")
    with Journal.open() as journal:
        return Measured(journal)


def _output(project: Path, given: Path | None) -> Path:
    from pyrunbook.catalog.settings import read_settings

    if given is not None:
        return given.expanduser().resolve()
    if Path(places.__file__).resolve().parent in project.resolve().parents:
        raise BadInput(
            "the shipped runbooks are part of the installation, which is no place for pages",
            next_step="--output DIRECTORY",
        )
    output = project / read_settings(project).docs.output
    if not output.resolve().is_relative_to(project.resolve()):  # the settings may be anybody's
        raise BadInput(f"docs.output leads out of the project: {output}", next_step="--output DIRECTORY")
    return output


def _complain(made: Collection) -> None:
    for problem in made.problems:
        click.echo(str(problem), err=True)


def _counted(pages: int) -> str:
    return f"{pages} page{'' if pages == 1 else 's'}"
