"""`pyrunbook new`: a runbook to fill in."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from pyrunbook import places
from pyrunbook.cli import project as projects
from pyrunbook.errors import BadInput

CATEGORIES = ("deployment", "incidents", "maintenance")
PROJECT = "Directory of the project. Default: the one around this directory."


@click.command()
@click.argument("category", type=click.Choice(CATEGORIES))
@click.argument("name")
@click.option("--role", help="Also write a step role of this name, with its molecule scenario.")
@click.option("--project", type=click.Path(path_type=Path), help=PROJECT)
def new(category: str, name: str, role: str | None, project: Path | None) -> None:
    """Write a runbook NAME of CATEGORY: playbook, metadata and, with --role, a step role.

    What an author has to fill in is marked with TODO; each such blank is listed with file and line. Nothing that is
    there already is ever written over.
    """
    from pyrunbook.scaffold.new import new_runbook

    root = own_project(project)
    files = new_runbook(root, category, name, role, date.today())  # noqa: DTZ011 - the author's own day
    echo_written(root, files)
    click.echo(f"Next: fill in the blanks, then: pyrunbook lint {Path(shortened(root)) / next(iter(files))}")


def own_project(given: Path | None) -> Path:
    """The project to write into: as for pages and lint, and never what comes with pyrunbook.

    Raises:
        BadInput: there are no `playbooks/`.
    """
    root, here = projects.project_directory(given), Path.cwd().resolve()
    shipped = given is None and root == places.shipped() != here
    if shipped or not (root / "playbooks").is_dir():
        raise BadInput(
            f"{here if shipped else root} has no playbooks/, so it is no project to write a runbook into",
            next_step="pyrunbook init DIR to start one, or name one with --project DIR",
        )
    return root


def echo_written(root: Path, files: dict[str, str], *, each_blank: bool = True) -> None:
    """Say what was written, and where its blanks are."""
    from pyrunbook.scaffold.files import blanks

    shown = Path(shortened(root))
    click.echo(f"Written: {len(files)} files.")
    for file in files:
        click.echo(f"  {shown / file}")
    found = list(blanks(files, shown))
    if not found:
        return
    click.echo(f"Blanks to fill in: {len(found)}.")
    if each_blank:
        for blank in found:
            click.echo(f"  {blank.file}:{blank.line}: {blank.text}")
        return
    for path in dict.fromkeys(blank.file for blank in found):
        lines = [str(blank.line) for blank in found if blank.file == path]
        click.echo(f"  {path}: {'line' if len(lines) == 1 else 'lines'} {', '.join(lines)}")


def shortened(path: Path) -> str:
    """A path from here, where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
