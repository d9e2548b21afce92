"""What a project that an earlier version has started holds, and this one needs no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyrunbook import places
from pyrunbook.catalog.catalog import Catalog

_SUFFIXES = (".yml", ".meta.yml", ".meta.fr.yml")
_COPIED = ("deployment/rollback", "maintenance/unlock")
"""Runbooks that were copied into a project, because commands needed them there."""
_PACKAGE = "$PYRUNBOOK_PACKAGE"
"""Stood in ansible.cfg for where pyrunbook is installed; .envrc set it, for a direct ansible-playbook."""


@dataclass(frozen=True)
class Leftover:
    """Something that may go: what was seen, and what to type."""

    seen: str
    next_step: str


def leftovers(project: Path) -> Iterator[Leftover]:
    """What of a project may be removed; nothing of what is shipped."""
    if project == places.shipped():
        return
    envrc = project / ".envrc"
    named = _PACKAGE in _text(project / "ansible.cfg")
    if named:
        yield Leftover(
            f"ansible.cfg names {_PACKAGE}; roles and plugins are found by their names in {places.COLLECTION}",
            f"name shipped roles {places.COLLECTION}.<role> in playbooks; in {project / 'ansible.cfg'} say "
            f"callbacks_enabled = {places.COLLECTION}.pyrunbook_journal, roles_path = roles, "
            f"and take out enable_plugins and the lines with {_PACKAGE}",
        )
    if places.ENV_CONTENT in _text(envrc):
        first = "after that: " if named else ""
        yield Leftover(".envrc is not needed: a project is found by its .pyrunbook.yml", f"{first}rm {envrc}")
    catalog = Catalog(project)
    for runbook in (each for each in _COPIED if each in catalog.replacing):
        mine = [(project / "playbooks" / runbook).with_suffix(suffix) for suffix in _SUFFIXES]
        shipped = [(places.shipped() / "playbooks" / runbook).with_suffix(suffix) for suffix in _SUFFIXES]
        there = [file for file in mine if file.is_file()]
        same = all(mine[at].read_bytes() == shipped[at].read_bytes() for at in range(3) if mine[at] in there)
        seen = "is a copy of the shipped one" if same else "goes before the shipped one, which is another by now"
        unless = "" if same else "; unless you have changed it on purpose"
        yield Leftover(f"{runbook} {seen}", f"rm {' '.join(map(str, there))}{unless}")


def _text(file: Path) -> str:
    """What is in a file; nothing where it cannot be read, which whoever needs it says."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
