"""`pyrunbook import`: a Markdown runbook as metadata, playbook and steps to automate."""

from __future__ import annotations

from pathlib import Path

import click

from pyrunbook.cli.new import CATEGORIES, PROJECT, echo_written, own_project, shortened


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--category", type=click.Choice(CATEGORIES), help="Of the runbooks. Default: guessed from their titles.")
@click.option("--name", help="Of the runbook, where FILE holds only one. Default: from its title.")
@click.option("--project", type=click.Path(path_type=Path), help=PROJECT)
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
def import_(file: Path, category: str | None, name: str | None, project: Path | None, dry_run: bool) -> None:
    """Turn the Markdown runbook FILE into runbooks: metadata, a playbook, and a step role for each step.

    Each procedure of the page becomes a runbook, each of its steps a role that has the commands by hand and fails
    until somebody automates it. A step that the page takes only at times ("if needed") is left out until the playbook
    says when. What fits nowhere is listed with its lines and kept in a file <name>.leftover.md; nothing is dropped.
    English and French pages, of pyrunbook's own structure or with meaning, impact, diagnosis and mitigation, are
    understood.
    """
    from pyrunbook.scaffold.importing.writing import import_page

    root = own_project(project)
    found, files = import_page(file.expanduser(), root, category, name, dry_run=dry_run)
    for draft in found.drafts:
        steps = len(draft.steps) + len(draft.way_back)
        click.echo(f"{draft.id}: {draft.title}, {steps} {'step' if steps == 1 else 'steps'} to automate")
    for remark in found.remarks:
        click.echo(f"{file}:{remark.line}: {remark.text}")
    if found.leftovers:
        click.echo(f"Left over from {file}:")
    for each in found.leftovers:
        first = " ".join(each.text.split("\n", 1)[0].split())
        lines = f"{each.first}" if each.first == each.last else f"{each.first}-{each.last}"
        click.echo(f"  {file}:{lines}: {first[:70]}{'…' if len(first) > 70 or each.first != each.last else ''}")
    if dry_run:
        below = "" if root == Path.cwd().resolve() else f" below {shortened(root)}"
        click.echo(f"A dry run: {len(files)} files would be written{below}.")
        return
    echo_written(root, files, each_blank=False)
    click.echo("Next: fill in the blanks, then: pyrunbook lint")
