"""SIGINT, SIGTERM and SIGHUP while an operation runs: the first asks for a gentle end, none stops a rollback."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

Listener = Callable[[dict[str, Any]], None]


class Signals:
    """The signals that were received, and what they ask for.

    The first one asks for a gentle end. Once the rollback has begun they change nothing: it is the shortest way to
    a known state. A handler only takes a note, because it may interrupt the code that it would call; the events follow
    when the runner next asks.
    """

    def __init__(self, on_event: Listener) -> None:
        self._on_event = on_event
        self._pending: list[str] = []
        self.received: str | None = None
        self.rolling_back = False

    def asked_to_end(self) -> bool:
        """Whether the play is to be ended. Emits the events of the signals that came since the last call."""
        while self._pending:
            name = self._pending.pop(0)
            if self.rolling_back:
                text = f"{name}: what was there is being put back; this is not stopped"
                self._on_event({"event": "note", "text": text})
            elif name == self.received:
                self._on_event({"event": "interrupted", "signal": name})
            else:
                self._on_event({"event": "note", "text": f"{name}: the run is already being ended"})
        return self.received is not None and not self.rolling_back

    def _receive(self, number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        self.received = self.received or name
        self._pending.append(name)

    @contextlib.contextmanager
    def handled(self) -> Iterator[Signals]:
        """Take the signals, and give the handlers back afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: the run outlives its terminal
            wanted.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._receive) for number in wanted}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
