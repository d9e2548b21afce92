"""Keep a rollback plan on the machine of the service, or read it."""

from __future__ import annotations

import os
from typing import Any

from .. import durable
from . import CallFailed


def plan(path: str, content: str | None = None, check_mode: bool = False) -> dict[str, Any]:
    """See the module `host_plan`."""
    try:
        there = os.path.exists(path)
        if content is None:
            kept = ""
            if there:
                with open(path, encoding="utf-8") as stream:
                    kept = stream.read()
            return {"changed": False, "content": kept}
        if not there and not check_mode:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            durable.write(path, content.encode())
    except OSError as error:
        raise CallFailed(f"The rollback plan {path} cannot be used: {error}") from error
    return {"changed": not there}
