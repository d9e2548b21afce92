"""The pair on this machine's disk: what is deployed, where a rotation stands, and the moves between.

The moves are in `on_target.certificate_pair`, which also runs on a service's own machine; this adds what needs
cryptography, and words its refusals as errors of pyrunbook.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from pyrunbook.errors import BadInput, PyrunbookError, Refused
from pyrunbook.on_target import certificate_pair as disk
from pyrunbook.on_target import rotation_state
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.due import Found
from pyrunbook.pki.errors import NotDeployed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.keys import PrivateKey


@dataclass(frozen=True)
class Standing:
    """Where the pair and its rotation stand (see `rotation_state.standing`).

    Attributes:
        current: the deployed version, empty where there is none.
        run: whose rotation is under way; empty where there is none.
        new: the version that it deploys.
        previous: the version that was deployed before it.
        step: how far it has come.
        can: what may be done: `start`, `go_on`, `go_back`; empty where an operator must look.
        seen: one sentence: what happened.
        about: what the run noted when it began.
    """

    current: str
    run: str
    new: str
    previous: str
    step: str
    can: tuple[str, ...]
    seen: str
    about: dict[str, Any]


@dataclass(frozen=True)
class Retired:
    """A version that is no longer deployed.

    Attributes:
        version: its name: the serial.
        since: when its successor was proven, aware.
    """

    version: str
    since: datetime


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

    def found(self) -> Found:
        """What is deployed, for `due.decide`: a file that cannot be read is a finding, not an error."""
        try:
            if not self.certificate_file.exists() and not self.key_file.exists():
                return Found()
        except OSError as error:
            return Found(unreadable=f"{error.filename}: {error.strerror}")
        facts, problems, leaf = None, [], None
        try:
            leaf = certificates.read(self.certificate_file)[0]
            facts = certificates.facts(leaf)
        except BadInput as error:
            problems.append(error.seen)
        matches = None
        try:
            key = PrivateKey.from_file(self.key_file, allowed=0o640 if self.key_mode & 0o040 else 0o600)
            matches = certificates.belongs(leaf, key) if leaf else None
        except BadInput as error:
            problems.append(error.seen)
        return Found(facts, "; ".join(problems), matches)

    def standing(self) -> Standing:
        """Where the pair and its rotation stand.

        Raises:
            NotDeployed: the directory or its state file cannot be read.
        """
        with self._worded():
            found = rotation_state.standing(str(self.directory))
        rotation = found["rotation"] or {}
        return Standing(
            current=found["current"],
            run=rotation.get("run", ""),
            new=rotation.get("new", ""),
            previous=rotation.get("previous", ""),
            step=rotation.get("step", ""),
            can=tuple(found["can"]),
            seen=found["seen"],
            about=rotation.get("about", {}),
        )

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

    def reinstate(self, run: str, version: str) -> bool:
        """Begin a rotation back to a version that is still kept. See `certificate_pair.reinstate`.

        Raises:
            Refused: another rotation is under way, or the version was revoked or is not kept.
        """
        with self._worded(Refused):
            return disk.reinstate(str(self.directory), run, version)

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

    def retired(self) -> list[Retired]:
        """The versions that were replaced and have yet to be revoked, the oldest first."""
        with self._worded():
            return [
                Retired(each["version"], datetime.fromisoformat(each["since"]))
                for each in rotation_state.retired(str(self.directory))
            ]

    def retired_certificate(self, version: str) -> list[x509.Certificate]:
        """The certificate of a version that is still kept, with its chain.

        Raises:
            BadInput: it is not kept.
        """
        return certificates.read(self.directory / "versions" / version / rotation_state.CERTIFICATE)

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
