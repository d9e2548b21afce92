"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from pyrunbook import places
from pyrunbook.errors import BadInput

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def inventory_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--inventory` and `--limit`."""
    command = click.option("--limit", default="", help="Only these services (host pattern).")(command)
    return click.option(
        "-i",
        "--inventory",
        multiple=True,
        type=click.Path(),
        help="Inventory: a path, or the name of a shipped one. Default: PYRUNBOOK_INVENTORY, or the sandbox.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")(command)


def verbosity_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`-v`."""
    return click.option("-v", "verbosity", count=True, help="Show what Ansible prints; repeat for more.")(command)


def inventory_sources(given: tuple[str, ...]) -> tuple[str, ...]:
    """The inventory sources to use, as absolute paths.

    Args:
        given: what the operator named: paths, or names of shipped inventories.

    Raises:
        BadInput: there is no such inventory.
    """
    return tuple(str(_inventory(source)) for source in given) or (str(places.default_inventory()),)


def _inventory(source: str) -> Path | str:
    if source.endswith(","):  # Ansible's list of hosts
        return source
    path = Path(source).expanduser()
    if path.exists():
        return path.resolve()
    shipped = places.content() / "inventories" / source
    if source and "/" not in source and shipped.exists():
        return shipped
    raise BadInput(
        f"inventory {source}: no such file or directory",
        next_step=f"name one of {', '.join(sorted(p.name for p in shipped.parent.iterdir()))}, or a path",
    )


def inventory_name(sources: tuple[str, ...]) -> str:
    """What to call the inventory on the screen: its last path component."""
    return ", ".join(Path(source).name for source in sources)


def extra_variables(given: tuple[str, ...]) -> dict[str, Any]:
    """The values of `-e`: `key=value …`, a YAML or JSON mapping, or `@file`, as ansible-playbook takes them.

    Raises:
        BadInput: one of them is neither; says which, and where in a file.
    """
    result: dict[str, Any] = {}
    for text in given:
        if text.startswith(("@", "{")):
            result |= _mapping(text)
            continue
        for word in shlex.split(text):
            key, equals, value = word.partition("=")
            if not equals or not key.isidentifier():
                raise BadInput(f"-e {text!r}: {word!r} is not key=value", next_step="-e key=value, or -e @file.yml")
            result[key] = value
    return result


def _mapping(text: str) -> dict[str, Any]:
    origin = text
    if text.startswith("@"):
        origin = text[1:]
        try:
            text = Path(origin).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise BadInput(f"-e @{origin}: {error.strerror}") from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"-e {origin}: {error}") from error
    if not isinstance(data, dict):
        raise BadInput(f"-e {origin}: not a mapping of variables to values")
    return {str(key): value for key, value in data.items()}
