"""Which project a command is about, and whose values of its inventory: one way for pages, lint and new files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrunbook import places, project_file
from pyrunbook.errors import BadInput

if TYPE_CHECKING:
    from pyrunbook.journal import Run
    from pyrunbook.project.inventory import Service

NO_INVENTORY = "none"


def project_option(command: Any) -> Any:
    """`--project`."""
    return click.option(
        "--project",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Directory of an Ansible project. Default: the project around this directory, or else this directory "
        "where it looks like an Ansible project, or else the shipped runbooks.",
    )(command)


def inventory_option(command: Any) -> Any:
    """`--inventory`, which is read and never run, and `none`."""
    return click.option(
        "-i",
        "--inventory",
        metavar="PATH",
        help="Whose values, contacts and windows hold: a path, the name of one of the project's inventories, or none. "
        "Default: what the project's settings name.",
    )(command)


def project_directory(given: Path | None) -> Path:
    """The project that `--project` names, or its default."""
    from pyrunbook.project.playbooks import is_project

    if found := given or places.project():
        return found.expanduser().resolve()
    here = Path.cwd().resolve()
    return here if is_project(here) else places.shipped()


def use_project_of(run: Run, command: str) -> None:
    """Bring a run to an end with the runbooks and roles that it began with, wherever that is typed.

    A project that the operator has named is meant, whatever the journal says.

    Args:
        run: as the journal has it.
        command: what the operator types, for the error.

    Raises:
        BadInput: its project is not on this machine, or has become somebody else's.
    """
    if run.project is None or os.environ.get(places.ENV_CONTENT):
        return
    if run.project and not os.path.isdir(run.project):  # noqa: PTH112 - no error where it may not be looked at
        raise BadInput(
            f"run {run.id} is one of the project {run.project}, which is not here",
            means="Its runbook and its way back are of that project. Nothing was changed.",
            next_step=f"name the project, wherever it is now: pyrunbook --project DIRECTORY {command} {run.id}",
        )
    if run.project:
        project_file.refuse_untrusted(Path(run.project))
    os.environ[places.ENV_CONTENT] = run.project or str(places.shipped())


def refuse_shipped(project: Path) -> None:
    """Refuse the shipped runbooks where somebody means what is around here, which is no project.

    Raises:
        BadInput: it is not what this directory belongs to.
    """
    here = Path.cwd().resolve()
    if project == places.shipped() and not here.is_relative_to(project):
        raise BadInput(
            f"{here} does not look like an Ansible project, so nothing was looked at",
            means="At its top it has no playbook, and none of playbooks/, plays/, roles/, ansible.cfg and galaxy.yml.",
            next_step="--project DIRECTORY, or --project . to look further down",
        )


def services_of(project: Path, inventory: str) -> tuple[Path | None, list[Service]]:
    """The services of an inventory.

    Args:
        project: see `project_directory`.
        inventory: as `--inventory` or the settings name it; nothing and `none` stand for no inventory.

    Returns:
        the inventory, and its services in the order of its files.

    Raises:
        NotStatic: it has to be run to be read, and is somebody else's.
        InvalidFile: it is malformed.
        BadInput: there is no such inventory.
    """
    if inventory in ("", NO_INVENTORY):
        return None, []
    from pyrunbook.project.inventory import NotStatic, read_services

    path = inventory_path(project, inventory)
    try:
        return path, read_services(path)
    except NotStatic:
        if project != places.content():
            raise  # nothing of a foreign project is run, its inventory neither
    from pyrunbook.docs.target import refuse_vaulted, told_by_ansible
    from pyrunbook.execution.inventory import services

    refuse_vaulted(path)
    return path, told_by_ansible(path, services((str(path),)))


def inventory_path(project: Path, named: str) -> Path:
    """Where an inventory is: one of the project's by its name, or a path.

    Raises:
        BadInput: there is none.
    """
    for candidate in (project / "inventories" / named, project / named, Path(named).expanduser()):
        if candidate.exists():
            return candidate.resolve()
    raise BadInput(
        f"inventory {named}: no such file or directory",
        next_step="name one of the project's inventories, a path, or none",
    )
