"""What `pyrunbook doctor` examines: each thing that a run needs. Nothing is changed."""

from __future__ import annotations

import importlib.metadata
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pyrunbook import catalog, places, service
from pyrunbook.catalog.leftovers import leftovers
from pyrunbook.errors import PyrunbookError
from pyrunbook.execution import inventory
from pyrunbook.execution.role_query import Answer, read
from pyrunbook.redaction import redact_text
from pyrunbook.rollout.checks import HttpCheck, perform


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was examined: whether a run can work with it, what was seen, and what to do.

    Where a run can work with it, `next_step` is what may be tidied up.
    """

    name: str
    good: bool
    seen: str
    next_step: str = ""


def examine(sources: tuple[str, ...], limit: str = "") -> Iterator[Diagnosis]:
    """Look at this machine and the project, then at the services of an inventory."""
    for look in (_ansible, _project, _configuration, _state_directory, _journal):
        yield _guarded(look.__name__.strip("_").replace("_", " "), look)
    for leftover in leftovers(places.content()):
        yield Diagnosis("project", True, leftover.seen, leftover.next_step)
    try:
        services = inventory.services(sources, limit)
    except PyrunbookError as error:
        yield Diagnosis("inventory", False, redact_text(error.seen), error.next_step)
        return
    count = "1 service" if len(services) == 1 else f"{len(services)} services"
    yield Diagnosis("inventory", True, f"{count}: {', '.join(services)}")
    for name, variables in services.items():
        yield _guarded(f"{name}: inventory", partial(_contract, name, variables, sources))
        if variables.get("service_platform") == "kubernetes":
            yield from _permissions(name, variables)
        host = variables.get("service_platform") == "host"
        (told,) = read(sources, [name], f"{places.COLLECTION}.service_state", "state", tasks="doctor.yml")
        yield _guarded(f"{name}: state", partial(_service, told))
        if not told.problem and host:
            yield from _machine(told)
            yield from _color(name, variables, told.result["state"])
        yield _guarded(f"{name}: url", partial(_url, name, variables))


def _guarded(name: str, look: Callable[[], Diagnosis]) -> Diagnosis:
    try:
        found = look()
    except PyrunbookError as error:
        found = Diagnosis(name, False, error.seen, error.next_step or "correct it, then: pyrunbook doctor")
    except OSError as error:
        found = Diagnosis(name, False, f"{error.filename}: {error.strerror}", f"correct it, or set {places.ENV_HOME}")
    # What is shown here is copied into tickets.
    return replace(found, seen=redact_text(found.seen), next_step=redact_text(found.next_step))


def _ansible() -> Diagnosis:
    version = importlib.metadata.version("ansible-core")
    command = Path(sys.executable).parent / "ansible-playbook"
    if not os.access(command, os.X_OK):
        return Diagnosis("ansible", False, f"{command} is missing", "pip install --force-reinstall ansible-core")
    supported = (2, 19) <= tuple(int(part) for part in version.split(".")[:2]) <= (2, 21)
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return Diagnosis(
        "ansible",
        supported,
        f"ansible-core {version}, {python}",
        "" if supported else "pip install 'ansible-core<2.22'",
    )


def _project() -> Diagnosis:
    """Which project commands are about, and what it goes before."""
    own, around = places.project(), list(places.project_files())
    if own is None:
        return Diagnosis("project", True, "none around this directory: the shipped runbooks")
    named = bool(os.environ.get(places.ENV_CONTENT))
    how = f"named by --project or {places.ENV_CONTENT}" if named else f"found by {around.pop(0).name}"
    others = [str(file.parent) for file in around if file.parent != own]
    before = f"; goes before {' and '.join(others)}" if others else ""
    runbooks = catalog.load()
    count = "1 runbook" if len(runbooks.own) == 1 else f"{len(runbooks.own)} runbooks"
    instead = f", in place of shipped ones: {', '.join(runbooks.replacing)}" if runbooks.replacing else ""
    return Diagnosis("project", True, f"{own}, {how}{before}; {count} of its own{instead}")


def _configuration() -> Diagnosis:
    path = places.ansible_config()
    if not path.is_file():
        return Diagnosis("configuration", False, f"{path} is missing", "unset ANSIBLE_CONFIG")
    if path.parent.stat().st_mode & stat.S_IWOTH:
        return Diagnosis(
            "configuration",
            False,
            f"{path.parent} is world-writable: a direct ansible-playbook would ignore {path.name}",
            f"chmod o-w {path.parent}",
        )
    return Diagnosis("configuration", True, str(path))


def _state_directory() -> Diagnosis:
    home = places.home()
    if not home.exists():  # the first run makes it
        above = next(parent for parent in home.parents if parent.exists())
        good = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        remedy = "" if good else f"set {places.ENV_HOME}"
        return Diagnosis("state directory", good, f"{home} can{'' if good else 'not'} be made", remedy)
    if not home.is_dir():
        return Diagnosis("state directory", False, f"{home} is not a directory", f"set {places.ENV_HOME}")
    if not os.access(home, os.W_OK):
        return Diagnosis("state directory", False, f"{home} cannot be written", f"set {places.ENV_HOME}")
    if home.stat().st_mode & 0o077:
        return Diagnosis("state directory", False, f"{home} is open to others", f"chmod 700 {home}")
    return Diagnosis("state directory", True, str(home))


def _journal() -> Diagnosis:
    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        unfinished = [run.id for run in journal.unfinished() if not run.check_mode]
        if unfinished:
            return Diagnosis(
                "journal", False, f"unfinished runs: {', '.join(unfinished)}", f"pyrunbook recover {unfinished[0]}"
            )
        return Diagnosis("journal", True, journal.shown_url)


def _contract(name: str, variables: dict[str, Any], sources: tuple[str, ...]) -> Diagnosis:
    only_certificates = "service_certificates" in variables and "service_colors" not in variables
    service.read(name, variables, sources, complete=not only_certificates)
    return Diagnosis(f"{name}: inventory", True, "complete and well-formed")


def _service(told: Answer) -> Diagnosis:
    if told.problem:
        return Diagnosis(f"{told.service}: state", False, told.problem.splitlines()[0], told.next_step)
    return Diagnosis(f"{told.service}: state", True, "reachable, its state can be read")


def _color(name: str, variables: dict[str, Any], state: dict[str, Any]) -> Iterator[Diagnosis]:
    """The color that serves, from both sides: where its machine's proxy dials it, and where it is checked from here."""
    active = state["active"]
    given = (variables.get("service_colors") or {}).get(active) or {}
    if not given:
        yield Diagnosis(
            f"{name}: traffic", False, f"{state['upstream']} is no color's address", "start a color by hand"
        )
        return
    silence, address = state["colors"][active]["silence"], given.get("address")
    yield Diagnosis(
        f"{name}: {active} on its machine",
        not silence,
        f"{address}: {silence or 'accepts connections'}",
        f"start it on its machine, or correct service_colors.{active}.address" if silence else "",
    )
    url = {"service_url": given.get("url", ""), "service_ready_check": variables.get("service_ready_check")}
    yield _guarded(f"{name}: {active} from here", partial(_url, name, url, f"{active} from here"))


def _machine(told: Answer) -> Iterator[Diagnosis]:
    """What an update would be refused for on the machine: rights, space, ports, the maintenance answer."""
    name, obstacles = f"{told.service}: machine", told.result.get("obstacles", [])
    for each in obstacles:
        yield Diagnosis(name, False, redact_text(each["seen"]), redact_text(each["next_step"]))
    if not obstacles:
        yield Diagnosis(name, True, "has what an update needs: rights, space, ports")


def _permissions(name: str, variables: dict[str, Any]) -> Iterator[Diagnosis]:
    from pyrunbook.kubernetes import access, client

    def look() -> Diagnosis:
        cluster = client.connect(
            variables.get("service_kubeconfig"), variables.get("service_context"), variables.get("service_namespace")
        )
        certificates = variables.get("service_certificates") or []
        secrets = [str(each["secret"]) for each in certificates if isinstance(each, dict) and "secret" in each]
        count = access.require(cluster, [secret for secret in secrets if "{{" not in secret])
        return Diagnosis(f"{name}: permissions", True, f"all {count} that are needed")

    yield _guarded(f"{name}: permissions", look)


def _url(name: str, variables: dict[str, Any], what: str = "url") -> Diagnosis:
    url = str(variables.get("service_url", ""))
    if "{{" in url or "__ansible_vault" in url or not url:
        return Diagnosis(f"{name}: {what}", True, f"{url or 'none'}: not checked, because only a play resolves it")
    ready = variables.get("service_ready_check") or {"name": "ready", "path": "/ready"}
    result = perform(HttpCheck.parse(ready), url)
    remedy = "" if result.passed else f"see why {url}{ready.get('path', '/')} does not answer from this machine"
    return Diagnosis(f"{name}: {what}", result.passed, f"{url}: {result.detail}", remedy)
