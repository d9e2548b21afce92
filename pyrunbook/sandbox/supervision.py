"""Talking to the supervisor of a sandbox."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pyrunbook.on_target.supervisor_socket import Fault, call
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


class Supervisor:
    """The supervisor behind a socket. Every call raises `SupervisorUnreachable` where none answers there.

    Args:
        timeout: seconds for one call.
    """

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self._path = str(path)
        self._timeout = timeout

    def _call(self, method: str, *arguments: str | bool) -> Any:
        try:
            return call(self._path, method, *arguments, timeout=self._timeout)
        except OSError as error:
            raise SupervisorUnreachable(str(error)) from error
        except Fault as fault:
            if fault.code == SHUTTING_DOWN:
                raise SupervisorUnreachable("it is shutting down or starting again") from fault
            raise

    def pid(self) -> int:
        """Its process id."""
        return int(self._call("getPID"))

    def programs(self) -> dict[str, Program]:
        """All programs by name."""
        return {
            each["name"]: Program(each["name"], each["statename"], each["pid"] or None, each["spawnerr"])
            for each in self._call("getAllProcessInfo")
        }

    def start(self, name: str) -> bool:
        """Start a program, without waiting until it counts as started.

        Returns:
            False when it runs already.

        Raises:
            Fault: supervisor refuses (no such file, not executable).
        """
        try:
            self._call("startProcess", name, False)
        except Fault as fault:
            if fault.code == ALREADY_STARTED:
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
        except Fault:  # `programs()` says why
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
