"""Talking to supervisor: XML-RPC over its unix socket, with the standard library alone."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from pyrunbook.sandbox.layout import PROXY, TLS_PROXY, Layout, unit

SHUTTING_DOWN = 6
ALREADY_STARTED = 60
"""Fault codes of supervisor."""


@dataclass(frozen=True)
class Program:
    """A program as supervisor sees it: `state` is its word (`RUNNING`, `STARTING`, `STOPPED`, `FATAL` …)."""

    name: str
    state: str
    pid: int | None
    error: str


class SupervisorUnreachable(Exception):
    """No supervisor answers on the socket, or one that is going away."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path = path
        self._timeout = timeout

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002  # the base's signature
        return _Connection(self._path, self._timeout)


class Supervisor:
    """The supervisor behind a socket. Every call raises `SupervisorUnreachable` where none answers there.

    Args:
        timeout: seconds for one call.
    """

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self._proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_Transport(path, timeout))

    def _call(self, method: str, *arguments: object) -> object:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, xmlrpc.client.ResponseError) as error:
            raise SupervisorUnreachable(str(error)) from error
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == SHUTTING_DOWN:
                raise SupervisorUnreachable("it is shutting down or starting again") from fault
            raise

    def pid(self) -> int:
        """Its process id."""
        return int(str(self._call("getPID")))

    def programs(self) -> dict[str, Program]:
        """All programs by name."""
        found = self._call("getAllProcessInfo")
        programs = {}
        for entry in found if isinstance(found, list) else []:
            pid = int(entry["pid"]) or None
            programs[entry["name"]] = Program(entry["name"], entry["statename"], pid, entry["spawnerr"])
        return programs

    def start(self, name: str) -> bool:
        """Start a program, without waiting until it counts as started.

        Returns:
            False when it runs already.
            xmlrpc.client.Fault: supervisor refuses (no such file, not executable).
        """
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == ALREADY_STARTED:
                return False
            raise
        return True

    def stop_all(self) -> None:
        """Ask all programs to stop, without waiting for them."""
        self._call("stopAllProcesses", False)


def serving_color(layout: Layout, addresses: dict[str, str]) -> str | None:
    """The color whose address the proxy dials; `None` when it dials neither (or nothing can be read).

    Args:
        addresses: host:port of each color.
    """
    try:
        dialed = layout.upstream.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return next((color for color, address in addresses.items() if address == dialed), None)


def bring_back(supervisor: Supervisor, colors: set[str]) -> list[str]:
    """Start the proxies and the named colors where they are not running.

    No slot starts by itself with supervisor (`autostart=false`): which one should run changes with every switch, and
    is written in one place only, the file that the proxy dials from. This brings back what that file says.

    Returns:
        The programs that were started, by name; those that supervisor could not start are not among them.
    """
    started = []
    for name in (*(unit(color) for color in sorted(colors)), PROXY, TLS_PROXY):
        try:
            if supervisor.start(name):
                started.append(name)
        except xmlrpc.client.Fault:  # `programs()` says why
            continue
    return started


def http_status(address: str, path: str, timeout: float = 2.0) -> int | None:
    """The status of `GET path` at host:port over a new connection; `None` when there is no HTTP answer."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_ready(address: str) -> bool:
    """Whether `GET /ready` answers 200."""
    return http_status(address, "/ready") == HTTPStatus.OK
