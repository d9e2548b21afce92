"""The pair on this machine's disk: what is deployed, how far a rotation has come, and its moves.

The moves are in `on_target.certificate_pair`, which also runs on a service's own machine; this adds what needs
cryptography, and words its refusals as errors of pyrunbook.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyrunbook.errors import PyrunbookError, Refused
from pyrunbook.on_target import certificate_look, rotation_state
from pyrunbook.on_target import certificate_pair as disk
from pyrunbook.pki.errors import NotDeployed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.pair_state import PairState


@dataclass(frozen=True)
class Pair:
    """A directory that holds a pair.

    Attributes:
        directory: of the pair.
        owner: user id that the server reads as; -1: the caller.
        group: group id; -1: the caller's.
        key_mode: permission bits of the key: 0600, or 0640 for a group.
    """

    directory: Path
    owner: int = -1
    group: int = -1
    key_mode: int = 0o600

    @property
    def certificate_file(self) -> Path:
        """What the server's configuration names as its certificate (leaf and chain)."""
        return self.directory / "current" / rotation_state.CERTIFICATE

    @property
    def key_file(self) -> Path:
        """What the server's configuration names as its key."""
        return self.directory / "current" / rotation_state.KEY

    @property
    def place(self) -> str:
        """For messages and the journal: where it is."""
        return str(self.directory)

    def read(self) -> PairState:
        """What is deployed, what is kept, and how far a rotation has come.

        Raises:
            NotDeployed: the directory or its state file cannot be read.
        """
        with self._worded():
            return PairState.of(certificate_look.look(str(self.directory), self.key_mode), self.place)

    def stage(self, run: str, issued: Issued, about: dict[str, Any] | None = None) -> bool:
        """Write a new pair beside the deployed one; nothing that serves changes. Its version is its serial.

        Args:
            run: id of the run that rotates.
            issued: the pair, which has passed `check.require`.
            about: JSON-able facts to keep with the rotation; no secrets.

        Returns:
            whether anything changed.

        Raises:
            Refused: another rotation is under way, or the directory is no place for a key.
            NotDeployed: it cannot be written.
        """
        with self._worded(Refused):
            return disk.stage(
                str(self.directory), run, issued.serial, issued.certificate_pem, issued.key.pem(),
                self.owner, self.group, self.key_mode, about,
            )  # fmt: skip

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        """Begin a rotation back to a version that is still kept. See `certificate_pair.reinstate`.

        Raises:
            Refused: another rotation is under way, or the version was revoked or is not kept.
        """
        with self._worded(Refused):
            return disk.reinstate(str(self.directory), run, version, undoes, about)

    def take_over(self, run: str, by: str) -> bool:
        """Make what `run` has staged the rotation of another run. See `certificate_pair.take_over`.

        Raises:
            Refused: nothing is staged by `run`.
        """
        with self._worded(Refused):
            return disk.take_over(str(self.directory), run, by)

    def activate(self, run: str) -> bool:
        """Deploy what was staged, in one move. See `certificate_pair.activate`."""
        with self._worded():
            return disk.activate(str(self.directory), run)

    def mark(self, run: str, step: str) -> bool:
        """Note that the server was `reloaded`, or the new certificate `proven`. See `certificate_pair.mark`."""
        with self._worded():
            return disk.mark(str(self.directory), run, step)

    def put_back(self, run: str) -> bool:
        """Deploy again what was deployed before. See `certificate_pair.put_back`."""
        with self._worded():
            return disk.put_back(str(self.directory), run)

    def conclude(self, run: str) -> list[str]:
        """End the rotation. See `certificate_pair.conclude`."""
        with self._worded():
            return disk.conclude(str(self.directory), run)

    def settle(self, version: str) -> bool:
        """Note that a retired version has been revoked, or has expired. See `certificate_pair.settle`."""
        with self._worded():
            return disk.settle(str(self.directory), version)

    @contextmanager
    def _worded(self, kind: type[PyrunbookError] = NotDeployed) -> Iterator[None]:
        try:
            yield
        except rotation_state.PairError as error:
            raise kind(str(error), next_step="pyrunbook certs status") from None
        except OSError as error:
            where = error.filename or self.directory
            raise NotDeployed(f"{where}: {error.strerror}", next_step="pyrunbook certs status") from None
