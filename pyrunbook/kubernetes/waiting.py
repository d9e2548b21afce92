"""Wait for a state of the cluster, not for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import TimedOut

T = TypeVar("T")


def wait_until(
    cluster: Cluster, look: Callable[[], tuple[T | None, str]], *, what: str, timeout: float, next_step: str = ""
) -> T:
    """Look until the state is there.

    Args:
        cluster: whose heartbeat is called before every look.
        look: returns (result, what was seen); a result of `None` means not yet. What it raises ends the wait.
        what: what is waited for, for the error.
        timeout: seconds. It looks once more when they have passed.

    Raises:
        TimedOut: names what it waited for and what it saw last.
    """
    start = time.monotonic()
    pause = 0.05
    while True:
        cluster.heartbeat()
        late = time.monotonic() - start >= timeout
        result, seen = look()
        if result is not None:
            return result
        if late:
            raise TimedOut(
                f"waited {timeout:g} s for {what}; seen last: {seen}",
                next_step=next_step,
                evidence={"waited_for": what, "seen_last": seen, "timeout_seconds": timeout},
            )
        time.sleep(max(0.01, min(pause, start + timeout - time.monotonic())))
        pause = min(pause * 1.1, 1.0)
