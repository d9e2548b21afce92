"""A certificate and its key in a cluster: the moves of `on_target.rotation_moves` on two Secrets (`pair_secrets`).

One of them keeps the records beside the keys, so that staging and concluding are one write each, and so that a Role can
name both: no right to read any other Secret is needed, and none to delete. The pair that workloads read is replaced in
one write whose condition is its resourceVersion; where there is nothing to go back to, its two values become empty. A
pair that pyrunbook has not written is kept when the first rotation begins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from pyrunbook.kubernetes.client import Cluster, Heartbeat, no_heartbeat
from pyrunbook.kubernetes.pair_secrets import (
    LEDGER,
    TLS,
    PairInCluster,
    PairReading,
    as_json,
    data_of,
    ledger_name,
    write,
)
from pyrunbook.kubernetes.restart import restart
from pyrunbook.on_target import rotation_state as state
from pyrunbook.on_target.rotation_moves import VERSION, RotatingPair
from pyrunbook.on_target.rotation_state import STAGED, PairError

VERSION_ANNOTATION = "pyrunbook.io/version"
"""For people; which version is deployed, the pair itself shows: others copy, edit and apply Secrets."""
_CERTIFICATE, _KEY = "tls.crt", "tls.key"
_ISSUED_BY_OTHERS = "cert-manager.io/certificate-name"


class SecretPair(RotatingPair[PairInCluster]):
    """The pair in a Secret.

    Args:
        secret: name of the Secret that the workload reads.
        read: looks into a certificate and a key, both PEM; passed in, because this package must not import `pki`.
    """

    def __init__(self, cluster: Cluster, secret: str, read: Callable[[bytes, bytes], PairReading]) -> None:
        self.cluster = cluster
        self.secret = secret
        self.read = read
        self.ledger = ledger_name(secret)

    @property
    def place(self) -> str:
        """`Secret agent-factory/agent-factory-tls`."""
        return f"Secret {self.cluster.namespace}/{self.secret}"

    def look(self) -> dict[str, Any]:
        """Everything that decides what may be done next, as plain data; see `on_target.certificate_look.look`.

        Raises:
            PairError: the Secret is of another type, or the records cannot be read.
        """
        found = self.records()
        pairs = dict(found.versions) | ({found.current: found.deployed} if found.deployed else {})
        described = {}
        for version, pair in pairs.items():
            seen, certificate = self.read(*pair), pair[0].decode("ascii", "replace")
            described[version] = {"certificate": certificate, "matches": seen.matches, "problem": seen.problem}
        return {"standing": found.standing, "retired": found.retired, "pairs": described}

    def reload(self, deployments: list[str], *, timeout: float, heartbeat: Heartbeat = no_heartbeat) -> dict[str, Any]:
        """Restart the Deployments that read the pair at their start, one after the other, and wait for each.

        A call that was interrupted goes on: what has been restarted for this move is not restarted again.

        Args:
            deployments: their names; those that are not there are passed over. Empty: the workload reads by itself.
            timeout: seconds, for all together.
            heartbeat: renews the lock of the run meanwhile.

        Returns:
            see `restart.restart`.

        Raises:
            ClusterError: a rollout did not finish, or none of the Deployments is there.
        """
        found = self.records()
        why = f"by run {found.rotation['run']}" if found.rotation else f"at {state.now()}"
        reason = f"{self.secret} {found.current or 'nothing'} {why}"
        return restart(self.cluster.keeping(heartbeat), deployments, reason, timeout=timeout)

    # --- see `RotatingPair` --------------------------------------------------------------------------------------

    def locked(self) -> AbstractContextManager[object]:
        """Nothing to hold: each write is on the condition that nothing else has written since the records were read."""
        return nullcontext()

    def records(self) -> PairInCluster:
        """Read both Secrets.

        Raises:
            PairError: one of them is of another type, or a record in the ledger cannot be read.
        """
        main, ledger = self.cluster.get("Secret", self.secret), self.cluster.get("Secret", self.ledger)
        if main is not None and main.get("type") != TLS:
            raise PairError(
                f"{self.place} is of type {main.get('type')}, not {TLS}, and the type of a Secret never changes: "
                "give the certificate a Secret of its own"
            )
        if ledger is not None and ledger.get("type") != LEDGER:
            raise PairError(
                f"there is a Secret {self.ledger} that is not pyrunbook's: its type is {ledger.get('type')}"
            )
        kept = data_of(ledger)
        names = [name.removesuffix(".crt") for name in kept if name.endswith(".crt")]
        versions = {name: (kept[f"{name}.crt"], kept[f"{name}.key"]) for name in names if f"{name}.key" in kept}
        data = data_of(main)
        pair = (data.get(_CERTIFICATE, b""), data.get(_KEY, b""))
        where = f"Secret {self.cluster.namespace}/{self.ledger}:"
        return PairInCluster(
            main=main,
            ledger=ledger,
            deployed=pair if any(pair) else None,
            current=self._version_of(pair, versions) if any(pair) else "",
            rotation=state.as_rotation(as_json(kept, "rotation.json"), f"{where} rotation.json"),
            retired=state.as_retired(as_json(kept, "retired.json"), f"{where} retired.json"),
            versions=versions,
        )

    def add(self, found: PairInCluster, rotation: dict[str, Any], certificate: bytes, key: bytes) -> None:
        """In one write."""
        new = {rotation["new"]: (certificate, key)}
        self._record(found, rotation=dict(rotation, step=STAGED), versions={**_kept(found), **new})

    def record(self, found: PairInCluster, rotation: dict[str, Any]) -> PairInCluster:
        """Where a rotation begins, the deployed pair is kept too."""
        versions = found.versions if found.rotation else _kept(found)
        return self._record(found, rotation=rotation, versions=versions)

    def record_retired(self, found: PairInCluster, retired: list[dict[str, str]]) -> None:
        """In one write."""
        self._record(found, retired=retired)

    def mismatch(self, found: PairInCluster, version: str) -> str:
        """By what `read` says of the pair that is kept."""
        seen = self.read(*found.kept(version))
        return "the private key does not belong to the certificate" if seen.matches is False else seen.problem

    def deploy(self, found: PairInCluster, version: str) -> None:
        """Write the pair into the Secret that the workload reads; other data in it stay."""
        certificate, key = found.kept(version) if version else (b"", b"")
        data = {**data_of(found.main), _CERTIFICATE: certificate, _KEY: key}
        write(self.cluster, self.secret, TLS, found.main, data, {VERSION_ANNOTATION: version})

    def end(self, found: PairInCluster, retired: list[dict[str, str]], removed: list[str]) -> None:
        """In one write."""
        left = {name: pair for name, pair in found.versions.items() if name not in removed}
        self._record(found, rotation=None, retired=retired, versions=left)

    def require_deployable(self, found: PairInCluster, version: str) -> None:
        """Refuse a Secret that is immutable, on its way out or another program's, and a version that is not kept."""
        metadata = (found.main or {}).get("metadata") or {}
        problem = ""
        if (found.main or {}).get("immutable"):
            problem = "is immutable"
        elif metadata.get("deletionTimestamp"):
            problem = "is being deleted"
        elif _ISSUED_BY_OTHERS in (metadata.get("annotations") or {}):
            problem = "is cert-manager's, which would replace the pair again"
        if problem:
            raise PairError(f"{self.place} {problem}: give the certificate a Secret of its own")
        if version:
            found.kept(version)

    def _record(self, found: PairInCluster, **changes: Any) -> PairInCluster:
        """Write the ledger with changes of `rotation`, `retired` or `versions`; returns what is there then."""
        after = replace(found, **changes)
        data = {f"{name}.crt": pair[0] for name, pair in after.versions.items()}
        data |= {f"{name}.key": pair[1] for name, pair in after.versions.items()}
        records = {"rotation.json": after.rotation, "retired.json": after.retired or None}
        for name, record in records.items():
            if record is not None:
                data[name] = json.dumps(record, sort_keys=True, indent=1).encode()
        return replace(after, ledger=write(self.cluster, self.ledger, LEDGER, found.ledger, data))

    def _version_of(self, pair: tuple[bytes, bytes], versions: dict[str, tuple[bytes, bytes]]) -> str:
        """The version that a deployed pair is: a kept one, or a name for one that something else has written."""
        for version, kept in versions.items():
            if kept == pair:
                return version
        digest = hashlib.sha256(pair[0] + b"\0" + pair[1]).hexdigest()[:12]
        serial = self.read(*pair).serial
        if not VERSION.fullmatch(serial):
            return f"unreadable-{digest}"
        return f"{serial}-{digest}" if serial in versions else serial


def _kept(found: PairInCluster) -> dict[str, tuple[bytes, bytes]]:
    """The versions that are kept, and the deployed one."""
    return ({found.current: found.deployed} if found.deployed else {}) | found.versions
