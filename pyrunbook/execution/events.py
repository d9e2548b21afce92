"""The events of a play, read from the file that the journal callback appends them to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

INTERVAL = 0.05
"""Seconds between two reads of the file."""


class Tail:
    """Follows a file of JSON lines on a thread of its own; a context manager.

    When it exits, every event that was written by then has been passed on.
    """

    def __init__(self, path: Path, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._path = path
        self._on_event = on_event
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)

    def __enter__(self) -> Tail:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        rest = b""
        with self._path.open("rb") as stream:
            while True:
                last = self._done.is_set()
                rest += stream.read()  # bytes: a character may have been written half
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._pass_on(line)
                if last:
                    return
                self._done.wait(INTERVAL)

    def _pass_on(self, line: bytes) -> None:
        # A line that cannot be read or shown must not keep the later ones from being shown.
        with contextlib.suppress(Exception):
            self._on_event(json.loads(line))
