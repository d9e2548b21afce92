"""The certificates of a service for the action plugins: what is wanted, the issuers, and where each pair is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible import constants

from pyrunbook.errors import BadInput
from pyrunbook.plugins import target_program
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.rotation import PairStore
    from pyrunbook.pki.sources import Issuers
    from pyrunbook.pki.wanted import WantedCertificate


@contextmanager
def issuers_of(action: StepAction, given: Any = None) -> Iterator[Issuers]:
    """The issuers of a service, opened when they are asked for. From here on the process leaves no core dump.

    Args:
        given: others than those of the inventory.

    Raises:
        BadInput: the inventory describes them wrongly.
    """
    from pyrunbook.pki.secret import forbid_core_dumps
    from pyrunbook.pki.sources import Issuers

    forbid_core_dumps()
    with Issuers(action.variable("certificate_issuers") or {} if given is None else given) as issuers:
        yield issuers


def wanted_of(action: StepAction, issuers: Issuers) -> list[WantedCertificate]:
    """The certificates of a service, as its inventory describes them.

    Raises:
        BadInput: with what is wrong in the inventory.
    """
    from pyrunbook.pki.wanted import read_certificates

    given = action.variable("service_certificates") or []
    if not isinstance(given, list):
        raise BadInput("service_certificates is not a list of certificates")
    return read_certificates(given, issuers.names, str(action.variable("service_platform")))


@dataclass(frozen=True)
class ServiceCertificates:
    """The certificates of a service.

    Private keys live in this process, are written by the move that stages them, and are in nothing that a task shows.

    Attributes:
        wanted: all of the service's.
        issuers: opened when they are asked for.
    """

    action: StepAction
    wanted: list[WantedCertificate]
    issuers: Issuers

    def named(self, name: str) -> WantedCertificate:
        """The certificate of that name.

        Raises:
            BadInput: the service has none.
        """
        for each in self.wanted:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.wanted) or "none"
        raise BadInput(f"the service has no certificate {name!r} (service_certificates: {known})")

    def chosen(self, names: Sequence[str]) -> list[WantedCertificate]:
        """Those of these names; all of them where none is named.

        Raises:
            BadInput: the service has none of that name, or none at all.
        """
        chosen = [self.named(name) for name in names] or self.wanted
        if not chosen:
            raise BadInput("the service has no certificate (service_certificates is empty)")
        return chosen

    def store(self, wanted: WantedCertificate) -> PairStore:
        """Where the pair of a certificate is kept.

        Raises:
            BadInput: the inventory does not say which cluster it is in.
        """
        if self.action.variable("service_platform") == "kubernetes":
            return self._secret_store(wanted)
        from pyrunbook.plugins.host_store import HostStore

        return HostStore(wanted, self._on_the_machine)

    def _secret_store(self, wanted: WantedCertificate) -> PairStore:
        """The Secret of a certificate; a restart that is waited for renews the lock that this run holds."""
        from pyrunbook.kubernetes import lease
        from pyrunbook.plugins.secret_store import SecretStore

        cluster, run, name = self.action.cluster, self.action.run_id, self.action.variable("service_kubernetes_name")
        if not name:
            raise BadInput("platform kubernetes needs service_kubernetes_name")
        return SecretStore(cluster, wanted.secret, wanted.restart, lambda: lease.keeper(cluster, name, run))

    def _on_the_machine(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make a move of a pair on the machine; a key goes through standard input, and into no file."""
        if options.get("key"):
            if constants.DEFAULT_KEEP_REMOTE_FILES:
                raise BadInput(
                    "ANSIBLE_KEEP_REMOTE_FILES is set: the private key would stay in a temporary file",
                    next_step="unset ANSIBLE_KEEP_REMOTE_FILES",
                )
            connection = self.action._connection
            if connection.has_pipelining:
                connection.set_option("pipelining", True)
        return target_program.call(self.action, "pair", options, self.action.variables)


@contextmanager
def certificates_of(action: StepAction) -> Iterator[ServiceCertificates]:
    """The certificates of the service of a task, with its issuers.

    Raises:
        BadInput: with what is wrong in the inventory.
    """
    with issuers_of(action) as issuers:
        yield ServiceCertificates(action, wanted_of(action, issuers), issuers)
