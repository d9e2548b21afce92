"""The pair of a service on platform kubernetes: what knows certificates and what knows the cluster, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyrunbook.errors import BadInput, PyrunbookError, Refused
from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.pair_secrets import PairReading
from pyrunbook.kubernetes.tls_secret import SecretPair
from pyrunbook.kubernetes.waiting import Heartbeat, no_heartbeat
from pyrunbook.on_target.rotation_state import PairError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.errors import NotDeployed, NotServed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.pki.pair_state import PairState

RESTART_SECONDS = 300.0
"""How long the Deployments of one certificate may take to be restarted, together."""


def read(certificate: bytes, key: bytes) -> PairReading:
    """Look into a certificate with its chain, and a key, both PEM."""
    try:
        leaf = certificates.parse(certificate, "tls.crt")[0]
    except BadInput as error:
        return PairReading("", None, error.seen)
    serial = certificates.serial_text(leaf.serial_number)
    try:
        return PairReading(serial, certificates.belongs(leaf, PrivateKey.from_pem(key, "tls.key")))
    except BadInput as error:
        return PairReading(serial, None, error.seen)


class SecretStore:
    """A pair in a Secret, as `pki.rotation.Store`.

    Args:
        cluster: where.
        secret: name of the Secret that the workload reads.
        restart: the Deployments to restart; empty: the workload reads the Secret by itself.
        keeper: gives, when a restart begins, what is called while it is waited for (`kubernetes.lease.keeper`).
        timeout: seconds for the restarts of one reload.
    """

    def __init__(
        self,
        cluster: Cluster,
        secret: str,
        restart: Sequence[str] = (),
        keeper: Callable[[], Heartbeat] = lambda: no_heartbeat,
        timeout: float = RESTART_SECONDS,
    ) -> None:
        self._pair = SecretPair(cluster, secret, read)
        self._restart = list(restart)
        self._keeper = keeper
        self._timeout = timeout

    @property
    def place(self) -> str:
        """For messages and the journal: where it is."""
        return self._pair.place

    def read(self) -> PairState:
        """What is deployed, what is kept and where a rotation stands.

        Raises:
            NotDeployed: the Secret is of another type, or a record in it cannot be read.
        """
        with _worded():
            return PairState.of(self._pair.look(), self.place)

    def stage(self, run: str, issued: Issued, about: dict[str, Any] | None = None) -> bool:
        """Keep a new pair beside the deployed one. See `SecretPair.stage`.

        Raises:
            Refused: another rotation is under way, or the Secret cannot be replaced.
        """
        with _worded(Refused):
            return self._pair.stage(run, issued.serial, issued.certificate_pem, issued.key.pem(), about)

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        """Begin a rotation back to a version that is still kept. See `SecretPair.reinstate`.

        Raises:
            Refused: another rotation is under way, or the version was revoked or is not kept.
        """
        with _worded(Refused):
            return self._pair.reinstate(run, version, undoes, about)

    def take_over(self, run: str, by: str) -> bool:
        """Make what `run` has staged the rotation of the run `by`. See `SecretPair.take_over`.

        Raises:
            Refused: nothing is staged by `run`, or it has gone further already.
        """
        with _worded(Refused):
            return self._pair.take_over(run, by)

    def activate(self, run: str) -> bool:
        """Deploy what was staged, in one write. See `SecretPair.activate`."""
        with _worded():
            return self._pair.activate(run)

    def reload(self) -> str:
        """Restart what reads the pair at its start; one line: what was done.

        Raises:
            NotServed: a restart failed: says why.
        """
        with _unproven():
            done = self._pair.reload(self._restart, timeout=self._timeout, heartbeat=self._keeper())
        if not self._restart:
            return "the workload reads the Secret by itself"
        pods = sum(each["ready"] for each in done["deployments"].values())
        restarted = "restarted" if done["changed"] else "was restarted for it before"
        return f"{', '.join(done['deployments'])} {restarted}, {pods} pods ready"

    def heartbeat(self) -> Heartbeat:
        """Renews the lock that this run holds.

        Raises:
            NotServed: now, or when it is called: the lock is lost, or cannot be renewed.
        """
        with _unproven():
            beat = self._keeper()

        def renew() -> None:
            with _unproven():
                beat()

        return renew

    def mark(self, run: str, step: str) -> bool:
        """Note that the workload was told (`reloaded`), or the new certificate `proven`. See `SecretPair.mark`."""
        with _worded():
            return self._pair.mark(run, step)

    def put_back(self, run: str) -> bool:
        """Deploy again what was deployed before. See `SecretPair.put_back`."""
        with _worded():
            return self._pair.put_back(run)

    def conclude(self, run: str) -> list[str]:
        """End the rotation. See `SecretPair.conclude`."""
        with _worded():
            return self._pair.conclude(run)

    def settle(self, version: str) -> bool:
        """Note that a retired version has been revoked, or has expired. See `SecretPair.settle`."""
        with _worded():
            return self._pair.settle(version)


@contextmanager
def _unproven() -> Iterator[None]:
    """What fails while a proof is waited for leaves it unproven."""
    try:
        yield
    except PairError as error:
        raise NotServed(str(error), next_step="pyrunbook certs status") from None
    except PyrunbookError as error:
        raise NotServed(error.seen, means=error.means, next_step=error.next_step, evidence=error.evidence) from None


@contextmanager
def _worded(kind: type[PyrunbookError] = NotDeployed) -> Iterator[None]:
    try:
        yield
    except PairError as error:
        raise kind(str(error), next_step="pyrunbook certs status") from None
