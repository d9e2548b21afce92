"""Bringing up what should run, and seeing that it serves."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.sandbox import credentials
from pyrunbook.sandbox.layout import PROXY, TLS_PROXY, Layout, unit
from pyrunbook.sandbox.processes import wait_for
from pyrunbook.sandbox.state import SandboxSettings
from pyrunbook.sandbox.supervision import Supervisor, bring_back, http_status, is_ready, serving_color

START_SECONDS = 20.0
"""How long `up` waits for supervisor and the proxies; on a loaded machine they need a few."""
_READY_SECONDS = 10.0


def bring_up(
    layout: Layout, settings: SandboxSettings, supervisor: Supervisor, colors: set[str]
) -> tuple[list[str], str]:
    """Start the proxies, the color that serves and `colors`, and wait until they answer.

    Returns:
        The programs that were started, and what is not as it should be although the proxy answers; may be empty.

    Raises:
        FailedAndPutBack: a proxy does not answer, or does not serve the first certificate; the caller ends all.
        SupervisorUnreachable: it has gone.
    """
    active = serving_color(layout, settings.addresses)
    started = bring_back(supervisor, colors | ({active} if active else set()))
    address = settings.maintenance_address
    if not wait_for(lambda: http_status(address, "/") is not None, START_SECONDS):
        log = layout.proxy_log(PROXY)
        raise FailedAndPutBack(
            f"the proxy did not answer on {address} within {START_SECONDS:.0f} s "
            f"({_state(supervisor, PROXY)}): {_last_line(log)}",
            next_step=f"see {log}",
        )
    warnings = [_color(layout, settings, supervisor, active), _tls(layout, settings, supervisor)]
    return started, "\n".join(filter(None, warnings))


def _color(layout: Layout, settings: SandboxSettings, supervisor: Supervisor, active: str | None) -> str:
    """What is not as it should be with the color that serves."""
    if not active:
        return "No color serves: the proxy answers 503 (maintenance)."
    address = settings.addresses[active]
    wait_for(lambda: is_ready(address) or _state(supervisor, unit(active)) == "FATAL", _READY_SECONDS)
    if not is_ready(address):
        seen = _last_line(layout.log(active))
        return f"{active} serves but is not ready ({_state(supervisor, unit(active))}): {seen}"
    if http_status(address, "/security") == HTTPStatus.NOT_FOUND:
        return (
            f"The release in {active} was made by an earlier version: it neither signs nor knows secure mode. "
            "Make one that does, and deploy it: pyrunbook sandbox release VERSION"
        )
    return ""


def _tls(layout: Layout, settings: SandboxSettings, supervisor: Supervisor) -> str:
    """What is not as it should be with TLS; ends the deployment of the first certificate when it was seen served."""
    address = settings.tls_address
    if address is None:
        return (
            "This sandbox was started by an earlier version and serves no TLS. "
            "It will after: pyrunbook sandbox down && pyrunbook sandbox up"
        )
    problem = ""

    def accepted() -> bool:
        nonlocal problem
        problem = credentials.look(layout, address)
        return not problem or _state(supervisor, TLS_PROXY) == "FATAL"

    wait_for(accepted, _READY_SECONDS)
    if not problem:
        return ""
    log = layout.proxy_log(TLS_PROXY)
    seen = f"{address}: {problem} ({_state(supervisor, TLS_PROXY)}): {_last_line(log)}"
    if credentials.first_is_unproven(layout):
        raise FailedAndPutBack(f"the certificate that was made for it is not served on {seen}", next_step=f"see {log}")
    return f"A client refuses what is served over TLS on {seen}\nNext: pyrunbook certs status"


def _state(supervisor: Supervisor, name: str) -> str:
    program = supervisor.programs().get(name)
    return program.state if program else "unknown"


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return lines[-1][:300] if lines else "the log is empty"
