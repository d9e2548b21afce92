"""How many requests a color is answering right now, as its own metrics say (Prometheus text format)."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from pyrunbook.errors import BadInput


@dataclass(frozen=True)
class Drained:
    """What was seen while waiting: `last` is `None` when the gauge could not be read."""

    last: float | None
    seconds: float
    gone: bool


def gauge(text: str, metric: str) -> float | None:
    """The sum of a metric's samples over all labels; `None` when the text has none.

    Raises:
        BadInput: a sample is not a number.
    """
    # A label's value may hold anything between its quotes, a closing brace as well.
    pattern = re.compile(rf'^{re.escape(metric)}(?:\{{(?:[^"}}]|"(?:[^"\\]|\\.)*")*\}})?\s+(\S+)', re.MULTILINE)
    try:
        values = [float(value) for value in pattern.findall(text)]
    except ValueError as error:
        raise BadInput(f"metric {metric}: {error}") from error
    return sum(values) if values else None


def wait(url: str, metric: str, seconds: float, interval: float = 0.2) -> Drained:
    """Wait until the gauge is 0.

    Args:
        url: the color's metrics page; asking for it must not count as a request in flight.
        interval: seconds between two looks.

    Returns:
        What was seen last. A color that answers no more has nothing in flight (`gone`). A page that is there and
        does not show the gauge will not show it later: that is said at once, with `last` as `None`.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.monotonic()
    last: float | None = None
    while True:
        try:
            with opener.open(url, timeout=5) as answer:
                last = gauge(answer.read().decode("utf-8", "replace"), metric)
            if last is None:
                return Drained(None, time.monotonic() - began, gone=False)
        except urllib.error.HTTPError:
            return Drained(None, time.monotonic() - began, gone=False)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), ConnectionRefusedError):
                return Drained(0, time.monotonic() - began, gone=True)
            last = None
        spent = time.monotonic() - began
        if last == 0 or spent >= seconds:
            return Drained(last, spent, gone=False)
        time.sleep(interval)
