"""Finds the file that makes a directory a project, from a directory upwards, as git and ansible.cfg are found."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator
from pathlib import Path

from pyrunbook.errors import BadInput

SETTINGS = ".pyrunbook.yml"
"""The file with the settings of a project; it may be empty."""
PYPROJECT = "pyproject.toml"
"""The other place of the settings: its table `tool.pyrunbook`."""


def project_file(directory: Path) -> Path | None:
    """The file that makes a directory a project: `.pyrunbook.yml`, or else a `pyproject.toml` with `tool.pyrunbook`.

    Raises:
        BadInput: `pyproject.toml` names pyrunbook and is no TOML, so nobody can say.
    """
    settings = directory / SETTINGS
    if is_file(settings):
        return settings
    other = directory / PYPROJECT
    try:
        text = other.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if "pyrunbook" not in text:
        return None
    import tomllib

    try:
        found = "pyrunbook" in tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{other} is no TOML: {error}", next_step="correct it") from None
    return other if found else None


def around(directory: Path) -> Iterator[Path]:
    """The project files of a directory and of those above it, the nearest first: the first one is the project's."""
    return (file for each in (directory, *directory.parents) if (file := project_file(each)))


def is_file(path: Path) -> bool:
    """Whether a file is there, as far as this user can see; `Path.is_file` fails below what may not be searched."""
    try:
        return path.is_file()
    except OSError:
        return False


def refuse_untrusted(project: Path) -> None:
    """Refuse a project that is somebody else's, as git does: its owner decides what is run.

    Root's are trusted, and one's own; under sudo those of the person behind it, too.

    Raises:
        BadInput: the directory, or the file that makes it a project, belongs to another user.
    """
    trusted = {0, os.geteuid()}
    if os.geteuid() == 0 and (behind := os.environ.get("SUDO_UID", "")).isdecimal():
        trusted.add(int(behind))
    file = project_file(project)
    for path in (project, *([file] if file else [])):
        if (owner := path.lstat().st_uid) not in trusted:
            raise BadInput(
                f"{path} belongs to {_name(owner)}",
                means="It would decide which playbooks are run, so it is not trusted. Nothing was changed.",
                next_step=f"where it is to be trusted, name it: pyrunbook --project {shlex.quote(str(project))} …",
            )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
