"""`pyrunbook init`: a project of one's own."""

from __future__ import annotations

import shlex
from datetime import date
from pathlib import Path

import click


def _print_package(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from pyrunbook import places

    click.echo(places.collection() / "before")
    ctx.exit()


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--print-package",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_package,
    help="Print where the .envrc of an older project finds roles and plugins, and do nothing else.",
)
def init(directory: Path) -> None:
    """Start a project in DIRECTORY. It has the runbooks and roles that come with pyrunbook, and those of its own.

    The project has its own ansible.cfg, an inventory with example values and contacts, a sandbox inventory to practise
    with, and a first runbook. DIRECTORY is made; where it exists, it may hold nothing but .git. In it and below it
    every command is about this project: its .pyrunbook.yml says so.
    """
    from pyrunbook.cli.new import shortened
    from pyrunbook.scaffold.project import new_project

    root = directory.expanduser().resolve()
    written = new_project(root, date.today())  # noqa: DTZ011 - the author's own day
    here = root == Path.cwd().resolve()
    click.echo(f"Written: {len(written)} files {'here' if here else f'below {shortened(root)}'}.")
    change = "" if here else f"cd {shlex.quote(shortened(root))} && "
    click.echo(f"Next: {change}pyrunbook sandbox up && pyrunbook maintenance --window; README.md goes on.")
