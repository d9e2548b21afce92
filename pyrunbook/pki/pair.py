"""Pairs that are moved from this machine, as the flow of a rotation sees them: one on its disk, one in a cluster.

The moves are in `on_target.rotation_moves`; this adds what needs cryptography, and makes refusals errors of pyrunbook.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrunbook.errors import PyrunbookError, Refused
from pyrunbook.on_target import certificate_look
from pyrunbook.on_target.certificate_pair import PairInDirectory
from pyrunbook.on_target.rotation_moves import RotatingPair
from pyrunbook.on_target.rotation_state import CERTIFICATE, KEY, PairError
from pyrunbook.pki.errors import NotDeployed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.pair_state import PairState

NEXT = "pyrunbook certs status"


class DirectStore:
    """What `rotation.PairStore` has in common for pairs that are moved from this machine."""

    def __init__(self, pair: RotatingPair[Any]) -> None:
        self._pair = pair

    @property
    def place(self) -> str:
        return self._pair.place

    def stage(self, run: str, issued: Issued, about: dict[str, Any] | None = None) -> bool:
        """See `PairStore.stage`; `issued` has passed `check.require`."""
        with self._worded(Refused):
            return self._pair.stage(run, issued.serial, issued.certificate_pem, issued.key.pem(), about)

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        with self._worded(Refused):
            return self._pair.reinstate(run, version, undoes, about)

    def take_over(self, run: str, by: str) -> bool:
        with self._worded(Refused):
            return self._pair.take_over(run, by)

    def activate(self, run: str) -> bool:
        with self._worded():
            return self._pair.activate(run)

    def mark(self, run: str, step: str) -> bool:
        with self._worded():
            return self._pair.mark(run, step)

    def put_back(self, run: str) -> bool:
        with self._worded():
            return self._pair.put_back(run)

    def conclude(self, run: str) -> list[str]:
        with self._worded():
            return self._pair.conclude(run)

    def settle(self, version: str) -> bool:
        with self._worded():
            return self._pair.settle(version)

    @contextmanager
    def _worded(self, kind: type[PyrunbookError] = NotDeployed) -> Iterator[None]:
        try:
            yield
        except PairError as error:
            raise kind(str(error), next_step=NEXT) from None
        except OSError as error:
            raise NotDeployed(f"{error.filename or self.place}: {error.strerror}", next_step=NEXT) from None


class Pair(DirectStore):
    """A pair on this machine's disk, without the server that reads it.

    Args:
        directory: of the pair, see `on_target.certificate_pair`.
        owner: user id that the server reads as; -1: the caller.
        group: group id; -1: the caller's.
        key_mode: permission bits of the key: 0600, or 0640 for a group.
    """

    def __init__(self, directory: Path, owner: int = -1, group: int = -1, key_mode: int = 0o600) -> None:
        super().__init__(PairInDirectory(str(directory), owner, group, key_mode))
        self.directory = directory
        self._key_mode = key_mode

    @property
    def certificate_file(self) -> Path:
        """What the server's configuration names as its certificate (leaf and chain)."""
        return self.directory / "current" / CERTIFICATE

    @property
    def key_file(self) -> Path:
        """What the server's configuration names as its key."""
        return self.directory / "current" / KEY

    def read(self) -> PairState:
        with self._worded():
            return PairState.of(certificate_look.look(str(self.directory), self._key_mode), self.place)
