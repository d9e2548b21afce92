"""The two Secrets of a certificate: what is in them at one look, and writes on the condition that nothing else wrote.

    <secret>            type kubernetes.io/tls: what the workload reads
    <secret>-rotation   type pyrunbook.io/rotation: VERSION.crt and VERSION.key of every version that is kept,
                        rotation.json while a rotation is under way, retired.json

The pair itself shows which version is deployed, not the annotation, which is for people: others copy, edit
and apply Secrets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError, Conflict, Missing
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.on_target import rotation_state as state
from pyrunbook.on_target.certificate_pair import VERSION
from pyrunbook.on_target.rotation_state import PairError

TLS, LEDGER = "kubernetes.io/tls", "pyrunbook.io/rotation"
"""The types of the two Secrets; the API never changes the type of one."""
VERSION_ANNOTATION = "pyrunbook.io/version"
_CERTIFICATE, _KEY = "tls.crt", "tls.key"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ISSUED_BY_OTHERS = "cert-manager.io/certificate-name"
_TRIES = 5

PemPair = tuple[bytes, bytes]
"""Certificate with its chain, and key; both PEM."""


def ledger_name(secret: str) -> str:
    """The Secret that keeps versions and records of another."""
    return f"{secret}-rotation"


@dataclass(frozen=True)
class PairReading:
    """The serial of a pair and whether it fits together, as read by the caller (this package knows no certificates).

    Attributes:
        serial: of the certificate, hex; empty where it cannot be read.
        matches: whether the key belongs to it; None where that could not be seen.
        problem: why certificate or key cannot be read; empty where they can.
    """

    serial: str
    matches: bool | None
    problem: str = ""

    @property
    def mismatch(self) -> str:
        """Why they cannot serve together; empty when they can."""
        return "the private key does not belong to the certificate" if self.matches is False else self.problem


Reader = Callable[[bytes, bytes], PairReading]
"""Looks into a certificate and a key, both PEM."""


@dataclass(frozen=True, repr=False)
class PairInCluster:
    """Both Secrets, from one reading. It holds keys, so it has no readable form.

    Attributes:
        main: the Secret that the workload reads; None where there is none.
        ledger: the one that keeps versions and records.
        deployed: the pair that the workload reads; None where there is none.
        current: which version that is; empty where there is none.
        rotation: the rotation that is under way; None between two.
        retired: see `rotation_state.retired`.
        versions: the pairs that are kept.
    """

    main: Manifest | None
    ledger: Manifest | None
    deployed: PemPair | None
    current: str
    rotation: dict[str, Any] | None
    retired: list[dict[str, str]]
    versions: dict[str, PemPair]

    @property
    def standing(self) -> dict[str, Any]:
        """See `rotation_state.judge`."""
        return state.judge(self.current, sorted(self.versions), self.rotation)

    def kept(self, version: str) -> PemPair:
        """The pair of a version.

        Raises:
            PairError: it is not kept.
        """
        if version not in self.versions:
            raise PairError(f"version {version} is not kept; there are: {', '.join(sorted(self.versions)) or 'none'}")
        return self.versions[version]


@dataclass(frozen=True)
class PairSecrets:
    """The two Secrets.

    Attributes:
        cluster: where.
        secret: name of the Secret that the workload reads.
        read: looks into a pair.
    """

    cluster: Cluster
    secret: str
    read: Reader

    @property
    def place(self) -> str:
        """`Secret agent-factory/agent-factory-tls`."""
        return f"Secret {self.cluster.namespace}/{self.secret}"

    @property
    def ledger(self) -> str:
        """Name of the Secret that keeps versions and records."""
        return ledger_name(self.secret)

    def look(self) -> PairInCluster:
        """Read both.

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
        kept = _data(ledger)
        names = [name.removesuffix(".crt") for name in kept if name.endswith(".crt")]
        versions = {name: (kept[f"{name}.crt"], kept[f"{name}.key"]) for name in names if f"{name}.key" in kept}
        data = _data(main)
        pair = (data.get(_CERTIFICATE, b""), data.get(_KEY, b""))
        where = f"Secret {self.cluster.namespace}/{self.ledger}:"
        return PairInCluster(
            main=main,
            ledger=ledger,
            deployed=pair if any(pair) else None,
            current=self._version_of(pair, versions) if any(pair) else "",
            rotation=state.as_rotation(_json(kept, "rotation.json"), f"{where} rotation.json"),
            retired=state.as_retired(_json(kept, "retired.json"), f"{where} retired.json"),
            versions=versions,
        )

    def require_replaceable(self, found: PairInCluster) -> None:
        """See that the pair can be replaced, before anything is written.

        Raises:
            PairError: the Secret is immutable, on its way out, or another program's.
        """
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

    def record(self, found: PairInCluster, **changes: Any) -> PairInCluster:
        """Write the ledger with changes of `rotation`, `retired` or `versions`.

        Returns:
            what is there then, for the next write.

        Raises:
            PairError: something else has written it since `found`.
        """
        after = replace(found, **changes)
        data = {f"{name}.crt": pair[0] for name, pair in after.versions.items()}
        data |= {f"{name}.key": pair[1] for name, pair in after.versions.items()}
        if after.rotation is not None:
            data["rotation.json"] = _text(after.rotation)
        if after.retired:
            data["retired.json"] = _text(after.retired)
        return replace(after, ledger=self._write(self.ledger, LEDGER, found.ledger, data, {}))

    def deploy(self, found: PairInCluster, pair: PemPair, version: str) -> None:
        """Write the pair into the Secret that the workload reads; other data in it stay.

        Raises:
            PairError: something else has written it since `found`.
        """
        data = {**_data(found.main), _CERTIFICATE: pair[0], _KEY: pair[1]}
        self._write(self.secret, TLS, found.main, data, {VERSION_ANNOTATION: version})

    def _version_of(self, pair: PemPair, versions: dict[str, PemPair]) -> str:
        """The version that a deployed pair is: a kept one, or a name for one that something else has written."""
        for version, kept in versions.items():
            if kept == pair:
                return version
        digest = hashlib.sha256(pair[0] + b"\0" + pair[1]).hexdigest()[:12]
        serial = self.read(*pair).serial
        if not VERSION.fullmatch(serial):
            return f"unreadable-{digest}"
        return f"{serial}-{digest}" if serial in versions else serial

    def _write(
        self, name: str, kind: str, live: Manifest | None, data: dict[str, bytes], annotations: dict[str, str]
    ) -> Manifest:
        """Create the Secret, or replace its data where they are still those of `live`.

        After a conflict it is read again: it may have been our own write, whose answer was lost; where only labels or
        annotations have changed, it is tried again.
        """
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        before = None if live is None else live.get("data") or {}
        writers = f"kubectl -n {self.cluster.namespace} get secret {name} -o jsonpath='{{.metadata.managedFields}}'"
        for attempt in range(_TRIES):
            metadata = dict((live or {}).get("metadata") or {"name": name})
            metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
            metadata["annotations"].pop(_APPLIED, None)  # it holds the key that was applied
            metadata["labels"] = {"app.kubernetes.io/managed-by": "pyrunbook", **(metadata.get("labels") or {})}
            wanted = {**(live or {"type": kind}), "kind": "Secret", "metadata": metadata, "data": encoded}
            try:
                return self.cluster.create(wanted) if live is None else self.cluster.replace(wanted)
            except (Conflict, Missing):
                live = self.cluster.get("Secret", name)
            there = None if live is None else live.get("data") or {}
            if live is not None and there == encoded:
                return live
            if there != before:
                happened = "deleted" if live is None else "changed"
                raise PairError(
                    f"Secret {self.cluster.namespace}/{name} was {happened} by something else at the same time; "
                    f"see what writes it: {writers}"
                )
            time.sleep(0.05 * (attempt + 1))
        raise ClusterError(
            f"Secret {self.cluster.namespace}/{name} changed {_TRIES} times while it was written",
            means="something else keeps writing its labels or annotations",
            next_step=writers,
        )


def _data(secret: Manifest | None) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(value) for key, value in ((secret or {}).get("data") or {}).items()}
    except binascii.Error:
        return {}  # the API takes nothing but base64


def _json(data: dict[str, bytes], name: str) -> Any:
    """The data of a record; None where there is none, and text that is not JSON as itself."""
    if name not in data:
        return None
    try:
        return json.loads(data[name])
    except ValueError:
        return "no JSON"


def _text(record: Any) -> bytes:
    return json.dumps(record, sort_keys=True, indent=1).encode()
