"""Writes what a page became: its runbooks, and what was left over."""

from __future__ import annotations

import re
from pathlib import Path

from pyrunbook import places
from pyrunbook.scaffold.files import write_new
from pyrunbook.scaffold.importing.runbook_reader import ImportedPage, read_runbooks
from pyrunbook.scaffold.new import valid_name
from pyrunbook.scaffold.rendering import runbook_files


def import_page(
    file: Path, project: Path, category: str | None, name: str | None, *, dry_run: bool
) -> tuple[ImportedPage, dict[str, str]]:
    """Turn a page into runbooks of a project; arguments as of `read_runbooks`. A dry run writes nothing.

    Returns:
        what the page became, and the files: name relative to the project to text.

    Raises:
        BadInput: the page cannot be read or has no procedure, or something is there already; then nothing was written.
    """
    shipped = {path.name for path in (places.shipped() / "roles").iterdir()}
    found = read_runbooks(file, category, valid_name(name, "runbook") if name else None, shipped)
    files: dict[str, str] = {}
    for draft in found.drafts:
        files |= runbook_files(draft)
    if found.leftovers:
        files[_leftover_name(found)] = _leftover_text(found)
    if not dry_run:
        write_new(project, files, elsewhere="choose another directory with --project")
    return found, files


def _leftover_name(found: ImportedPage) -> str:
    if len(found.drafts) == 1:
        draft = found.drafts[0]
        return f"playbooks/{draft.category}/{draft.name}.leftover.md"
    return f"playbooks/{found.page.file.stem}.leftover.md"


def _leftover_text(found: ImportedPage) -> str:
    name = found.page.file.name
    parts = [
        f"# Left over from {name}\n",
        "What `pyrunbook import` found no place for, with its lines. Put it where it belongs, then delete this file.",
        "People and channels belong into the inventory: `runbook_contacts` and `runbook_channels`.",
    ]
    for each in found.leftovers:
        lines = f"Line {each.first}" if each.first == each.last else f"Lines {each.first}-{each.last}"
        longest = max((len(marks) for marks in re.findall(r"`+", each.text)), default=0)
        fence = "`" * max(3, longest + 1)
        parts.append(f"\n## {lines}{f', {each.heading}' if each.heading else ''}\n\n{fence}text\n{each.text}\n{fence}")
    return "\n".join(parts) + "\n"
