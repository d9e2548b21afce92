"""The lock of a service on Kubernetes: a coordination.k8s.io Lease, held by one run.

A Lease whose holder has stopped renewing it is stale: it is reported, and never taken automatically, because the
run that held it may have left the service half changed. `break_lock` is the explicit command.
"""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.kubernetes.client import Cluster, Heartbeat, no_heartbeat, tries
from pyrunbook.kubernetes.errors import ClusterError, Conflict, Missing
from pyrunbook.kubernetes.kinds import Manifest

DURATION = 60
"""Seconds without a renewal after which a lock counts as stale."""
_TRIES = 8
_OPERATOR, _HOST, _SINCE = "pyrunbook/operator", "pyrunbook/host", "pyrunbook/since"


@dataclass(frozen=True)
class Lock:
    """A Lease as an operator sees it.

    Args:
        name: of the Lease.
        holder: id of the run that holds it, empty when it is free.
        operator: who started that run.
        host: the machine it was started on.
        since: when it was taken, ISO 8601.
        renewed: when it was last renewed, ISO 8601.
        stale: whether the last renewal is longer ago than the Lease's duration.
    """

    name: str
    holder: str = ""
    operator: str = ""
    host: str = ""
    since: str = ""
    renewed: str = ""
    stale: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON object of it, for a task's result."""
        return asdict(self)

    def __str__(self) -> str:
        """`run 7f3a of anna on ops1 since 2026-…, last renewed 2026-… (stale)`."""
        if not self.holder:
            return "free"
        by = f" of {self.operator}" if self.operator else ""
        at = f" on {self.host}" if self.host else ""
        state = "stale: its run has stopped renewing it" if self.stale else "alive"
        return f"run {self.holder}{by}{at} since {self.since}, last renewed {self.renewed} ({state})"


def lease_name(service: str) -> str:
    """The Lease of a service."""
    return f"pyrunbook-{service}"


def show(cluster: Cluster, service: str) -> Lock:
    """Who holds the lock of a service."""
    name = lease_name(service)
    return _lock(name, cluster.get("Lease", name))


def acquire(
    cluster: Cluster,
    service: str,
    holder: str,
    *,
    operator: str = "",
    predecessors: Iterable[str] = (),
    check: bool = False,
) -> tuple[Lock, bool]:
    """Take the lock, or see that this run holds it already.

    Args:
        holder: id of the run.
        operator: who started the run; the user of this process by default.
        predecessors: ids of the unfinished runs that this run recovers; it may take their lock over.
        check: only say whether it would have to be taken.

    Returns:
        the lock, and whether it had to be taken.

    Raises:
        Refused: another run holds it; says who, since when, and whether it is stale.
    """
    name = lease_name(service)
    allowed = {holder, *predecessors}
    taken = False
    for _ in tries(_TRIES):
        live = cluster.get("Lease", name)
        lock = _lock(name, live)
        if lock.holder and lock.holder not in allowed:
            raise _held(lock, service)
        mine = lock.holder == holder
        # What was not ours at the first look has been taken by this call, also where the answer to its write was lost.
        taken = taken or not mine
        if check:
            return lock, not mine
        now = _timestamp(_now())
        spec = dict((live or {}).get("spec") or {})
        spec |= {"holderIdentity": holder, "leaseDurationSeconds": DURATION, "renewTime": now}
        if not mine:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if live else 0)
        about = {_OPERATOR: operator or _user(), _HOST: socket.gethostname(), _SINCE: now}
        try:
            if live is None:
                written = cluster.create(
                    {"kind": "Lease", "metadata": {"name": name, "annotations": about}, "spec": spec}
                )
            else:
                kept = live["metadata"].get("annotations") or {}
                live["metadata"]["annotations"] = {**kept, **({} if mine else about)}
                written = cluster.replace({**live, "spec": spec})
        except (Conflict, Missing):
            continue
        return _lock(name, written), taken
    raise ClusterError(f"the Lease {name} in namespace {cluster.namespace} changed {_TRIES} times while it was taken")


def renew(cluster: Cluster, service: str, holder: str) -> Lock:
    """Say that the run is alive.

    Raises:
        Refused: the run does not hold the lock (any more): it must not change the service.
    """
    name = lease_name(service)
    for _ in tries(_TRIES):
        live = cluster.get("Lease", name)
        lock = _lock(name, live)
        if live is None or lock.holder != holder:
            raise Refused(
                f"run {holder} has lost the lock of {service}: it is {lock}",
                means="the lock was broken; another run may be changing the service",
                next_step="see that no other run is under way, then: pyrunbook recover",
            )
        with suppress(Conflict):
            return _lock(name, cluster.replace({**live, "spec": {**live["spec"], "renewTime": _timestamp(_now())}}))
    raise ClusterError(f"the Lease {name} changed {_TRIES} times while it was renewed")


def keeper(cluster: Cluster, service: str, holder: str) -> Heartbeat:
    """The heartbeat of a wait: renews the lock of the run at a third of its duration.

    A run without a lock (a role run by itself) gets none; a run is refused when another one holds the lock.

    Raises:
        Refused: now, or when the heartbeat is called: another run holds the lock.
    """
    lock = show(cluster, service)
    if not lock.holder:
        return no_heartbeat
    if lock.holder != holder:
        raise _held(lock, service)
    last: list[float] = []

    def beat() -> None:
        if not last or time.monotonic() - last[0] >= DURATION / 3:
            renew(cluster, service, holder)
            last[:] = [time.monotonic()]

    return beat


def release(cluster: Cluster, service: str, holder: str) -> bool:
    """Free the lock if this run holds it; `False` when it does not, and the lock is left as it is."""
    try:
        return break_lock(cluster, service, holder)
    except Refused:
        return False


def break_lock(cluster: Cluster, service: str, holder: str) -> bool:
    """Free the lock of the run that was shown to the operator.

    Returns:
        whether it was held.

    Raises:
        Refused: a different run holds it by now.
    """
    name = lease_name(service)
    for attempt in tries(_TRIES):
        live = cluster.get("Lease", name)
        lock = _lock(name, live)
        if live is None or not lock.holder:
            return attempt > 0  # freed by us after all, and the answer was lost
        if lock.holder != holder:
            raise _held(lock, service)
        spec = {k: v for k, v in live["spec"].items() if k not in ("holderIdentity", "acquireTime", "renewTime")}
        annotations = live["metadata"].get("annotations") or {}
        live["metadata"]["annotations"] = {k: v for k, v in annotations.items() if k not in (_OPERATOR, _HOST, _SINCE)}
        with suppress(Conflict, Missing):
            cluster.replace({**live, "spec": spec})
            return True
    raise ClusterError(f"the Lease {name} changed {_TRIES} times while it was freed")


def _held(lock: Lock, service: str) -> Refused:
    stale = f"pyrunbook recover, or, when that run has ended: pyrunbook unlock (run {lock.holder})"
    return Refused(
        f"the lock of {service} (Lease {lock.name}) is held by {lock}",
        means="its run died, lost the cluster, or could not put back what was there"
        if lock.stale
        else "another run is changing the service",
        next_step=stale if lock.stale else f"wait for it, or see: pyrunbook report {lock.holder}",
    )


def _lock(name: str, lease: Manifest | None) -> Lock:
    spec = (lease or {}).get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if lease is None or not holder:
        return Lock(name)
    annotations = lease["metadata"].get("annotations") or {}
    renewed = str(spec.get("renewTime") or spec.get("acquireTime") or "")
    duration = int(spec.get("leaseDurationSeconds") or DURATION)
    try:
        stale = _now() - datetime.fromisoformat(renewed) > timedelta(seconds=duration)
    except ValueError:
        stale = True
    since = annotations.get(_SINCE) or str(spec.get("acquireTime") or "")
    return Lock(name, holder, annotations.get(_OPERATOR, ""), annotations.get(_HOST, ""), since, renewed, stale)


def _now() -> datetime:
    return datetime.now(UTC)


def _timestamp(moment: datetime) -> str:
    """Kubernetes' MicroTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
