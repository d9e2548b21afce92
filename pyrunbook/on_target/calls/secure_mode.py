"""Switch the secure mode of a service on or off, by its file."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .. import durable
from . import CallFailed


def secure_mode(path: str, enabled: bool, reason: str, by: str, check_mode: bool = False) -> dict[str, Any]:
    """See the module `host_secure_mode`."""
    try:
        before = _read(path)
        changed = before["on"] is not enabled or before.get("broken", False)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        wanted = {"on": enabled, "reason": reason, "by": by, "since": since}
        if changed and not check_mode:
            if not os.path.isdir(os.path.dirname(path)):
                os.makedirs(os.path.dirname(path))
                os.chmod(os.path.dirname(path), 0o755)  # noqa: S103  # the service reads it as another user
            durable.write(path, json.dumps(wanted, sort_keys=True).encode() + b"\n", 0o644)
    except OSError as error:
        place = error.filename or os.path.dirname(path)
        raise CallFailed(f"Secure mode cannot be switched: {place}: {error.strerror}") from error
    return {"changed": changed, "before": before, "now": wanted if changed else before}


def _read(path: str) -> dict[str, Any]:
    """What the file says; `on` is always there, and true where the file says nothing that can be understood."""
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read())
    except FileNotFoundError:
        return {"on": False}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("on"), bool):
        return {"on": True, "broken": True}
    return found
