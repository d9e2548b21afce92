#!/usr/bin/env python3
"""The Agent Factory service of the sandbox: one file, standard library only, copied into each release.

    releases/<version>/bin/agent-factory --root DIR --color blue --listen 127.0.0.1:8101

A release is the directory above `bin/`: `VERSION` names it, `FAULT` (when there is one) names how it misbehaves.
The root holds what releases share: `config/agent-factory.toml` (read at start), `data/`, `logs/<color>.log`, the key
that signs templates in `signing/templates/`, and `security/secure-mode.json` while nothing is to be signed.

One thread, one event loop: a request costs some tens of microseconds, and a slow one (`/work?ms=N`) costs a timer.
SIGTERM stops accepting, lets every request in flight finish, and exits 0. A kept-alive connection that is idle
then is given `linger_seconds` in which its owner may close it first or send one more request, which is answered with
`Connection: close`: a proxy that drops its idle connections sooner than that never sees one closed under a request.
SIGHUP opens the log file again, for log rotation.

`POST /sign` signs its body (RSA-PSS over SHA-256, by the program openssl) with the newest version of the key:
`{"signature": "file:v2:<base64>", "version": 2}`. In secure mode it answers 503 and says why. `GET /security` answers
`{"secure_mode": false, "reason": "", "by": "", "since": "", "signing_key": 2}`, also while nothing is signed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

PATHS = ("/health", "/ready", "/version", "/metrics", "/work", "/echo", "/agents", "/sign", "/security")
POSTED = ("/echo", "/sign")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the response time histogram, in seconds."""
MAX_HEAD = 16 * 1024
SLOW_SECONDS = 1.0
CRASH_SECONDS = 1.0
SIGN_SECONDS = 10.0
"""How long openssl may take for a signature; it takes some milliseconds."""
ECHO_ERRORS = frozenset({3, 10, 17})
"""Which of every 20 POSTs the fault `echo-errors` answers with 500."""
DEFAULTS: dict[str, float] = {
    "keepalive_seconds": 75.0,
    "linger_seconds": 2.0,
    "max_body_bytes": 1_048_576,
    "max_work_ms": 60_000,
}


class BadRequest(Exception):
    """A request that cannot be answered as asked; the connection is closed after the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class HttpRequest:
    """One request, complete: `headers` have lower-case names; `body` is decoded from any transfer coding."""

    __slots__ = ("body", "headers", "keep", "method", "path", "query", "started")

    def __init__(self, method: str, target: str, headers: dict[str, str], keep: bool) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = b""
        self.keep = keep
        self.started = time.perf_counter()


class CannotSign(Exception):
    """Nothing is signed; the text says why."""


class Signing:
    """The key that signs templates, and secure mode, in which nothing is signed.

    All is read when it is needed: a new version of the key signs at once, and secure mode needs no restart.

    Args:
        root: the service's; `security/secure-mode.json` in it is `{"on": true, "reason": …, "by": …, "since": …}`.
    """

    def __init__(self, root: Path) -> None:
        self.mode_file = root.resolve() / "security" / "secure-mode.json"
        self.keys = root.resolve() / "signing" / "templates"

    def security(self) -> dict[str, object]:
        """What `/security` answers. A file that cannot be understood counts as secure mode: it was put there."""
        mode: dict[str, object] = {}
        try:
            read = json.loads(self.mode_file.read_bytes())
            if not isinstance(read, dict) or not isinstance(read.get("on"), bool):
                raise ValueError("it does not say whether secure mode is on")
            on, mode = read["on"], read
        except FileNotFoundError:
            on = False
        except (OSError, ValueError) as error:
            on, mode = True, {"reason": f"{self.mode_file} cannot be read: {error}"}
        words = {name: str(mode.get(name) or "") if on else "" for name in ("reason", "by", "since")}
        try:
            version = self.version()
        except CannotSign:
            version = None
        return {"secure_mode": on, **words, "signing_key": version}

    def version(self) -> int:
        """The newest version of the key.

        Raises:
            CannotSign: there is none, or the list of versions cannot be read.
        """
        listed = self.keys / "versions.json"
        try:
            return max(int(each["number"]) for each in json.loads(listed.read_bytes())["versions"])
        except FileNotFoundError:
            raise CannotSign(f"there is no signing key: {listed} is missing") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotSign(f"{listed} cannot be read: {error or 'no version in it'}") from error

    def sign(self, data: bytes) -> tuple[int, dict[str, object]]:
        """Status and content of the answer to `/sign`; takes some milliseconds, so not on the event loop."""
        try:
            if refused := self._refusal():
                return refused
            version = self.version()
            key = self.keys / f"{version}.key.pem"
            if key.stat().st_mode & 0o077:
                raise CannotSign(f"{key} is open to others")
            argv = [
                "openssl",
                "dgst",
                "-sha256",
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:digest",
            ]
            # An empty passphrase, so that an encrypted key is an error and not a question on the terminal.
            done = subprocess.run(
                [*argv, "-passin", "pass:", "-sign", str(key)],
                input=data,
                capture_output=True,
                timeout=SIGN_SECONDS,
                check=False,
            )
            if done.returncode or not done.stdout:
                said = "; ".join(done.stderr.decode(errors="replace").split("\n")[:2]).strip("; ")
                raise CannotSign(f"openssl cannot sign with {key}: {said or f'exit code {done.returncode}'}")
        except (CannotSign, OSError, subprocess.TimeoutExpired) as error:
            return 500, {"error": str(error)}
        # Once /security has said that secure mode is on, no signature leaves any more.
        return self._refusal() or (
            200,
            {"signature": f"file:v{version}:{base64.b64encode(done.stdout).decode()}", "version": version},
        )

    def _refusal(self) -> tuple[int, dict[str, object]] | None:
        found = self.security()
        if not found["secure_mode"]:
            return None
        return 503, {"error": "secure mode: nothing is signed", "reason": found["reason"], "since": found["since"]}


class AgentFactory:
    """What all connections share: the release, its faults, the counters, the log."""

    def __init__(self, release: Path, root: Path, color: str) -> None:
        self.release = release
        self.root = root
        self.color = color
        self.version = (release / "VERSION").read_text().strip()
        fault = release / "FAULT"
        self.fault = fault.read_text().strip() if fault.exists() else ""
        self.claimed = f"{self.version}-wrong" if self.fault == "wrong-version" else self.version
        with (root / "config" / "agent-factory.toml").open("rb") as file:
            http = tomllib.load(file).get("http", {})
        self.settings = {name: float(http.get(name, value)) for name, value in DEFAULTS.items()}
        self.log_path = root / "logs" / f"{color}.log"
        self.log_file = self.log_path.open("a", buffering=1)
        self.agents = self._read_agents()
        self.signing = Signing(root)
        self.stopping = False
        self.connections: set[Connection] = set()
        self.empty = asyncio.Event()
        self.in_flight = 0
        self.posts = 0
        self.started = time.time()
        self.counts: dict[tuple[str, str, int], int] = {}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def _read_agents(self) -> list[dict[str, str]]:
        database = self.root / "data" / "agents.db"
        if not database.exists():
            self.log("WARNING", f"there is no {database}: /agents is empty")
            return []
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT name, template FROM agents ORDER BY name").fetchall()
        finally:
            connection.close()
        return [{"name": name, "template": template} for name, template in rows]

    def log(self, level: str, text: str) -> None:
        """Write one line, stamped in UTC, to `logs/<color>.log`."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        with suppress(OSError):  # a full disk must not take the service down
            self.log_file.write(f"{stamp}.{int(now % 1 * 1000):03d}Z {level} {text}\n")

    def reopen_log(self) -> None:
        """Go on in a new file after the old one was moved away (SIGHUP)."""
        old, self.log_file = self.log_file, self.log_path.open("a", buffering=1)
        old.close()
        self.log("INFO", "log file opened again")

    def delay(self, request: HttpRequest) -> float:
        """Seconds before the request is answered.

        Raises:
            BadRequest: `ms` of `/work` is not a number of milliseconds within the configured limit.
        """
        seconds = SLOW_SECONDS if self.fault == "slow" else 0.0
        if request.path == "/work":
            text = parse_qs(request.query).get("ms", ["0"])[0]
            limit = int(self.settings["max_work_ms"])
            if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > limit:
                raise BadRequest(400, f"ms must be a number from 0 to {limit}\n")
            seconds += int(text) / 1000
        return seconds

    def answer(self, request: HttpRequest) -> tuple[int, str, bytes] | None:
        """Status, content type and body for a request; `None` where its body is to be signed first (`sign`)."""
        if request.path not in PATHS:
            return 404, "text/plain", b"no such page\n"
        allowed = ("POST",) if request.path in POSTED else ("GET", "HEAD")
        if request.method not in allowed:
            return 405, "text/plain", f"use {' or '.join(allowed)}\n".encode()
        if self.fault == "errors-behind-proxy" and "x-forwarded-for" in request.headers:
            return 500, "text/plain", b"this release fails behind the proxy\n"
        if request.path == "/sign":
            return None
        if request.path == "/echo":
            self.posts += 1
            if self.fault == "echo-errors" and self.posts % 20 in ECHO_ERRORS:
                return 500, "text/plain", b"this release fails some POST requests\n"
            return 200, request.headers.get("content-type", "application/octet-stream"), request.body
        if request.path == "/metrics":
            return 200, "text/plain; version=0.0.4", self.metrics().encode()
        status, content = self._status_page(request.path)
        return status, "application/json", json.dumps(content).encode() + b"\n"

    async def sign(self, request: HttpRequest) -> tuple[int, str, bytes]:
        """Status, content type and body for a request to sign; others are answered meanwhile."""
        status, content = await asyncio.to_thread(self.signing.sign, request.body)
        if status != 200:
            self.log("ERROR", f"not signed: {content['error']}")
        return status, "application/json", json.dumps(content).encode() + b"\n"

    def _status_page(self, path: str) -> tuple[int, object]:
        if path == "/health":
            return (500, {"status": "broken"}) if self.fault == "unhealthy" else (200, {"status": "ok"})
        if path == "/ready":
            if self.stopping:
                return 503, {"ready": False, "reason": "stopping"}
            if self.fault == "never-ready":
                return 503, {"ready": False, "reason": "the model registry has not been loaded"}
            return 200, {"ready": True}
        if path == "/agents":
            return 200, self.agents
        if path == "/security":
            return 200, self.signing.security()
        if path == "/work":
            return 200, {"done": True}
        return 200, {"version": self.claimed, "color": self.color}

    def finished(self, request: HttpRequest, status: int) -> None:
        """Count and log an answered request."""
        seconds = time.perf_counter() - request.started
        path = request.path if request.path in PATHS else "other"
        key = (request.method, path, status)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.seconds += seconds
        position = next((n for n, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        self.buckets[position] += 1
        proxied = "yes" if "x-forwarded-for" in request.headers else "no"
        line = f"{request.method} {path} {status} ms={seconds * 1000:.1f} bytes={len(request.body)} proxied={proxied}"
        self.log("ERROR" if status >= 500 else "INFO", line)

    def metrics(self) -> str:
        """The counters as Prometheus text. A request for them is itself not counted as in flight."""
        name, kind = "agent_factory", f'color="{self.color}",version="{self.claimed}"'
        gauges = (
            ("build_info", f"{{{kind}}} 1", "Which release runs; always 1."),
            ("start_time_seconds", f" {self.started:.3f}", "When the process started, in seconds since the epoch."),
            ("requests_in_flight", f" {self.in_flight}", "Requests read and not yet answered."),
            ("connections", f" {len(self.connections)}", "Open connections, idle ones included."),
        )
        lines = []
        for gauge, value, text in gauges:
            lines += [f"# HELP {name}_{gauge} {text}", f"# TYPE {name}_{gauge} gauge", f"{name}_{gauge}{value}"]
        lines += [f"# HELP {name}_requests_total Answered requests.", f"# TYPE {name}_requests_total counter"]
        for (method, path, status), count in sorted(self.counts.items()):
            lines.append(f'{name}_requests_total{{method="{method}",path="{path}",status="{status}"}} {count}')
        histogram = f"{name}_response_seconds"
        lines += [f"# HELP {histogram} Time from a request read to its answer.", f"# TYPE {histogram} histogram"]
        total = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.buckets, strict=True):
            total += count
            lines.append(f'{histogram}_bucket{{le="{bound}"}} {total}')
        lines += [f"{histogram}_sum {self.seconds:.6f}", f"{histogram}_count {total}"]
        return "\n".join(lines) + "\n"


class Connection(asyncio.Protocol):
    """One client connection: reads requests, answers them one after the other."""

    def __init__(self, service: AgentFactory) -> None:
        self.service = service
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.request: HttpRequest | None = None  # being answered
        self.timer: asyncio.TimerHandle | None = None
        self.signing: asyncio.Task[None] | None = None
        self.idle_since = time.monotonic()
        self.continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part in the service's count of connections."""
        self.transport = cast("asyncio.Transport", transport)
        self.service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Drop the answer: its client is gone."""
        if self.timer:
            self.timer.cancel()
        if self.request:
            self._leave_flight(self.request)
            self.service.log("WARNING", f"{self.request.method} {self.request.path} client went away")
            self.request = None
        self.transport = None
        self.service.connections.discard(self)
        if self.service.stopping and not self.service.connections:
            self.service.empty.set()

    def data_received(self, data: bytes) -> None:
        """Collect bytes; start on the next request when it is complete and none is being answered."""
        self.buffer += data
        self.idle_since = time.monotonic()
        if self.request is None:
            self._next()
        elif len(self.buffer) > MAX_HEAD + self.service.settings["max_body_bytes"]:
            self.close()  # pipelines more than we are willing to hold

    def close(self) -> None:
        """Close after what was written has left."""
        if self.transport:
            self.transport.close()

    def _next(self) -> None:
        while self.request is None and self.transport and not self.transport.is_closing():
            request: HttpRequest | None = None
            try:
                request = self._parse()
                if request is None:
                    return
                delay = self.service.delay(request)
            except BadRequest as rejected:
                refused = request or HttpRequest("-", "-", {}, keep=False)
                refused.keep = False
                self._write(refused, rejected.status, "text/plain", str(rejected).encode())
                self.service.finished(refused, rejected.status)
                return
            self.request = request
            if request.path != "/metrics":
                self.service.in_flight += 1
            if delay:
                self.timer = self.loop.call_later(delay, self._answer_late)
                return
            self._answer()

    def _answer_late(self) -> None:
        self.timer = None
        self._answer()
        self._next()

    def _answer(self) -> None:
        request = self.request
        if request is None:
            return
        answer = self.service.answer(request)
        if answer is None:
            self.signing = self.loop.create_task(self._answer_signed(request))
            return
        self._finish(request, *answer)

    async def _answer_signed(self, request: HttpRequest) -> None:
        answer = await self.service.sign(request)
        if self.request is request:  # else the client went away meanwhile
            self._finish(request, *answer)
            self._next()

    def _finish(self, request: HttpRequest, status: int, kind: str, body: bytes) -> None:
        self._leave_flight(request)
        self.request = None
        self._write(request, status, kind, body)
        self.service.finished(request, status)
        self.idle_since = time.monotonic()

    def _leave_flight(self, request: HttpRequest) -> None:
        if request.path != "/metrics":
            self.service.in_flight -= 1

    def _write(self, request: HttpRequest, status: int, kind: str, body: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        keep = request.keep and not self.service.stopping
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"X-Agent-Factory-Version: {self.service.claimed}\r\nX-Agent-Factory-Color: {self.service.color}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        self.transport.write(head.encode("latin-1") + (b"" if request.method == "HEAD" else body))
        if not keep:
            self.transport.close()

    def _parse(self) -> HttpRequest | None:
        """Take one whole request from the buffer; `None` while it is incomplete."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(self.buffer) > MAX_HEAD:
                raise BadRequest(431, "the request's header is too long\n")
            return None
        first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        parts = first.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):
            raise BadRequest(400, "not an HTTP/1 request\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest(400, "malformed header\n")
            headers[name.lower()] = value.strip()
        wish = headers.get("connection", "").lower()
        keep = "close" not in wish and (parts[2] != "HTTP/1.0" or "keep" in wish)
        request = HttpRequest(parts[0], parts[1], headers, keep)
        taken = self._take_body(request, end + 4)
        if taken is None:
            if "100-continue" in headers.get("expect", "").lower() and not self.continued and self.transport:
                self.continued = True
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        del self.buffer[:taken]
        self.continued = False
        return request

    def _take_body(self, request: HttpRequest, start: int) -> int | None:
        """Fill in the body that begins at `start`; return where it ends, `None` while it is incomplete."""
        limit = int(self.service.settings["max_body_bytes"])
        coding = request.headers.get("transfer-encoding", "").lower()
        text = request.headers.get("content-length")
        if coding and (coding != "chunked" or text is not None):
            raise BadRequest(501 if coding != "chunked" else 400, "only Content-Length or chunked bodies\n")
        if not coding:
            if text is not None and (not text.isascii() or not text.isdigit()):
                raise BadRequest(400, "malformed Content-Length\n")
            length = int(text) if text and len(text) < 16 else (0 if not text else limit + 1)
            if length > limit:
                raise BadRequest(413, f"a body may have {limit} bytes\n")
            if len(self.buffer) < start + length:
                return None
            request.body = bytes(self.buffer[start : start + length])
            return start + length
        chunks: list[bytes] = []
        total = 0
        while True:
            line_end = self.buffer.find(b"\r\n", start)
            if line_end < 0:
                return None
            try:
                size = int(self.buffer[start:line_end].split(b";")[0], 16)
            except ValueError:
                raise BadRequest(400, "malformed chunk\n") from None
            total += size
            if size < 0 or total > limit:
                raise BadRequest(413, f"a body may have {limit} bytes\n")
            start = line_end + 2 + size + 2
            if len(self.buffer) < start:
                return None
            if size == 0:  # trailers are not supported: the empty line follows at once
                request.body = b"".join(chunks)
                return start
            chunks.append(bytes(self.buffer[line_end + 2 : start - 2]))


async def close_idle(service: AgentFactory) -> None:
    """Close connections on which nothing has happened for `keepalive_seconds`."""
    while True:
        await asyncio.sleep(5)
        oldest = time.monotonic() - service.settings["keepalive_seconds"]
        for connection in list(service.connections):
            if connection.request is None and connection.idle_since < oldest:
                connection.close()


async def serve(service: AgentFactory, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then until the last request in flight is answered."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, service.reopen_log)
    listener = socket.create_server((host, port), backlog=1024)
    server = await loop.create_server(lambda: Connection(service), sock=listener, backlog=1024)
    service.log("INFO", f"release {service.version} serves as {service.color} on {host}:{port}, pid {os.getpid()}")
    if service.fault == "crash":
        loop.call_later(CRASH_SECONDS, crash, service)
    sweeper = asyncio.create_task(close_idle(service))
    await stop.wait()
    sweeper.cancel()
    service.stopping = True
    with suppress(BlockingIOError):  # those who are connected but not yet accepted are served too
        while True:
            await loop.connect_accepted_socket(lambda: Connection(service), listener.accept()[0])
    server.close()
    service.log("INFO", f"stopping: {service.in_flight} requests in flight, {len(service.connections)} connections")
    linger = loop.time() + service.settings["linger_seconds"]
    while service.connections:
        with suppress(TimeoutError):
            await asyncio.wait_for(service.empty.wait(), max(0.05, linger - loop.time()))
        if loop.time() >= linger:
            for connection in list(service.connections):
                if connection.request is None:
                    connection.close()
    service.log("INFO", "stopped")


def crash(service: AgentFactory) -> None:
    """The fault `crash`."""
    service.log("ERROR", "cannot allocate the scheduler's arena, giving up")
    os._exit(1)


def main() -> int:
    """Run the service of the release that this file belongs to.

    Returns:
        0 after SIGTERM, 1 when it cannot serve.
    """
    parser = argparse.ArgumentParser(prog="agent-factory", description="The Agent Factory service.")
    parser.add_argument("--root", type=Path, required=True, help="directory with config/, data/ and logs/")
    parser.add_argument("--color", choices=("blue", "green"), required=True)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")

    async def run() -> None:
        service = AgentFactory(Path(__file__).resolve().parent.parent, options.root, options.color)
        try:
            await serve(service, host, int(port))
        except OSError as error:
            service.log("ERROR", f"cannot serve on {options.listen}: {error}")
            raise

    try:
        asyncio.run(run())
    except (OSError, ValueError, sqlite3.Error) as error:
        print(f"agent-factory: {error}", file=sys.stderr)  # noqa: T201  # a program of its own
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
