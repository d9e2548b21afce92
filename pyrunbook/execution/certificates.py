"""The current certificates of services, read and judged as a rotation does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyrunbook import places
from pyrunbook.catalog import Runbook
from pyrunbook.errors import BadInput
from pyrunbook.execution import inventory
from pyrunbook.execution.role_query import Answer, read
from pyrunbook.run_contract import INPUT_WINDOW

NAMES, FORCE, PHASE = "certificate_names", "certificate_force", "rotate_certs_phase"
"""Inputs of a rotation."""
STATUS = "pyrunbook certs status"


@dataclass(frozen=True)
class Certificate:
    """One certificate of one service, or a service whose certificates could not be read.

    Attributes:
        service: its name in the inventory.
        name: of the certificate; empty where none could be read.
        state: what the action `certificate_state` tells of it; empty where none could be read.
        attention: what needs attention, a line each; empty where all is well.
        next_step: what to type then.
        variables: of the service, from its inventory.
    """

    service: str
    name: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    attention: tuple[str, ...] = ()
    next_step: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


def services_with(sources: tuple[str, ...], limit: str = "", names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The variables of the services that have certificates, or one of those that are named.

    Raises:
        BadInput: the inventory cannot be read, no service has certificates, or none has one that is named.
    """
    services = inventory.services(sources, limit)
    known = {service: names_in(variables) for service, variables in services.items()}
    if not any(found is None or found for found in known.values()):
        raise BadInput(
            f"none of these services has certificates: {', '.join(services)}",
            next_step="say in the inventory what they serve: service_certificates (docs/guides/certificates.md)",
        )
    if not any(found is None for found in known.values()):  # a template's names are known only to a play
        there = sorted({name for found in known.values() for name in found or ()})
        for name in names:
            if name not in there:
                raise BadInput(f"no certificate is named {name!r} (there are: {', '.join(there)})", next_step=STATUS)
    wanted = set(names)
    return {
        service: variables
        for service, variables in services.items()
        if (found := known[service]) is None or (wanted & set(found) if wanted else found)
    }


def services_that_sign(sources: tuple[str, ...], limit: str = "") -> list[str]:
    """The services that have signing keys; where none has, a skipped test would look like a passed one.

    Raises:
        BadInput: the inventory cannot be read, or none has.
    """
    services = inventory.services(sources, limit)
    found = [name for name, variables in services.items() if variables.get("service_signing_keys")]
    if not found:
        raise BadInput(
            f"none of these services has signing keys: {', '.join(services)}",
            next_step="say in the inventory what signs: service_signing_keys (docs/pki/README.md)",
        )
    return found


def names_in(variables: Mapping[str, Any]) -> list[str] | None:
    """The names of a service's certificates; `None` where the inventory gives them as a template."""
    given = variables.get("service_certificates") or []
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        return [str(one.get("name", "")) for one in given]
    return None


def _answers(
    rotation: Runbook, sources: tuple[str, ...], services: Iterable[str], inputs: Mapping[str, Any]
) -> list[Answer]:
    """What the role `certificate_state` reads of each service, as a rotation with these inputs would."""
    asked = {name: value for name, value in rotation.variables.items() if name.startswith("certificate_state_")}
    variables = {"certificate_state_runbook": rotation.id, **asked, **inputs}
    return read(sources, list(services), f"{places.COLLECTION}.certificate_state", "certificates", variables)


def cannot_wait(
    rotation: Runbook, sources: tuple[str, ...], services: Iterable[str], inputs: Mapping[str, Any]
) -> list[str]:
    """The services whose rotation does not wait for its window: something would expire before, or nothing is due.

    Raises:
        BadInput: the certificates of one cannot be read.
    """
    # Nothing else of the inputs: they may hold secrets, and these become arguments of a process.
    asked = {name: inputs[name] for name in (NAMES, FORCE, PHASE) if name in inputs}
    if INPUT_WINDOW in inputs:
        asked["certificate_state_window"] = inputs[INPUT_WINDOW]
    found = _answers(rotation, sources, services, asked)
    for one in found:
        if one.problem:
            raise BadInput(f"{one.service}: {one.problem}", next_step=one.next_step)
    return [one.service for one in found if one.result["window"] == "always"]


def look(
    rotation: Runbook, sources: tuple[str, ...], limit: str = "", names: Sequence[str] = ()
) -> Iterator[Certificate]:
    """Read every certificate, and see which of them need attention. Changes and records nothing.

    Raises:
        BadInput: see `services_with`.
    """
    services = services_with(sources, limit, names)
    for answer in _answers(rotation, sources, services, {}):
        variables = services[answer.service]
        if answer.problem:
            yield Certificate(
                answer.service, attention=(answer.problem,), next_step=answer.next_step, variables=variables
            )
        for name, state in answer.result.get("certificates", {}).items():
            if names and name not in names:
                continue
            attention, next_step = judge(answer.service, name, state)
            yield Certificate(answer.service, name, state, tuple(attention), next_step, variables)


def judge(service: str, name: str, state: Mapping[str, Any]) -> tuple[list[str], str]:
    """What needs attention, and what to type.

    A certificate that is due and waits for its window needs none: the next rotation replaces it in time. Neither does a
    staged pair: it is not to be served yet.
    """
    attention, steps = [], []
    if state["standing"]["run"] and not state["staged"]:
        attention.append(state["standing"]["seen"])
        steps.append(f"pyrunbook recover {state['standing']['run']}")
    if state["due"]["then"] == "rotate":
        attention.append(state["due"]["describe"])
        steps.append(f"pyrunbook certs rotate {name} --limit {service}")
    if state["staged_problem"]:
        attention.append(state["staged_problem"])
        steps.append(f"pyrunbook certs generate {name} --force --limit {service}")
    if state["obstacle"]:
        attention.append(state["obstacle"])
        steps.append(f"see owner and group of {name} in service_certificates")
    bad = [text for seen in state["served"] if (text := wrong(seen, state["serial"]))]
    if bad:
        attention += bad
        steps.append(f"pyrunbook certs validate {name} --limit {service}")
    attention += state["due"]["notes"]  # what could not be compared is not good
    return attention, steps[0] if steps else ""


def wrong(seen: Mapping[str, Any], deployed: str | None) -> str:
    """Why what an address serves is not good; empty where it is."""
    if seen["outcome"] != "pass":
        return f"{seen['address']}: {seen['detail']}"
    if deployed and seen["certificate"]["serial"] != deployed:
        return f"{seen['address']}: {seen['detail']}; {deployed} is deployed: the server has not read it"
    return ""
