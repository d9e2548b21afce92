"""Switch the traffic: replace the file that the proxy's upstream reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import upstream as file
from . import CallFailed


def upstream(
    path: str, address: str, expected: Sequence[str] = (), keep: Sequence[str] = (), check_mode: bool = False
) -> dict[str, Any]:
    """See the module `host_upstream`."""
    try:
        before = file.read(path)
        changed = file.switch(path, address, expected, check_mode, keep)
    except file.UpstreamConflict as error:
        raise CallFailed(f"The traffic was not switched: {error}. Somebody else switches it too.") from error
    except OSError as error:
        raise CallFailed(f"The traffic was not switched: {error}") from error
    after = address if changed else before
    return {
        "changed": changed,
        "detail": f"{'then ' if check_mode and changed else ''}traffic goes to {after}",
        "evidence": {"before": before, "after": after},
        "diff": {"before": f"{before}\n", "after": f"{address}\n", "before_header": path},
    }
