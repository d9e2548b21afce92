"""Action plugin: make a new version of each signing key that is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.signing_action import SigningAction

if TYPE_CHECKING:
    from pyrunbook.pki.sources import WantedSigningKey


class ActionModule(SigningAction):
    """The step `rotate_signing_keys`."""

    KEYS = "rotate_signing_keys_keys"

    def operate(self, keys: list[WantedSigningKey], inputs: dict[str, Any]) -> dict[str, Any]:
        """Rotate those that are due, or all of them when forced."""
        from pyrunbook.pki import signing_rotation

        force = inputs["rotate_signing_keys_force"]
        turned = [signing_rotation.turn(each, force=force, only_say=self.check_mode) for each in keys]
        return {
            "changed": any(each.changed for each in turned),
            "detail": " · ".join(each.detail for each in turned),
            "evidence": {"signing_keys": [each.as_json() for each in turned]},
        }
