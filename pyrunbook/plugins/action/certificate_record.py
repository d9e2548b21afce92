"""Action plugin: record what stands before the first change: from then on the service counts as changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pyrunbook.plugins.certificate_action import Asked, CertificateAction


class ActionModule(CertificateAction):
    """The result carries `plan`: `id` of the run, `checksum` of what stands.

    The pairs themselves stay where they are: what is needed to go back is kept beside what is deployed.
    """

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Read, and add it up."""
        stands = {}
        for wanted in asked.certificates:
            store = self.store(wanted)
            held = store.read()
            stands[wanted.name] = {
                "place": store.place,
                "deployed": held.standing.current,
                "retired": [each.version for each in held.retired],
            }
        checksum = hashlib.sha256(json.dumps(stands, sort_keys=True).encode()).hexdigest()
        detail = "; ".join(f"{name}: {each['deployed'] or 'nothing'} is deployed" for name, each in stands.items())
        return {
            "changed": False,
            "plan": {"id": self.run_id, "checksum": checksum},
            "detail": detail,
            "evidence": {"stands": stands},
        }
