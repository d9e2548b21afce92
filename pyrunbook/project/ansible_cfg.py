"""Reads what of an ansible.cfg is needed before Ansible starts."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from pyrunbook.errors import BadInput


def configured(config: Path, section: str, key: str, default: str) -> str:
    """A value of an ansible.cfg.

    Raises:
        BadInput: the file cannot be read.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(config, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        said = str(error).replace("\n", " ")
        raise BadInput(f"{config} cannot be read: {said}", next_step="correct it, or unset ANSIBLE_CONFIG") from error
    return parser.get(section, key, fallback=default)


def paths(config: Path, key: str, separator: str = ":") -> list[str]:
    """The paths of a setting in `[defaults]`, as Ansible means them: relative ones count from the file's directory.

    Raises:
        BadInput: the file cannot be read.
    """
    written = (part.strip() for part in configured(config, "defaults", key, "").split(separator))
    return [absolute(part, config.parent) for part in written if part]


def absolute(path: str, directory: Path) -> str:
    """A path with `~` and variables in it, from a directory where it is relative."""
    expanded = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 - no error where no home is known
    return os.path.normpath(directory / expanded)
