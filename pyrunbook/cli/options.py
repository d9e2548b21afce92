"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.redaction import redact_text

UPDATE = "maintenance/production_update"
"""What `pyrunbook maintenance` runs; what `plan` and `window` are about when no runbook is named."""
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def several(*decorators: Decorator) -> Decorator:
    """Options that go together, in the order in which help lists them, as one decorator."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(decorators):
            command = each(command)
        return command

    return decorate


def inventory_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--inventory` and `--limit`."""
    command = click.option("--limit", default="", help="Only these services (host pattern).")(command)
    return click.option(
        "-i",
        "--inventory",
        multiple=True,
        type=click.Path(),
        help="Inventory: a path, or the name of one of the project's. Default: PYRUNBOOK_INVENTORY, or what the "
        "project's ansible.cfg names, or the sandbox.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")(command)


def verbosity_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`-v`."""
    return click.option("-v", "verbosity", count=True, help="Show what Ansible prints; repeat for more.")(command)


def inventory_sources(given: tuple[str, ...], *, plain: bool = False) -> tuple[str, ...]:
    """The inventory sources to use, as absolute paths.

    Args:
        given: what the operator named: paths, or names of inventories of the project, or of shipped ones.
        plain: of a plain playbook, for which the sandbox is not meant.

    Raises:
        BadInput: there is no such inventory, or none is named.
    """
    named = (
        given
        or tuple(filter(None, [os.environ.get(places.ENV_INVENTORY)]))
        or _default_inventories(places.ansible_config() if plain else places.content() / "ansible.cfg")
    )
    if not named and plain:
        raise BadInput(
            "no inventory is named: no -i, no PYRUNBOOK_INVENTORY, none in ansible.cfg",
            next_step="name one: -i INVENTORY, or -i HOST,",
        )
    return tuple(str(_inventory(source)) for source in named or ("sandbox",))


def _default_inventories(config: Path) -> tuple[str, ...]:
    """What an ansible.cfg names, as for a direct ansible-playbook."""
    from pyrunbook.project.ansible_cfg import paths

    return tuple(paths(config, "inventory", ","))


def _inventory(source: str) -> Path | str:
    if source.endswith(","):  # Ansible's list of hosts
        return source
    directories = [directory / "inventories" for directory in (places.shipped(), places.content())]
    known = {path.name: path for directory in directories for path in sorted(directory.glob("*"))}
    if source in known and not Path(source).exists():
        return known[source]
    path = Path(source).expanduser()
    if not source or not path.exists():
        raise BadInput(
            f"inventory {source or 'without a name'}: no such file or directory",
            next_step=f"name one of {', '.join(sorted(known))}, or a path",
        )
    if not os.access(path, os.R_OK):
        raise BadInput(f"inventory {path} cannot be read by this user")
    return path.resolve()


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
        try:
            words = shlex.split(text)
        except ValueError as error:
            shown = redact_text(text)
            raise BadInput(f"-e {shown!r}: {error}", next_step="close the quotes, or use -e @file.yml") from error
        hint = "-e key=value, or -e @file.yml"
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not key.isidentifier():
                raise BadInput(f"-e {redact_text(text)!r}: {word!r} is not key=value", next_step=hint)
            result[key] = value
            hint = f"a value with blanks has quotes of its own: -e \"{key}='…'\""
    return result


def _mapping(text: str) -> dict[str, Any]:
    origin = "{…}"
    if text.startswith("@"):
        origin = text
        try:
            text = Path(text[1:]).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise BadInput(
                f"-e {origin}: {error.strerror}", next_step="name a file that can be read: -e @FILE"
            ) from error
        except UnicodeDecodeError as error:
            raise BadInput(f"-e {origin}: not a text in UTF-8") from error
    try:
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:  # without the line itself: it may hold a secret
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise BadInput(
            f"-e {origin}{where}: {error.problem or error.context}",
            next_step="correct the YAML or JSON there, or use -e key=value",
        ) from error
    except yaml.YAMLError as error:
        raise BadInput(f"-e {origin}: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise BadInput(f"-e {origin}: not a mapping of variables to values")
    # What YAML knows and JSON does not, like a date, is handed on as it is written.
    plain: dict[str, Any] = json.loads(json.dumps({str(key): value for key, value in data.items()}, default=str))
    return plain
