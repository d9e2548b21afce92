"""Action plugin: the keys that sign templates: rotate those that are due, or see that they sign."""

from __future__ import annotations

import json
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """`rotated` makes new versions where they are due; `proven` signs a scratch text and verifies it, no more.

    With `path` also the service at `url` is asked to sign one.
    """

    ARGUMENTS = {
        "signing_keys": {"type": "list", "elements": "dict", "required": True},
        "issuers": {"type": "dict", "required": True},
        "state": {"type": "str", "required": True, "choices": ["rotated", "proven"]},
        "force": {"type": "bool", "default": False},
        "url": {"type": "str", "default": ""},
        "path": {"type": "str", "default": ""},
        "ca_file": {"type": "str", "default": ""},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """One key after the other; the first that fails ends it, and those before it stay as they are now."""
        from pyrunbook.pki import service_signature, signing_keys, signing_rotation
        from pyrunbook.pki.secret import forbid_core_dumps
        from pyrunbook.pki.sources import Issuers, read_signing_keys

        forbid_core_dumps()
        # Ansible's values carry tags, which a strict reader does not take for plain ones.
        given = json.loads(json.dumps({name: arguments[name] for name in ("signing_keys", "issuers")}))
        with Issuers(given["issuers"]) as issuers:
            wanted = read_signing_keys(given["signing_keys"], issuers)
            if not wanted:
                return {"changed": False, "detail": "the service has no signing key", "signing_keys": []}
            if arguments["state"] == "rotated":
                turned = [
                    signing_rotation.turn(each, force=arguments["force"], only_say=self.check_mode) for each in wanted
                ]
                return {
                    "changed": any(each.changed for each in turned),
                    "detail": " · ".join(each.detail for each in turned),
                    "evidence": {"signing_keys": [each.as_json() for each in turned]},
                }
            empty = [each.name for each in wanted if not each.keys.versions()]
            if empty:
                raise BadInput(
                    f"the signing key {', '.join(empty)} has no version yet",
                    means="nothing can be signed with it",
                    next_step="pyrunbook run maintenance/certificate_rotation --step rotate_signing_keys",
                )
            said = {each.name: signing_keys.prove(each.keys) for each in wanted}
            if arguments["path"]:
                said["service"] = service_signature.prove(
                    arguments["url"], arguments["path"], wanted, ca_file=arguments["ca_file"]
                )
        return {"changed": False, "detail": " · ".join(said.values()), "evidence": {"signing_keys": said}}
