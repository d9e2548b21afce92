"""Finds the file that makes a directory a project, from a directory upwards, as git and ansible.cfg are found."""

from __future__ import annotations

import os
import pwd
import stat
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
    if settings.is_file():
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


def refuse_untrusted(file: Path) -> None:
    """Refuse a project file that somebody else may have put in the way: it decides what is run.

    Raises:
        BadInput: it belongs to another user than this one and root, and everybody may write to its directory.
    """
    owner = file.lstat().st_uid
    if owner in (0, os.geteuid()) or not file.parent.stat().st_mode & stat.S_IWOTH:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"uid {owner}"
    raise BadInput(
        f"{file} belongs to {name}, and everybody may write to {file.parent}",
        means="It would decide which playbooks are run, so it is not trusted. Nothing was changed.",
        next_step="name the project that is meant: pyrunbook --project DIRECTORY …",
    )
