"""Action plugin: record what stands before the first change of a rotation; from then on the service has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.errors import Refused
from pyrunbook.plugins.rotation_begin import record, state_of
from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.pair_state import PairState


class ActionModule(StepAction):
    """The result has the names of the certificates to rotate (`due`), of those that are `waiting`, and all of them.

    Preflight has chosen them and checked the window for them. Refuses where another run has deployed one of them since:
    two runs may begin in the same second, and then only one of them has the lock from here on.
    """

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read and record; where nothing is due, nothing will change, and nothing is recorded."""
        with certificates_of(self) as service:
            state = self.variable("service_certificate_state")
            if not state:
                state = state_of(service, {"certificate_state_runbook": self.variable("runbook_id") or ""})
            names = {"due": state["due"], "waiting": state["waiting"], "certificates": list(state["certificates"])}
            if not state["due"]:
                return names
            kept = {each.name: service.store(each).read() for each in service.wanted}
            for name in state["due"]:
                _require_unchanged(name, state["certificates"][name]["standing"]["current"], kept[name])
            return {**names, **record(service, kept)}


def _require_unchanged(name: str, seen: str, held: PairState) -> None:
    """Refuse where another version is deployed than the one that the decision was about.

    Raises:
        Refused: says what is deployed now.
    """
    now = held.standing.current
    if seen != now:
        raise Refused(
            f"{now or 'nothing'} is deployed for certificate {name}; when this run began it was {seen or 'nothing'}",
            means="Another run has rotated it meanwhile. Nothing was changed.",
            next_step="pyrunbook certs status",
        )
