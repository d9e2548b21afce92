"""What is missing to run here: each thing that a run needs, looked at without changing anything."""

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

from pyrunbook import places, service
from pyrunbook.errors import PyrunbookError
from pyrunbook.execution import inventory
from pyrunbook.execution.reading import Reading, read
from pyrunbook.redaction import redact_text
from pyrunbook.rollout.checks import HttpCheck, perform


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is as a run needs it, what was seen, and what to do otherwise."""

    name: str
    good: bool
    seen: str
    next_step: str = ""


def examine(sources: tuple[str, ...], limit: str = "") -> Iterator[Finding]:
    """Look at this machine, then at the services of an inventory.

    Args:
        sources: inventory sources.
        limit: host pattern, or empty.
    """
    for look in (_ansible, _configuration, _state_directory, _journal):
        yield _guarded(look.__name__.strip("_").replace("_", " "), look)
    try:
        services = inventory.services(sources, limit)
    except PyrunbookError as error:
        yield Finding("inventory", False, redact_text(error.seen), error.next_step)
        return
    count = "1 service" if len(services) == 1 else f"{len(services)} services"
    yield Finding("inventory", True, f"{count}: {', '.join(services)}")
    for name, variables in services.items():
        yield _guarded(f"{name}: inventory", partial(_contract, name, variables, sources))
        if variables.get("service_platform") == "kubernetes":
            yield from _permissions(name, variables)
        host = variables.get("service_platform") == "host"
        (told,) = read(sources, [name], "service_state", "state", tasks="doctor.yml")
        yield _guarded(f"{name}: state", partial(_service, told))
        if not told.problem and host:
            yield from _machine(told)
            yield from _color(name, variables, told.result["state"])
        yield _guarded(f"{name}: url", partial(_url, name, variables))


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        found = look()
    except PyrunbookError as error:
        found = Finding(name, False, error.seen, error.next_step or "correct it, then: pyrunbook doctor")
    except OSError as error:
        found = Finding(name, False, f"{error.filename}: {error.strerror}", f"correct it, or set {places.ENV_HOME}")
    # What is shown here is copied into tickets.
    return replace(found, seen=redact_text(found.seen), next_step=redact_text(found.next_step))


def _ansible() -> Finding:
    version = importlib.metadata.version("ansible-core")
    command = Path(sys.executable).parent / "ansible-playbook"
    if not os.access(command, os.X_OK):
        return Finding("ansible", False, f"{command} is missing", "pip install --force-reinstall ansible-core")
    supported = (2, 19) <= tuple(int(part) for part in version.split(".")[:2]) <= (2, 21)
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return Finding(
        "ansible",
        supported,
        f"ansible-core {version}, {python}",
        "" if supported else "pip install 'ansible-core<2.22'",
    )


def _configuration() -> Finding:
    path = places.ansible_config()
    if not path.is_file():
        return Finding("configuration", False, f"{path} is missing", "unset ANSIBLE_CONFIG")
    if path.parent.stat().st_mode & stat.S_IWOTH:
        return Finding(
            "configuration",
            False,
            f"{path.parent} is world-writable: a direct ansible-playbook would ignore {path.name}",
            f"chmod o-w {path.parent}",
        )
    return Finding("configuration", True, str(path))


def _state_directory() -> Finding:
    home = places.home()
    if not home.exists():  # the first run makes it
        above = next(parent for parent in home.parents if parent.exists())
        good = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        remedy = "" if good else f"set {places.ENV_HOME}"
        return Finding("state directory", good, f"{home} can{'' if good else 'not'} be made", remedy)
    if not home.is_dir():
        return Finding("state directory", False, f"{home} is not a directory", f"set {places.ENV_HOME}")
    if not os.access(home, os.W_OK):
        return Finding("state directory", False, f"{home} cannot be written", f"set {places.ENV_HOME}")
    if home.stat().st_mode & 0o077:
        return Finding("state directory", False, f"{home} is open to others", f"chmod 700 {home}")
    return Finding("state directory", True, str(home))


def _journal() -> Finding:
    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        unfinished = [run.id for run in journal.unfinished() if not run.check_mode]
        if unfinished:
            return Finding(
                "journal", False, f"unfinished runs: {', '.join(unfinished)}", f"pyrunbook recover {unfinished[0]}"
            )
        return Finding("journal", True, journal.shown_url)


def _contract(name: str, variables: dict[str, Any], sources: tuple[str, ...]) -> Finding:
    only_certificates = "service_certificates" in variables and "service_colors" not in variables
    service.read(name, variables, sources, complete=not only_certificates)
    return Finding(f"{name}: inventory", True, "complete and well-formed")


def _service(told: Reading) -> Finding:
    if told.problem:
        return Finding(f"{told.service}: state", False, told.problem.splitlines()[0], told.next_step)
    return Finding(f"{told.service}: state", True, "reachable, its state can be read")


def _color(name: str, variables: dict[str, Any], state: dict[str, Any]) -> Iterator[Finding]:
    """The color that serves, from both sides: where its machine's proxy dials it, and where it is checked from here."""
    active = state["active"]
    given = (variables.get("service_colors") or {}).get(active) or {}
    if not given:
        yield Finding(f"{name}: traffic", False, f"{state['upstream']} is no color's address", "start a color by hand")
        return
    silence, address = state["colors"][active]["silence"], given.get("address")
    yield Finding(
        f"{name}: {active} on its machine",
        not silence,
        f"{address}: {silence or 'accepts connections'}",
        f"start it on its machine, or correct service_colors.{active}.address" if silence else "",
    )
    url = {"service_url": given.get("url", ""), "service_ready_check": variables.get("service_ready_check")}
    yield _guarded(f"{name}: {active} from here", partial(_url, name, url, f"{active} from here"))


def _machine(told: Reading) -> Iterator[Finding]:
    """What an update would be refused for on the machine: rights, space, ports, the maintenance answer."""
    name, obstacles = f"{told.service}: machine", told.result.get("obstacles", [])
    for each in obstacles:
        yield Finding(name, False, redact_text(each["seen"]), redact_text(each["next_step"]))
    if not obstacles:
        yield Finding(name, True, "has what an update needs: rights, space, ports")


def _permissions(name: str, variables: dict[str, Any]) -> Iterator[Finding]:
    from pyrunbook.kubernetes import access, client

    def look() -> Finding:
        cluster = client.connect(
            variables.get("service_kubeconfig"), variables.get("service_context"), variables.get("service_namespace")
        )
        certificates = variables.get("service_certificates") or []
        secrets = [str(each["secret"]) for each in certificates if isinstance(each, dict) and "secret" in each]
        count = access.require(cluster, [secret for secret in secrets if "{{" not in secret])
        return Finding(f"{name}: permissions", True, f"all {count} that are needed")

    yield _guarded(f"{name}: permissions", look)


def _url(name: str, variables: dict[str, Any], what: str = "url") -> Finding:
    url = str(variables.get("service_url", ""))
    if "{{" in url or "__ansible_vault" in url or not url:
        return Finding(f"{name}: {what}", True, f"{url or 'none'}: not looked at, a play resolves it")
    ready = variables.get("service_ready_check") or {"name": "ready", "path": "/ready"}
    result = perform(HttpCheck.parse(ready), url)
    remedy = "" if result.passed else f"see why {url}{ready.get('path', '/')} does not answer from this machine"
    return Finding(f"{name}: {what}", result.passed, f"{url}: {result.detail}", remedy)
