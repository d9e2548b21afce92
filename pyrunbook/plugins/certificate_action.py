"""The base of the action plugins for certificates: what is wanted, the issuers, and where each pair stands."""

from __future__ import annotations

import json
from abc import abstractmethod
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


@dataclass(frozen=True)
class Asked:
    """What a plugin was asked for, read.

    Attributes:
        certificates: all of the service's.
        issuers: opened when they are asked for.
        arguments: the plugin's own, plain data.
    """

    certificates: list[WantedCertificate]
    issuers: Issuers
    arguments: dict[str, Any]

    def named(self, name: str) -> WantedCertificate:
        """The certificate of that name.

        Raises:
            BadInput: the service has none.
        """
        for each in self.certificates:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.certificates) or "none"
        raise BadInput(f"the service has no certificate {name!r} (service_certificates: {known})")


class CertificateAction(StepAction):
    """An operation on a service's certificates, which the inventory describes. Subclasses implement `operate`.

    Private keys live in this process, are written by the move that stages them, and are in nothing that a task shows.
    """

    @abstractmethod
    def operate(self, asked: Asked) -> dict[str, Any]:
        """Do it; see `StepAction.act`."""

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Read the inventory's words and operate."""
        from pyrunbook.pki.secret import forbid_core_dumps
        from pyrunbook.pki.sources import Issuers
        from pyrunbook.pki.wanted import read_certificates

        forbid_core_dumps()
        # Ansible's values carry tags, which other libraries do not know.
        arguments = json.loads(json.dumps(arguments))
        wanted, known = self.variable("service_certificates") or [], self.variable("certificate_issuers") or {}
        if not isinstance(wanted, list):
            raise BadInput("service_certificates is not a list of certificates")
        if not isinstance(known, dict):
            raise BadInput("certificate_issuers does not give each issuer its name")
        with Issuers(known) as issuers:
            certificates = read_certificates(wanted, issuers.names, str(self.variable("service_platform")))
            return self.operate(Asked(certificates, issuers, arguments))

    def store(self, wanted: WantedCertificate) -> PairStore:
        """Where a certificate stands."""
        if self.variable("service_platform") == "kubernetes":
            return self._secret_store(wanted)
        from pyrunbook.plugins.host_store import HostStore

        return HostStore(wanted, self._on_the_machine)

    def _secret_store(self, wanted: WantedCertificate) -> PairStore:
        """The Secret of a certificate; a restart that is waited for renews the lock that this run holds."""
        from pyrunbook.kubernetes import lease
        from pyrunbook.kubernetes.client import PATIENCE, connect
        from pyrunbook.plugins.secret_store import SecretStore

        namespace, name = self.variable("service_namespace"), self.variable("service_kubernetes_name")
        if not namespace or not name:
            raise BadInput("platform kubernetes needs service_namespace and service_kubernetes_name")
        cluster = connect(
            self.variable("service_kubeconfig") or None,
            self.variable("service_context") or None,
            namespace,
            patience=PATIENCE,
        )
        return SecretStore(cluster, wanted.secret, wanted.restart, lambda: lease.keeper(cluster, name, self.run_id))

    def _on_the_machine(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make a move of a pair on the machine; a key goes through standard input, and into no file."""
        if options.get("key"):
            if constants.DEFAULT_KEEP_REMOTE_FILES:
                raise BadInput(
                    "ANSIBLE_KEEP_REMOTE_FILES is set: the private key would stay in a temporary file",
                    next_step="unset ANSIBLE_KEEP_REMOTE_FILES",
                )
            if self._connection.has_pipelining:
                self._connection.set_option("pipelining", True)
        return target_program.call(self, "pair", options, self.variables)
