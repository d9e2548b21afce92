"""A certificate and its key in a cluster: the moves of `on_target.certificate_pair`, on Secrets instead of a directory.

`pair_secrets` says which two Secrets. One of them keeps the records beside the keys, so that staging and concluding
are one write each, and so that a Role can name both: no right to read any other Secret is needed, and none to delete.
The pair that workloads read is replaced in one write whose condition is its resourceVersion; where there is nothing to
go back to, its two values become empty. A pair that pyrunbook has not written is kept when the first rotation begins.

What is refused is a `PairError`, in the same words as for a directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.pair_secrets import PairInCluster, PairSecrets, PemPair, Reader
from pyrunbook.kubernetes.restart import restart
from pyrunbook.kubernetes.waiting import Heartbeat, no_heartbeat
from pyrunbook.on_target import rotation_state as state
from pyrunbook.on_target.certificate_pair import MARKS, VERSION
from pyrunbook.on_target.rotation_state import (
    ACTIVATED,
    ACTIVATING,
    FORWARD,
    PROVEN,
    PUT_BACK,
    PUTTING_BACK,
    STAGED,
    PairError,
)


@dataclass(frozen=True)
class SecretPair:
    """The pair in a Secret.

    Attributes:
        cluster: where.
        secret: name of the Secret that the workload reads.
        read: reads serial and validity of a pair; passed in, because this package must not import `pki`.
    """

    cluster: Cluster
    secret: str
    read: Reader

    @property
    def secrets(self) -> PairSecrets:
        """The two Secrets."""
        return PairSecrets(self.cluster, self.secret, self.read)

    @property
    def place(self) -> str:
        """`Secret agent-factory/agent-factory-tls`."""
        return self.secrets.place

    def look(self) -> dict[str, Any]:
        """Everything that decides what may be done next, as plain data; see `on_target.certificate_look.look`.

        Raises:
            PairError: the Secret is of another type, or the records cannot be read.
        """
        found = self.secrets.look()
        pairs = dict(found.versions) | ({found.current: found.deployed} if found.deployed else {})
        return {
            "standing": found.standing,
            "retired": found.retired,
            "pairs": {version: self._described(pair) for version, pair in pairs.items()},
        }

    def stage(
        self, run: str, version: str, certificate: bytes, key: bytes, about: dict[str, Any] | None = None
    ) -> bool:
        """Keep a new pair beside the deployed one, in one write; nothing that serves changes.

        Args:
            run: id of the run that rotates.
            version: name of the new version: the serial of its certificate.
            certificate: PEM, the leaf and its chain.
            key: PEM.
            about: JSON-able facts to keep with the rotation; no secrets.

        Returns:
            whether anything changed: False when this run has staged or deployed this version already.

        Raises:
            PairError: another rotation is under way, the version exists, or the Secret cannot be replaced.
        """
        if not VERSION.fullmatch(version):
            raise PairError(f"{version!r} is not a name for a version")
        found = self.secrets.look()
        if self._has_begun(found, run, version):
            return False
        if version in found.versions or version == found.current:
            raise PairError(f"version {version} exists already in {self.place}")
        self._begin(found, {version: (certificate, key)}, {"run": run, "new": version, "about": about or {}})
        return True

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        """Begin a rotation to a version that was replaced and is still kept, as if it had been staged.

        Args:
            run: id of the run that goes back.
            version: to deploy again.
            undoes: the run that this rotation undoes.
            about: as of `stage`.

        Returns:
            whether anything changed.

        Raises:
            PairError: another rotation is under way, or the version was revoked or is not kept.
        """
        found = self.secrets.look()
        if self._has_begun(found, run, version):
            return False
        kept = [each["version"] for each in found.retired if each["version"] in found.versions]
        if version not in kept:
            there = ", ".join(kept) or "none"
            raise PairError(f"version {version} was revoked or is not kept; there are: {there}")
        self._begin(found, {}, {"run": run, "new": version, "about": about or {}, "kept": True, "undoes": undoes})
        return True

    def take_over(self, run: str, by: str) -> bool:
        """Make what `run` has staged the rotation of another run, which deploys it and is the one to put it back.

        Returns:
            whether anything changed.

        Raises:
            PairError: nothing is staged by `run`, or it has gone further already.
        """
        found = self.secrets.look()
        if found.rotation is not None and found.rotation["run"] == by:
            return False
        found, rotation = self._of_run(run)
        if rotation["step"] != STAGED:
            raise PairError(found.standing["seen"])
        self.secrets.record(found, rotation=dict(rotation, run=by))
        return True

    def activate(self, run: str) -> bool:
        """Deploy what `run` has staged: one write. Workloads that read the pair at their start do not know yet.

        Returns:
            whether anything changed.

        Raises:
            PairError: nothing is staged by this run, it goes back already, or something else changed the Secret.
        """
        found, rotation = self._of_run(run)
        if rotation["step"] not in FORWARD[1:]:
            raise PairError(found.standing["seen"])
        new = found.kept(rotation["new"])
        problem = self.read(*new).mismatch
        if problem:
            raise PairError(f"version {rotation['new']}: {problem}")
        if found.current == rotation["new"]:
            if rotation["step"] in (STAGED, ACTIVATING):
                self.secrets.record(found, rotation=dict(rotation, step=ACTIVATED))
            return False
        self._expect(found.current, rotation["previous"])
        self.secrets.require_replaceable(found)
        noted = self.secrets.record(found, rotation=dict(rotation, step=ACTIVATING))
        self.secrets.deploy(noted, new, rotation["new"])
        self.secrets.record(noted, rotation=dict(rotation, step=ACTIVATED))
        return True

    def mark(self, run: str, step: str) -> bool:
        """Record that the workload was restarted (`reloaded`), or that the new certificate was seen (`proven`).

        Returns:
            whether anything changed.

        Raises:
            PairError: the steps before it have not happened.
        """
        found, rotation = self._of_run(run)
        if rotation["step"] == step:
            return False
        if rotation["step"] != MARKS.get(step) or found.current != rotation["new"]:
            raise PairError(found.standing["seen"])
        self.secrets.record(found, rotation=dict(rotation, step=step))
        return True

    def put_back(self, run: str) -> bool:
        """Deploy again what was deployed before `run`; where there was nothing, empty the Secret.

        Returns:
            whether the Secret changed.

        Raises:
            PairError: there is no rotation of this run, or something else changed the Secret.
        """
        found, rotation = self._of_run(run)
        previous = rotation["previous"]
        changes = found.current != previous
        if changes and found.current:
            self._expect(found.current, rotation["new"])
        pair = found.kept(previous) if previous else (b"", b"")
        if changes:
            self.secrets.require_replaceable(found)
        noted = self.secrets.record(found, rotation=dict(rotation, step=PUTTING_BACK))
        if changes:
            self.secrets.deploy(noted, pair, previous)
        self.secrets.record(noted, rotation=dict(rotation, step=PUT_BACK))
        return bool(changes)

    def conclude(self, run: str) -> list[str]:
        """End the rotation, in one write: after `proven` the previous pair is kept, after `put_back` the new one goes.

        Returns:
            the versions that were removed; see `rotation_state.ended`.

        Raises:
            PairError: the rotation has come to neither end.
        """
        found = self.secrets.look()
        if found.rotation is None:
            return []
        found, rotation = self._of_run(run)
        if rotation["step"] not in (PROVEN, PUT_BACK):
            raise PairError(found.standing["seen"])
        self._expect(found.current, rotation["previous"] if rotation["step"] == PUT_BACK else rotation["new"])
        retired, removed = state.ended(rotation, found.current, sorted(found.versions), found.retired)
        left = {name: pair for name, pair in found.versions.items() if name not in removed}
        self.secrets.record(found, rotation=None, retired=retired, versions=left)
        return removed

    def settle(self, version: str) -> bool:
        """Note that a retired version has been revoked, or has expired. The next rotation may remove its pair.

        Returns:
            whether anything changed.
        """
        found = self.secrets.look()
        left = [each for each in found.retired if each["version"] != version]
        if left != found.retired:
            self.secrets.record(found, retired=left)
        return left != found.retired

    def reload(self, deployments: list[str], *, timeout: float, heartbeat: Heartbeat = no_heartbeat) -> dict[str, Any]:
        """Restart the Deployments that read the pair at their start, one after the other, and wait for each.

        A call that was interrupted goes on: what has been restarted for this move is not restarted again.

        Args:
            deployments: their names; those that are not there are passed over. Empty: the workload reads by itself.
            timeout: seconds, for all together.
            heartbeat: see `waiting`.

        Returns:
            see `restart.restart`.

        Raises:
            ClusterError: a rollout did not finish, or none of the Deployments is there.
        """
        found = self.secrets.look()
        why = f"by run {found.rotation['run']}" if found.rotation else f"at {state.now()}"
        return restart(
            self.cluster,
            deployments,
            f"{self.secret} {found.current or 'nothing'} {why}",
            timeout=timeout,
            heartbeat=heartbeat,
        )

    # --- parts --------------------------------------------------------------------------------------------------

    def _of_run(self, run: str) -> tuple[PairInCluster, dict[str, Any]]:
        found = self.secrets.look()
        if found.rotation is None:
            raise PairError(f"run {run} has begun no rotation in {self.place}")
        if found.rotation["run"] != run:
            raise PairError(f"run {run} is no part of this: {found.standing['seen']}")
        return found, found.rotation

    def _expect(self, current: str, wanted: str) -> None:
        if current != wanted:
            raise PairError(
                f"{self.place}: {current or 'nothing'} is deployed where {wanted or 'nothing'} was expected; "
                "something else has changed it"
            )

    def _has_begun(self, found: PairInCluster, run: str, version: str) -> bool:
        """Whether `run` has begun to deploy that version already.

        Raises:
            PairError: another rotation is under way, or the Secret cannot be replaced.
        """
        if found.rotation is not None:
            if (found.rotation["run"], found.rotation["new"]) == (run, version):
                return True
            raise PairError(found.standing["seen"])
        self.secrets.require_replaceable(found)
        return False

    def _begin(self, found: PairInCluster, more: dict[str, PemPair], rotation: dict[str, Any]) -> None:
        adopted = {found.current: found.deployed} if found.deployed else {}
        begun = {**rotation, "previous": found.current, "since": state.now(), "step": STAGED}
        self.secrets.record(found, rotation=begun, versions={**adopted, **found.versions, **more})

    def _described(self, pair: PemPair) -> dict[str, Any]:
        seen = self.read(*pair)
        certificate = pair[0].decode("ascii", "replace")
        return {"certificate": certificate, "matches": seen.matches, "problem": seen.problem}
