"""The pair of a service on platform kubernetes: what knows certificates and what knows the cluster, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pyrunbook.errors import BadInput, PyrunbookError
from pyrunbook.kubernetes.client import Cluster, Heartbeat, no_heartbeat
from pyrunbook.kubernetes.pair_secrets import PairReading
from pyrunbook.kubernetes.tls_secret import SecretPair
from pyrunbook.on_target.rotation_state import PairError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.errors import NotServed
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.pki.pair import NEXT, DirectStore
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


class SecretStore(DirectStore):
    """A pair in a Secret, as `pki.rotation.PairStore`.

    Args:
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
        self._secret = SecretPair(cluster, secret, read)
        super().__init__(self._secret)
        self._restart = list(restart)
        self._keeper = keeper
        self._timeout = timeout

    def read(self) -> PairState:
        with self._worded():
            return PairState.of(self._secret.look(), self.place)

    def reload(self) -> str:
        """See `PairStore.reload`: restarts what reads the pair at its start."""
        with _unproven():
            done = self._secret.reload(self._restart, timeout=self._timeout, heartbeat=self._keeper())
        if not self._restart:
            return "the workload reads the Secret by itself"
        pods = sum(each["ready"] for each in done["deployments"].values())
        restarted = "restarted" if done["changed"] else "was restarted for it before"
        return f"{', '.join(done['deployments'])} {restarted}, {pods} pods ready"

    def heartbeat(self) -> Heartbeat:
        """See `PairStore.heartbeat`.

        Raises:
            NotServed: now, or when it is called: the lock is lost, or cannot be renewed.
        """
        with _unproven():
            beat = self._keeper()

        def renew() -> None:
            with _unproven():
                beat()

        return renew


@contextmanager
def _unproven() -> Iterator[None]:
    """An error while a proof is waited for: nothing is proven then."""
    try:
        yield
    except PairError as error:
        raise NotServed(str(error), next_step=NEXT) from None
    except PyrunbookError as error:
        raise NotServed(error.seen, means=error.means, next_step=error.next_step, evidence=error.evidence) from None
