"""What a rotation of certificates begins with: what is seen of them, which are due, and the record of what stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyrunbook import catalog, windows
from pyrunbook.errors import Refused
from pyrunbook.plugins.service_certificates import ServiceCertificates
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.pair_state import PairState
    from pyrunbook.pki.status import CertificateStatus

ROLE = "certificate_state"
ALWAYS = "always"


def state_of(service: ServiceCertificates, given: dict[str, Any]) -> dict[str, Any]:
    """What was seen of the certificates, what is to be done, and which window preflight has to check.

    No window is needed (`window` is `always`) where nothing is due, or where what is due would expire before it opens.
    Where everything that is due has to wait, preflight refuses.

    Args:
        given: inputs of the role `certificate_state`, in place of what the host's variables have.

    Returns:
        A task's result with `certificates` by name (see `CertificateStatus.as_json`), `due` and `waiting` (names),
        `needs_window`, `window` and `window_override`.

    Raises:
        BadInput, Refused: nothing can be rotated, or not now.
        NotDeployed: the place of a pair cannot be read.
    """
    from pyrunbook.pki import status
    from pyrunbook.pki.due import Then, Window
    from pyrunbook.pki.rotation import require_writable

    action = service.action
    inputs = {**action.inputs_of(ROLE), **given}
    phase, schedule = inputs["certificate_state_phase"], _schedule(action, inputs)
    overridden, force = inputs["certificate_state_window_override"], inputs["certificate_state_force"]
    opens = None if overridden else Window(windows.next_open(schedule, datetime.now(UTC)))
    seen = {
        each.name: status.examine(each, service.store(each), service.issuers, phase=phase, force=force, window=opens)
        for each in service.chosen(inputs["certificate_state_only"])
    }
    rotate = {name: each.decision for name, each in seen.items() if each.decision.then is Then.ROTATE}
    waiting = [name for name, each in seen.items() if each.decision.then is Then.WAIT]
    begin = inputs["certificate_state_begin"]
    if begin:
        for name, each in seen.items():
            _require_ended(each, action.run_id)
            if name in rotate and phase != "deploy":
                require_writable(each.wanted, each.held)
    if phase == "deploy" and not rotate and not waiting:
        raise Refused(
            f"nothing is staged for {', '.join(seen)}",
            means="Nothing was changed.",
            next_step="generate it first, pyrunbook certs generate --force; or: pyrunbook certs rotate --force",
        )
    if begin and phase != "deploy":
        _require_logins(service, list(rotate))
    overrides = [f"{name}: {decision.override}" for name, decision in rotate.items() if decision.override]
    free = (phase == "generate" or len(overrides) == len(rotate)) and bool(rotate or not waiting)
    told = {"certificates": {name: each.as_json() for name, each in seen.items()}, "due": list(rotate)}
    told["waiting"] = waiting
    return {
        "changed": False,
        **told,
        "needs_window": not free,
        "window": ALWAYS if free else schedule.window.spec if schedule.window else "",
        "window_override": "; ".join(overrides),
        "detail": "; ".join(f"{name} {each.decision.describe()}" for name, each in seen.items()),
        "evidence": told,
    }


def record(service: ServiceCertificates, kept: Mapping[str, PairState]) -> dict[str, Any]:
    """What the journal records before the first change. The pairs stay where they are, with what is needed to go back.

    Args:
        kept: the state of the place of each, by its name.

    Returns:
        `plan`: `id` of the run, `checksum` of what stands; `detail` and `evidence`.
    """
    stands = {
        each.name: {
            "place": service.store(each).place,
            "deployed": kept[each.name].standing.current,
            "retired": [version.version for version in kept[each.name].retired],
        }
        for each in service.wanted
    }
    checksum = hashlib.sha256(json.dumps(stands, sort_keys=True).encode()).hexdigest()
    return {
        "plan": {"id": service.action.run_id, "checksum": checksum},
        "detail": "; ".join(f"{name}: {each['deployed'] or 'nothing'} is deployed" for name, each in stands.items()),
        "evidence": {"stands": stands},
    }


def _require_ended(seen: CertificateStatus, run: str) -> None:
    """Refuse to begin where another run's rotation has not ended, or something else has changed what it deployed.

    Raises:
        Refused: says what happened, and how to bring it to its end.
    """
    from pyrunbook.pki.rotation import never_served, unfinished

    if seen.held.standing.run not in ("", run) and not never_served(seen.held):
        raise unfinished(seen.wanted, seen.held)


def _require_logins(service: ServiceCertificates, due: list[str]) -> None:
    """Refuse to issue more than one certificate with a secret that opens only one login.

    Raises:
        Refused: the second login would look as if somebody had stolen the secret.
    """
    for issuer in {service.named(name).issuer for name in due}:
        names = [name for name in due if service.named(name).issuer == issuer]
        if len(names) > 1 and service.issuers.logs_in_once(issuer):
            raise Refused(
                f"{', '.join(names)} are due, and the wrapped secret id of {issuer} opens one login",
                means="Nothing was changed.",
                next_step=f"one after the other, each with a new secret id: -e certificate_names={names[0]}",
            )


def _schedule(action: StepAction, inputs: dict[str, Any]) -> windows.Schedule:
    """When a rotation may begin; preflight asks the same."""
    if not inputs["certificate_state_runbook"]:
        return windows.Schedule.read(inputs["certificate_state_window"] or ALWAYS)
    runbook = catalog.load().get(inputs["certificate_state_runbook"])
    given = {name: action.variable(name) for name in runbook.metadata.window.variables}
    return runbook.schedule(given, spec=inputs["certificate_state_window"])
