"""Action plugin: record what stands before the first change: from then on the service counts as changed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pyrunbook.errors import Refused
from pyrunbook.plugins.certificate_action import Asked, CertificateAction

if TYPE_CHECKING:
    from pyrunbook.pki.pair_state import PairState
    from pyrunbook.pki.wanted import WantedCertificate


class ActionModule(CertificateAction):
    """The result carries `plan`: `id` of the run, `checksum` of what stands.

    Refuses where another run has deployed one of `decided` since that was decided: two may begin in the same second,
    and only from here on one of them has the lock.

    The pairs themselves stay where they are: what is needed to go back is kept beside what is deployed.
    """

    ARGUMENTS = {"decided": {"type": "dict", "default": {}}}

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Read, and add it up."""
        stands = {}
        for wanted in asked.certificates:
            store = self.store(wanted)
            held = store.read()
            self._require_unchanged(wanted, held, asked.arguments["decided"])
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

    @staticmethod
    def _require_unchanged(wanted: WantedCertificate, held: PairState, decided: dict[str, Any]) -> None:
        """Refuse to act on a decision that was made of something else.

        Raises:
            Refused: says what is deployed now.
        """
        if wanted.name not in decided:
            return
        seen, now = decided[wanted.name]["standing"]["current"], held.standing.current
        if seen != now:
            raise Refused(
                f"{now or 'nothing'} is deployed for certificate {wanted.name}; when this run began it was "
                f"{seen or 'nothing'}",
                means="Another run has rotated it meanwhile. Nothing was changed.",
                next_step="pyrunbook certs status",
            )
