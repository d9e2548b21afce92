"""The moves of a rotation, wherever the pair is kept: in a directory (`certificate_pair`) or in Secrets of Kubernetes.

What is going to be done is recorded before it is done, so that whoever comes after a killed process knows which way it
was going (`rotation_state.judge`). Each move may be repeated.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from . import rotation_state as state
from .rotation_state import (
    ACTIVATED,
    ACTIVATING,
    FORWARD,
    PROVEN,
    PUT_BACK,
    PUTTING_BACK,
    RELOADED,
    STAGED,
    STAGING,
    PairError,
)

MARKS = {RELOADED: ACTIVATED, PROVEN: RELOADED}
"""Steps that happen elsewhere and are only recorded here, each with the one that must come before."""
VERSION = re.compile(r"[0-9a-z][0-9a-z._-]{0,79}")


class Records:
    """What is kept of a pair, from one reading.

    Attributes:
        current: the deployed version; empty where there is none.
        versions: the names of those that are complete.
        rotation: the one that is under way; None between two.
        retired: see `rotation_state.retired`.
    """

    current: str
    versions: Collection[str]
    rotation: dict[str, Any] | None
    retired: list[dict[str, str]]

    @property
    def standing(self) -> dict[str, Any]:
        """See `rotation_state.judge`."""
        return state.judge(self.current, sorted(self.versions), self.rotation)


Found = TypeVar("Found", bound=Records)


class RotatingPair(ABC, Generic[Found]):
    """A pair, and the moves of its rotation. A move returns whether it changed anything; it raises `PairError`."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the pair is, for messages."""

    def stage(
        self, run: str, version: str, certificate: bytes, key: bytes, about: dict[str, Any] | None = None
    ) -> bool:
        """Write a new pair beside the deployed one; nothing that serves changes.

        Args:
            run: id of the run that rotates.
            version: name of the new version: the serial of its certificate.
            certificate: PEM, the leaf and its chain.
            about: JSON-able facts to keep with the rotation; no secrets.

        Returns:
            whether anything changed: False when this run has staged or deployed this version already.

        Raises:
            PairError: another rotation is under way, the version exists, or the place is not one for a key.
        """
        if not VERSION.fullmatch(version):
            raise PairError(f"{version!r} is not a name for a version")
        self.prepare()
        with self.locked():
            found = self.records()
            if self._has_begun(found, run, version):
                return False
            if found.rotation is None and (version in found.versions or version == found.current):
                raise PairError(f"version {version} exists already in {self.place}")
            self.add(found, self._begun(found, run, version, about), certificate, key)
        return True

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        """Begin a rotation to a version that was replaced and is still kept, as if it had been staged.

        Args:
            run: id of the run that goes back.
            undoes: the run that this rotation undoes.

        Raises:
            PairError: another rotation is under way, or the version is not one that was replaced and has yet to be
                revoked: clients would refuse a revoked certificate.
        """
        with self.locked():
            found = self.records()
            if self._has_begun(found, run, version):
                return False
            kept = [each["version"] for each in found.retired if each["version"] in found.versions]
            if version not in kept:
                there = ", ".join(kept) or "none"
                raise PairError(f"version {version} was revoked or is not kept; there are: {there}")
            begun = self._begun(found, run, version, about)
            self.record(found, dict(begun, step=STAGED, kept=True, undoes=undoes))
        return True

    def take_over(self, run: str, by: str) -> bool:
        """Make what `run` has staged the rotation of another run, which deploys it and is the one to put it back.

        Raises:
            PairError: nothing is staged by `run`, or it has gone further already.
        """
        with self.locked():
            found = self.records()
            if found.rotation is not None and found.rotation["run"] == by:
                return False
            rotation = self._of_run(found, run)
            if rotation["step"] != STAGED:
                raise PairError(found.standing["seen"])
            self.record(found, dict(rotation, run=by))
        return True

    def activate(self, run: str) -> bool:
        """Deploy what `run` has staged, in one write. The server does not know yet.

        Raises:
            PairError: nothing is staged by this run, it goes back already, or something else changed what is deployed.
        """
        with self.locked():
            found = self.records()
            rotation = self._of_run(found, run)
            if rotation["step"] not in FORWARD[1:]:
                raise PairError(found.standing["seen"])
            new = rotation["new"]
            problem = self.mismatch(found, new)
            if problem:
                raise PairError(f"version {new}: {problem}")
            if found.current == new:
                if rotation["step"] in (STAGED, ACTIVATING):
                    self.record(found, dict(rotation, step=ACTIVATED))
                return False
            self._expect(found, rotation["previous"])
            self._replace(found, rotation, ACTIVATING, new, ACTIVATED)
        return True

    def mark(self, run: str, step: str) -> bool:
        """Record that the server was reloaded (`reloaded`), or that the new certificate was seen served (`proven`).

        Raises:
            PairError: the steps before it have not happened.
        """
        with self.locked():
            found = self.records()
            rotation = self._of_run(found, run)
            if rotation["step"] == step:
                return False
            if rotation["step"] != MARKS.get(step) or found.current != rotation["new"]:
                raise PairError(found.standing["seen"])
            self.record(found, dict(rotation, step=step))
        return True

    def put_back(self, run: str) -> bool:
        """Deploy again what was deployed before `run`; where there was nothing, deploy nothing.

        Reload the server and check what it serves; then `conclude`.

        Returns:
            whether what is deployed changed.

        Raises:
            PairError: there is no rotation of this run, or something else changed what is deployed.
        """
        with self.locked():
            found = self.records()
            rotation = self._of_run(found, run)
            previous = rotation["previous"]
            if found.current not in ("", previous):
                self._expect(found, rotation["new"])
            self._replace(found, rotation, PUTTING_BACK, previous, PUT_BACK)
        return bool(found.current != previous)

    def conclude(self, run: str) -> list[str]:
        """End the rotation: after `proven` the previous pair is kept, after `put_back` the new one is removed.

        Returns:
            the versions that were removed. One that has yet to be revoked stays (`rotation_state.retired`): it can
            still be reinstated, and its certificate is needed to ask whether it is revoked.

        Raises:
            PairError: the rotation has come to neither end.
        """
        with self.locked():
            found = self.records()
            if found.rotation is None:
                return []
            rotation = self._of_run(found, run)
            if rotation["step"] not in (PROVEN, PUT_BACK):
                raise PairError(found.standing["seen"])
            self._expect(found, rotation["previous"] if rotation["step"] == PUT_BACK else rotation["new"])
            retired, removed = state.ended(rotation, found.current, sorted(found.versions), found.retired)
            self.end(found, retired, removed)
        return removed

    def settle(self, version: str) -> bool:
        """Record that a retired version has been revoked, or has expired. The next rotation may remove its pair."""
        with self.locked():
            found = self.records()
            left = [each for each in found.retired if each["version"] != version]
            if left != found.retired:
                self.record_retired(found, left)
        return left != found.retired

    # --- what differs from place to place ------------------------------------------------------------------------

    def prepare(self) -> None:
        """See that a key may be put there, and make what has to be there before."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[object]:
        """Keep other processes from moving the pair meanwhile."""

    @abstractmethod
    def records(self) -> Found:
        """Read what is there."""

    @abstractmethod
    def add(self, found: Found, rotation: dict[str, Any], certificate: bytes, key: bytes) -> None:
        """Keep a new pair, and record its rotation as `staged`."""

    @abstractmethod
    def record(self, found: Found, rotation: dict[str, Any]) -> Found:
        """Replace the record of the rotation; returns what is there then."""

    @abstractmethod
    def record_retired(self, found: Found, retired: list[dict[str, str]]) -> None:
        """Replace the list of the retired versions."""

    @abstractmethod
    def mismatch(self, found: Found, version: str) -> str:
        """Why certificate and key of a version cannot serve together; empty when they can."""

    @abstractmethod
    def deploy(self, found: Found, version: str) -> None:
        """Have servers read a version from now on; an empty one takes away what they read."""

    @abstractmethod
    def end(self, found: Found, retired: list[dict[str, str]], removed: list[str]) -> None:
        """Remove the record of the rotation and the pairs of these versions."""

    def require_deployable(self, found: Found, version: str) -> None:
        """Refuse a version that could not be deployed, before anything is written."""

    # --- parts ---------------------------------------------------------------------------------------------------

    def _begun(self, found: Found, run: str, version: str, about: dict[str, Any] | None) -> dict[str, Any]:
        return {"run": run, "new": version, "previous": found.current, "since": state.now(), "about": about or {}}

    def _has_begun(self, found: Found, run: str, version: str) -> bool:
        """Whether `run` has staged that version already; what it has staged in part is staged anew.

        Raises:
            PairError: another rotation is under way, or the version could not be deployed.
        """
        if found.rotation is None:
            self.require_deployable(found, "")
            return False
        if (found.rotation["run"], found.rotation["new"]) != (run, version):
            raise PairError(found.standing["seen"])
        return bool(found.rotation["step"] != STAGING)

    def _of_run(self, found: Found, run: str) -> dict[str, Any]:
        if found.rotation is None:
            raise PairError(f"run {run} has begun no rotation in {self.place}")
        if found.rotation["run"] != run:
            raise PairError("this is not the rotation of run {}: {}".format(run, found.standing["seen"]))
        return found.rotation

    def _expect(self, found: Found, wanted: str) -> None:
        if found.current != wanted:
            raise PairError(
                "{}: {} is deployed where {} was expected; something else has changed it".format(
                    self.place, found.current or "nothing", wanted or "nothing"
                )
            )

    def _replace(self, found: Found, rotation: dict[str, Any], before: str, version: str, after: str) -> None:
        """Deploy a version where it is not, between the records of two steps."""
        changes = found.current != version
        if changes:
            self.require_deployable(found, version)
        noted = self.record(found, dict(rotation, step=before))
        if changes:
            self.deploy(noted, version)
        self.record(noted, dict(rotation, step=after))
