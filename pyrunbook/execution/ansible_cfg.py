"""Reads a setting of an ansible.cfg that is needed before Ansible starts."""

from __future__ import annotations

import configparser
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
