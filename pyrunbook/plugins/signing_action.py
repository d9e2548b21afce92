"""The base of the actions for the keys that sign templates."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.service_certificates import issuers_of
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.sources import WantedSigningKey


_NONE = {"changed": False, "detail": "the service has no signing key"}


class SigningAction(StepAction):
    """An operation on the signing keys of a service. Subclasses implement `operate`, and name the keys' input."""

    KEYS: str
    """The role's input that lists the keys, as `service_signing_keys` of the inventory does."""

    @abstractmethod
    def operate(self, keys: list[WantedSigningKey], inputs: dict[str, Any]) -> dict[str, Any]:
        """Do it, one key after the other. The first failure ends it; what was done to the keys before it stays."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Open the keys and operate; a service without any has nothing to do."""
        from pyrunbook.pki.sources import read_signing_keys

        with issuers_of(self) as issuers:
            keys = read_signing_keys(inputs[self.KEYS], issuers)
            return self.operate(keys, inputs) if keys else _NONE
