"""Action plugin: see that the signing keys sign, and the service with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.errors import BadInput
from pyrunbook.plugins.signing_action import SigningAction

if TYPE_CHECKING:
    from pyrunbook.pki.sources import WantedSigningKey


class ActionModule(SigningAction):
    """The step `test_signature`: signs a scratch text and verifies it, no more."""

    KEYS = "test_signature_keys"

    def operate(self, keys: list[WantedSigningKey], inputs: dict[str, Any]) -> dict[str, Any]:
        """Test each key; then the service, where the inventory says where it signs."""
        from pyrunbook.pki import service_signature, signing_keys

        empty = [each.name for each in keys if not each.keys.versions()]
        if empty:
            raise BadInput(
                f"the signing key {', '.join(empty)} has no version yet",
                means="nothing can be signed with it",
                next_step="pyrunbook run maintenance/certificate_rotation --step rotate_signing_keys",
            )
        said = {each.name: signing_keys.prove(each.keys) for each in keys}
        if path := inputs["test_signature_path"]:
            url, ca_file = inputs["test_signature_url"], inputs["test_signature_ca_file"]
            said["service"] = service_signature.prove(url, path, keys, ca_file=ca_file)
        return {"changed": False, "detail": " · ".join(said.values()), "evidence": {"signing_keys": said}}
