"""Keep a small JSON document, such as the switch of secure mode, in a file that the service reads."""

from __future__ import annotations

import json
import os
from typing import Any

from .. import durable
from . import CallFailed


def document(
    path: str, content: dict[str, Any], unless: dict[str, Any], missing: dict[str, Any], check_mode: bool = False
) -> dict[str, Any]:
    """See the module `host_document`."""
    try:
        before: Any = missing
        if os.path.exists(path):
            with open(path, "rb") as stream:
                before = as_object(stream.read())
        changed = not says(before, unless)
        if changed and not check_mode:
            if not os.path.isdir(os.path.dirname(path)):
                os.makedirs(os.path.dirname(path))
                os.chmod(os.path.dirname(path), 0o755)  # noqa: S103  # the service reads it as another user
            durable.write(path, json.dumps(content, sort_keys=True).encode() + b"\n", 0o644)
    except OSError as error:
        raise CallFailed(f"{error.filename or os.path.dirname(path)}: {error.strerror}") from error
    return {"changed": changed, "before": before, "now": content if changed else before}


def as_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object; `None` where the text is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def says(document: dict[str, Any] | None, wanted: dict[str, Any]) -> bool:
    """Whether it has these values, of these types, already."""
    return document is not None and all(
        document.get(key) == value and type(document.get(key)) is type(value) for key, value in wanted.items()
    )
