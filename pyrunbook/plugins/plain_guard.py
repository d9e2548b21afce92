"""What the metadata of a plain playbook allow, before its first task: each host's window, and what was attested."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook import Playbook
from ansible.template import Templar

from pyrunbook import catalog, places
from pyrunbook.errors import BadInput
from pyrunbook.plugins import guards, selection
from pyrunbook.run_contract import INPUT_ATTESTED, INPUT_WINDOW, INPUT_WINDOW_OVERRIDE


@dataclass(frozen=True)
class Allowed:
    """Why a run may start on a host, for the journal.

    Attributes:
        window: the decision.
        override: why it may start outside the window; `None` where it keeps to it.
        attestations: what the operator said is so.
    """

    window: dict[str, Any]
    override: str | None
    attestations: list[dict[str, str]]


def allow(runbook_id: str, plays: list[Any], variables: Any, *, check_mode: bool) -> dict[str, Allowed]:
    """The hosts of all plays, those of later ones too: a run that is refused has changed nothing.

    Args:
        runbook_id: its metadata are asked.
        plays: of the playbook, as they are written.
        variables: Ansible's variable manager.
        check_mode: nothing has to be attested for a dry run.

    Returns:
        nothing where the runbook has no metadata, which forbids nothing.

    Raises:
        Refused: a window is closed, or something is not attested.
        BadInput: a window or an input is wrong, or its way back cannot be gone by itself.
    """
    known = catalog.load()
    runbook = known.get(runbook_id)
    if not runbook.described:
        return {}
    if runbook.undone_by and known.get(runbook.undone_by).plain:
        _refuse_questions(known.playbook(runbook.undone_by), plays, variables)
    given = variables.extra_vars
    attested = guards.attestations(runbook, list(given.get(INPUT_ATTESTED) or []), required=not check_mode)
    override = str(given.get(INPUT_WINDOW_OVERRIDE) or "")
    found: dict[str, Allowed] = {}
    for play, host in hosts_of(plays, variables):
        if host.name not in found:
            own = variables.get_vars(play=play, host=host, include_hostvars=False)
            templar = Templar(loader=play.get_loader(), variables=own)
            said = {name: templar.template(own.get(name)) for name in runbook.metadata.window.variables}
            schedule = runbook.schedule(said, spec=given.get(INPUT_WINDOW))
            found[host.name] = Allowed(guards.decide_window(schedule, override), override or None, attested)
    return found


def hosts_of(plays: list[Any], variables: Any) -> Iterator[tuple[Any, Any]]:
    """Each play with each of its hosts."""
    for play in plays:
        pattern = Templar(loader=play.get_loader(), variables=variables.get_vars(play=play)).template(play.hosts)
        for host in variables._inventory.get_hosts(pattern, ignore_restrictions=True):
            yield play, host


def rivals(runbook_id: str) -> Callable[[str, str | None], bool]:
    """Which runs do not go together with one of this runbook, by their runbook and their project.

    Those of the same playbook, whatever it is called where they were begun, and of the one that puts it back or that it
    puts back.
    """
    own, back = _files(catalog.load(), runbook_id)

    def rival(other_id: str, project: str | None) -> bool:
        where = None if project is None else Path(project) if project else places.shipped()
        other, other_back = _files(catalog.load(where), other_id)
        return own in (other, other_back) or (back is not None and back == other)

    return rival


def _files(known: catalog.Catalog, runbook_id: str) -> tuple[Path, Path | None]:
    """The playbook of a runbook, its name where it is gone; and the one that puts it back."""
    file, back = Path(runbook_id), None
    with contextlib.suppress(BadInput):
        file = known.playbook(runbook_id).resolve()
        back = known.playbook(known.way_back(runbook_id)).resolve() if known.way_back(runbook_id) else None
    return file, back


def _refuse_questions(undo: Path, plays: list[Any], variables: Any) -> None:
    """Refuse a rollback playbook that waits for a key: it is played when something has failed, and nobody is there.

    Raises:
        BadInput: it does, or Ansible cannot read it.
    """
    try:
        found = Playbook.load(str(undo), variable_manager=variables, loader=plays[0].get_loader()).get_plays()
        problem = selection.first_question(found)
    except AnsibleError as error:
        problem = str(error)
    if problem:
        raise BadInput(f"What puts back (undone_by) does not go by itself, {undo}: {problem}")
