"""The pair on a service's machine, as the flow of a rotation sees it: each move is a run of the module `host_pair`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.pki.errors import NotDeployed, NotServed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.pair_state import PairState
from pyrunbook.pki.wanted import WantedCertificate

NEXT = "pyrunbook certs status"


class HostStore:
    """A `Store` on platform host.

    Args:
        execute: runs `host_pair` with options on the service's machine and gives its result. A private key is among the
            options of one move, and in nothing else.
    """

    def __init__(self, wanted: WantedCertificate, execute: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._wanted = wanted
        self._execute = execute

    @property
    def place(self) -> str:
        """The directory on the service's machine."""
        return self._wanted.directory

    def read(self) -> PairState:
        wanted = self._wanted
        found = self._move(
            "read", key_mode=wanted.key_mode, owner=wanted.owner, group=wanted.group, argv=list(wanted.reload)
        )
        return PairState.of(found["held"], self.place, found["obstacle"])

    def stage(self, run: str, issued: Issued, about: dict[str, Any] | None = None) -> bool:
        wanted = self._wanted
        return self._changed(
            "stage",
            run=run,
            version=issued.serial,
            certificate=issued.certificate_pem.decode(),
            key=issued.key.pem().decode(),
            owner=wanted.owner,
            group=wanted.group,
            key_mode=wanted.key_mode,
            about=about or {},
        )

    def take_over(self, run: str, by: str) -> bool:
        return self._changed("take_over", run=run, by=by)

    def activate(self, run: str) -> bool:
        return self._changed("activate", run=run)

    def reload(self) -> str:
        if not self._wanted.reload:
            return "the server reads the pair by itself"
        return str(self._move("reload", argv=list(self._wanted.reload))["detail"])

    def heartbeat(self) -> Callable[[], None]:
        """See `Store.heartbeat`: the lock of a host stays until it is freed."""
        return lambda: None

    def mark(self, run: str, step: str) -> bool:
        return self._changed("mark", run=run, step=step)

    def put_back(self, run: str) -> bool:
        return self._changed("put_back", run=run)

    def conclude(self, run: str) -> list[str]:
        return list(self._move("conclude", run=run)["removed"])

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        return self._changed("reinstate", run=run, version=version, undoes=undoes, about=about or {})

    def settle(self, version: str) -> bool:
        return self._changed("settle", version=version)

    def _changed(self, move: str, **options: Any) -> bool:
        return bool(self._move(move, **options)["changed"])

    def _move(self, move: str, **options: Any) -> dict[str, Any]:
        result = self._execute({"directory": self.place, "move": move, **options})
        if not result.get("failed") and not result.get("unreachable"):
            return result
        words = str(result.get("msg") or "the module host_pair failed without a message")
        said = str(result.get("module_stderr") or "").strip().splitlines()
        if said and "kind" not in result:  # the module did not start: no Python, no connection, no rights
            words += f" ({said[0][:300]})"
        if result.get("kind") == "reload":
            raise NotServed(f"the server was not reloaded: {words}", next_step=NEXT)
        if result.get("kind") == "pair" and move in ("stage", "take_over", "reinstate"):
            raise Refused(words, next_step=NEXT)
        raise NotDeployed(words, next_step=NEXT)
