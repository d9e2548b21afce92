"""The two Secrets of a certificate: what one reading of them gives, and writes that nothing else may have come before.

    <secret>            type kubernetes.io/tls: what the workload reads
    <secret>-rotation   type pyrunbook.io/rotation: VERSION.crt and VERSION.key of every version that is kept,
                        rotation.json while a rotation is under way, retired.json

The pair itself shows which version is deployed, not the annotation, which is for people: others copy, edit
and apply Secrets.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from pyrunbook.kubernetes.client import Cluster, tries
from pyrunbook.kubernetes.errors import ClusterError, Conflict, Missing
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.on_target.rotation_moves import Records
from pyrunbook.on_target.rotation_state import PairError

TLS, LEDGER = "kubernetes.io/tls", "pyrunbook.io/rotation"
"""The types of the two Secrets; the API never changes the type of one."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
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


@dataclass(frozen=True, repr=False)
class PairInCluster(Records):
    """Both Secrets, from one reading. It holds keys, so it has no readable form.

    Attributes:
        main: the Secret that the workload reads; None where there is none.
        ledger: the one that keeps versions and records.
        deployed: the pair that the workload reads; None where there is none.
        versions: the pairs that are kept, by their names.
    """

    main: Manifest | None
    ledger: Manifest | None
    deployed: PemPair | None
    current: str
    rotation: dict[str, Any] | None
    retired: list[dict[str, str]]
    versions: dict[str, PemPair]

    def kept(self, version: str) -> PemPair:
        """The pair of a version.

        Raises:
            PairError: it is not kept.
        """
        if version not in self.versions:
            raise PairError(f"version {version} is not kept; there are: {', '.join(sorted(self.versions)) or 'none'}")
        return self.versions[version]


def write(
    cluster: Cluster,
    name: str,
    kind: str,
    live: Manifest | None,
    data: dict[str, bytes],
    annotations: dict[str, str] | None = None,
) -> Manifest:
    """Create a Secret, or replace its data where they are still those of `live`.

    After a conflict it is read again: it may have been our own write, whose answer was lost; where only labels or
    annotations have changed, it is tried again.

    Raises:
        PairError: something else has written it since.
    """
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    before = None if live is None else live.get("data") or {}
    writers = f"kubectl -n {cluster.namespace} get secret {name} -o jsonpath='{{.metadata.managedFields}}'"
    for _ in tries(_TRIES):
        metadata = dict((live or {}).get("metadata") or {"name": name})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **(annotations or {})}
        metadata["annotations"].pop(_APPLIED, None)  # it holds the key that was applied
        metadata["labels"] = {"app.kubernetes.io/managed-by": "pyrunbook", **(metadata.get("labels") or {})}
        wanted = {**(live or {"type": kind}), "kind": "Secret", "metadata": metadata, "data": encoded}
        try:
            return cluster.create(wanted) if live is None else cluster.replace(wanted)
        except (Conflict, Missing):
            live = cluster.get("Secret", name)
        there = None if live is None else live.get("data") or {}
        if live is not None and there == encoded:
            return live
        if there != before:
            happened = "deleted" if live is None else "changed"
            raise PairError(
                f"Secret {cluster.namespace}/{name} was {happened} by something else at the same time; "
                f"see what writes it: {writers}"
            )
    raise ClusterError(
        f"Secret {cluster.namespace}/{name} changed {_TRIES} times while it was written",
        means="something else keeps writing its labels or annotations",
        next_step=writers,
    )


def data_of(secret: Manifest | None) -> dict[str, bytes]:
    """What a Secret holds; nothing where there is none."""
    try:
        return {key: base64.b64decode(value) for key, value in ((secret or {}).get("data") or {}).items()}
    except binascii.Error:
        return {}  # the API takes nothing but base64


def as_json(data: dict[str, bytes], name: str) -> Any:
    """The data of a record; None where there is none, and text that is not JSON as itself."""
    if name not in data:
        return None
    try:
        return json.loads(data[name])
    except ValueError:
        return "no JSON"
