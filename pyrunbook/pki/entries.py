"""Reads entries of an inventory strictly: every mistake is named with its variable, position and field."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import msgspec

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import parse_duration

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Duration(timedelta):
    """`90d`, as `pyrunbook.windows.duration` reads it."""


def at(where: str, make: Any, *arguments: Any) -> Any:
    """What `make` returns; its error is raised with the place in the inventory."""
    try:
        return make(*arguments)
    except BadInput as error:
        raise BadInput(f"{where}: {error.seen}", means=error.means, next_step=error.next_step) from None


def read(entry: Any, kind: Any, where: str) -> Any:
    """An entry as the struct `kind`.

    Args:
        entry: plain data.
        kind: a msgspec struct, or a union of them.
        where: its place, for messages.

    Raises:
        BadInput: it does not fit.
    """
    try:
        return msgspec.convert(entry, kind, dec_hook=_decoded)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
    raise BadInput(f"{where}{path.rstrip('`')}: {message}")


def _decoded(kind: type[Any], raw: Any) -> Any:
    if kind is not Duration or not isinstance(raw, str):
        raise ValueError(f"expected a duration such as 90d or 24h, got {raw!r}")
    try:
        return Duration(seconds=parse_duration(raw).total_seconds())
    except BadInput as error:
        raise ValueError(error.seen) from None


def named(name: str, where: str) -> None:
    """Refuse a name that cannot be part of a path or of an object's name."""
    if not NAME.fullmatch(name):
        raise BadInput(f"{where}.name: {name!r} is not a name: lower-case letters, digits, - and _")
