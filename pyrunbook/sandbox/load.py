"""Steady traffic on the service, from one thread, open loop: a request is sent when it is due.

Half of the requests travel on long-lived connections, half on new ones; on both, GET and POST alternate. What a
client would notice is counted: an answer other than 200, a wrong echo, a connection refused, reset or closed before
the answer, no answer in time. Over TLS, a client trusts the roots of one file alone. Times are measured from when a
request was due, so that waiting for a free connection or for us counts too; `late_ms` tells how far behind ourselves we
were at worst.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, cast
from urllib.parse import urlsplit

from pyrunbook.errors import BadInput
from pyrunbook.sandbox.load_report import LoadReport

_TIMEOUT = 10.0
"""Seconds after which an unanswered request has failed."""
_TICK = 0.002
_GROWTH = 1.02
"""Latencies are kept in buckets, each this much wider than the one before: percentiles are 2 % exact."""


class _Exchange:
    """One request under way."""

    __slots__ = ("body", "due", "method", "new", "timer")

    def __init__(self, number: int, due: float, *, new: bool) -> None:
        # 0: GET kept, 1: GET new, 2: POST kept, 3: POST new
        self.method = "POST" if number & 2 else "GET"
        self.new = new or bool(number & 1)
        self.body = b"request %d " % number * 4 if number & 2 else b""
        self.due = due
        self.timer: asyncio.TimerHandle | None = None


class _Client(asyncio.Protocol):
    """A connection that carries one exchange at a time."""

    def __init__(self, load: Load, exchange: _Exchange) -> None:
        self.load = load
        self.exchange: _Exchange | None = exchange
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.load.connected(transport.get_extra_info("peercert"))
        if self.exchange:
            self.send(self.exchange)
        else:  # given up while connecting
            self.transport.abort()

    def send(self, exchange: _Exchange) -> None:
        """Write the request; the answer, or its absence, ends up in the load's counts."""
        self.exchange = exchange
        path = "/echo" if exchange.method == "POST" else "/version"
        length = f"Content-Length: {len(exchange.body)}\r\n" if exchange.body else ""
        close = "Connection: close\r\n" if exchange.new else ""
        head = f"{exchange.method} {path} HTTP/1.1\r\nHost: {self.load.netloc}\r\n{length}{close}\r\n"
        if self.transport:
            self.transport.write(head.encode("ascii") + exchange.body)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or self.exchange is None:
            return
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = headers.get("content-length", "")
        status = lines[0].split(" ")[1] if lines[0].count(" ") else "?"
        if not length.isdigit():
            self._done(f"answer {status} without a length", headers, keep=False)
            return
        if len(self.buffer) < end + 4 + int(length):
            return
        body = bytes(self.buffer[end + 4 : end + 4 + int(length)])
        del self.buffer[: end + 4 + int(length)]
        failure = ""
        if status != "200":
            failure = f"answer {status}"
        elif self.exchange.method == "POST" and body != self.exchange.body:
            failure = "wrong echo"
        self._done(failure, headers, keep="close" not in headers.get("connection", "").lower())

    def _done(self, failure: str, headers: dict[str, str], *, keep: bool) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        version = headers.get("x-agent-factory-version")
        seen = f"{version}/{headers.get('x-agent-factory-color')}" if version else ""
        keep = keep and not exchange.new
        if not keep and self.transport:
            self.transport.close()
        self.load.ended(exchange, failure, seen, self if keep else None)

    def give_up(self, failure: str) -> None:
        """End the exchange as failed."""
        exchange, self.exchange = self.exchange, None
        if self.transport:
            self.transport.abort()
        if exchange:
            self.load.ended(exchange, failure, "", None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.load.lost(self)
        self.give_up("connection reset" if exc else "closed before the answer")


class Load:
    """Traffic on a URL; either `run` in the foreground, or `start` and `stop` around something else.

    Args:
        url: http://host:port or https://host:port; the service's.
        rate: requests a second.
        workers: how many long-lived connections stay open between requests; 0: each request has a new one.

    Raises:
        BadInput: the URL is neither, or https without a file of roots that can be read.
    """

    def __init__(self, url: str, rate: float = 50.0, *, workers: int = 8, trust_file: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url!r} is not a URL of the form http://host:port", next_step="correct --url")
        self._tls = _client_context(url, trust_file) if parts.scheme == "https" else None
        self.workers = workers
        self.netloc = parts.netloc
        self._address = (parts.hostname, parts.port or (443 if self._tls else 80))
        self._idle: deque[_Client] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._report = LoadReport(url, rate)
        self._ended = False
        self._error: BaseException | None = None
        self._open = 0
        self._latencies: Counter[int] = Counter()
        self._last_good = self._began = 0.0
        self._connecting: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._in_thread, name="sandbox-load", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> LoadReport:
        """End the load started by `start`; requests under way are awaited."""
        self.request_stop()
        if self._thread:
            self._thread.join()
        if not self._ended:
            raise RuntimeError("the load did not run to its end") from self._error
        return self._report

    def request_stop(self) -> None:
        """Ask the load to end; safe in a signal handler."""
        self._stop.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def report(self) -> LoadReport:
        """The report, once the load has ended."""
        if not self._ended:
            raise RuntimeError("the load has not ended")
        return self._report

    def _in_thread(self) -> None:
        try:
            self.run(None)
        except BaseException as error:  # handed to the caller of stop()
            self._error = error

    def run(self, duration: float | None) -> LoadReport:
        """Run until `duration` seconds are over (`None`: until `request_stop`), and report."""
        asyncio.run(self._drive(duration))
        self._ended = True
        return self._report

    async def _drive(self, duration: float | None) -> None:
        loop, report = asyncio.get_running_loop(), self._report
        report.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = self._last_good = loop.time()
        end = self._began + duration if duration is not None else math.inf
        number = 0
        while not self._stop.is_set():
            now = loop.time()
            while (due := self._began + number / report.rate) <= now and due < end:
                report.late_ms = max(report.late_ms, round((now - due) * 1000, 1))
                self._send(_Exchange(number, due, new=self.workers == 0), loop)
                number += 1
            if now >= end:
                break
            await asyncio.sleep(max(_TICK, min(due - loop.time(), 0.1)))
        stopped = loop.time()
        while self._open and loop.time() < stopped + _TIMEOUT + 1:
            await asyncio.sleep(0.01)
        self._note_gap(max(stopped, self._last_good))
        for client in list(self._idle):
            if client.transport:
                client.transport.close()
        await asyncio.sleep(0)
        report.duration_s = round(stopped - self._began, 3)
        report.failed = sum(report.failures.values())
        report.p50_ms, report.p95_ms = self._percentile(0.50), self._percentile(0.95)

    def _send(self, exchange: _Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._report.sent += 1
        self._open += 1
        while not exchange.new and self._idle:
            client = self._idle.popleft()
            if client.transport and not client.transport.is_closing():
                exchange.timer = loop.call_later(_TIMEOUT, client.give_up, "no answer in time")
                client.send(exchange)
                return
        task = loop.create_task(self._connect(exchange, loop))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: _Exchange, loop: asyncio.AbstractEventLoop) -> None:
        client = _Client(self, exchange)
        exchange.timer = loop.call_later(_TIMEOUT, client.give_up, "no answer in time")
        self._report.connections += 1
        try:
            await loop.create_connection(lambda: client, *self._address, ssl=self._tls)
        except OSError as error:
            self._report.handshakes_failed += self._tls is not None
            client.give_up(_failure_to_connect(error))

    def connected(self, served: dict[str, object] | None) -> None:
        """Count a connection that came about; called by it with the certificate that was served over TLS."""
        if self._tls:
            self._report.handshakes += 1
            _count(self._report.certificates, str((served or {}).get("serialNumber", "?")).lower())

    def ended(self, exchange: _Exchange, failure: str, seen: str, reusable: _Client | None) -> None:
        """Count a finished exchange; called by its connection."""
        now, report = asyncio.get_running_loop().time(), self._report
        if exchange.timer:
            exchange.timer.cancel()
        self._open -= 1
        seconds = now - exchange.due
        report.slowest_ms = max(report.slowest_ms, round(seconds * 1000, 2))
        self._latencies[int(math.log(max(seconds, 1e-5) / 1e-5, _GROWTH))] += 1
        if seen:
            _count(report.seen, seen)
        if failure:
            _count(report.failures, failure)
            if len(report.first_failures) < 5:
                when = datetime.fromtimestamp(time.time(), UTC).strftime("%H:%M:%S.%f")[:-3]
                kind = "new" if exchange.new else "kept-alive"
                report.first_failures.append(
                    f"{when} {exchange.method} on a {kind} connection: {failure} after {seconds * 1000:.0f} ms"
                )
        else:
            report.succeeded += 1
            self._note_gap(now)
            self._last_good = now
        if reusable:
            if len(self._idle) < self.workers:
                self._idle.append(reusable)
            elif reusable.transport:
                reusable.transport.close()

    def lost(self, client: _Client) -> None:
        """Forget a connection that has been closed; called by it."""
        with contextlib.suppress(ValueError):
            self._idle.remove(client)

    def _note_gap(self, now: float) -> None:
        self._report.longest_gap_ms = max(self._report.longest_gap_ms, round((now - self._last_good) * 1000, 1))

    def _percentile(self, fraction: float) -> float:
        """The latency that `fraction` of the requests did not exceed, in milliseconds."""
        wanted = fraction * sum(self._latencies.values())
        total = 0
        for bucket in sorted(self._latencies):
            total += self._latencies[bucket]
            if total >= wanted:
                return round(1e-5 * _GROWTH ** (bucket + 1) * 1000, 2)
        return 0.0


def _count(counts: dict[str, int], kind: str) -> None:
    counts[kind] = counts.get(kind, 0) + 1


def _client_context(url: str, trust_file: Path | None) -> ssl.SSLContext:
    if trust_file is None:
        raise BadInput(f"nothing says which certificates to accept from {url}", next_step="add --tls")
    try:
        return ssl.create_default_context(cafile=str(trust_file))
    except OSError as error:
        raise BadInput(
            f"{trust_file} cannot be read as trusted roots: {error.strerror or error}",
            next_step="pyrunbook sandbox up",
        ) from error


def _failure_to_connect(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'no reason given').replace('_', ' ').lower()}"
    return f"cannot connect: {error.strerror or type(error).__name__}"
