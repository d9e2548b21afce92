"""What the sandbox is now: read from its files, from supervisor and from the service; changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.sandbox.layout import HOST, PROXY, TLS_PROXY, Layout, unit
from pyrunbook.sandbox.supervision import Program, Supervisor, SupervisorUnreachable, is_ready, serving_color

RUNNING_STATES = {"RUNNING", "STARTING"}


@dataclass(frozen=True)
class SandboxSettings:
    """What is decided once for a sandbox and kept in `run/sandbox.json`.

    `mark` is a random word in the environment of every process of this sandbox, by which they are found again.
    """

    mark: str
    public_port: int
    maintenance_port: int
    blue_port: int
    green_port: int
    socket: str
    tls_port: int = 0
    """0: the sandbox was made by a version that served no TLS; `up` chooses one when it starts it next."""

    @property
    def url(self) -> str:
        """Where clients reach the active color."""
        return f"http://{HOST}:{self.public_port}"

    @property
    def tls_address(self) -> str | None:
        """host:port where clients reach it over TLS; `None` before there is a port."""
        return f"{HOST}:{self.tls_port}" if self.tls_port else None

    @property
    def admin_socket(self) -> Path:
        """The socket that reloads the TLS proxy; beside supervisor's, for this user only."""
        return Path(self.socket).with_name("tls.sock")

    @property
    def maintenance_address(self) -> str:
        """What the proxy dials when no color serves."""
        return f"{HOST}:{self.maintenance_port}"

    @property
    def addresses(self) -> dict[str, str]:
        """host:port of each color."""
        return {"blue": f"{HOST}:{self.blue_port}", "green": f"{HOST}:{self.green_port}"}


def settings(layout: Layout) -> SandboxSettings | None:
    """The sandbox's settings; `None` when the directory holds no sandbox.

    Raises:
        BadInput: the file is there and cannot be understood.
    """
    try:
        loaded = SandboxSettings(**json.loads(layout.settings.read_text(encoding="utf-8")))
        ports = [value for name, value in asdict(loaded).items() if name.endswith("_port")]
        if not loaded.mark or not all(isinstance(port, int) for port in ports):
            raise ValueError("a value is missing")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(
            f"{layout.settings} cannot be read: {error}",
            means="The sandbox's ports and processes are not known.",
            next_step=f"move {layout.root} away and start a new sandbox: pyrunbook sandbox up",
        ) from error
    return loaded


@dataclass(frozen=True)
class Release:
    """A directory under `releases/`; `fault` is empty for one that behaves."""

    version: str
    fault: str


@dataclass(frozen=True)
class ColorState:
    """A slot: its release (`None` when empty), its program, and whether `/ready` answers 200."""

    version: str | None
    running: bool
    ready: bool
    state: str
    pid: int | None
    url: str
    address: str
    unit: str
    log: Path


@dataclass(frozen=True)
class SandboxState:
    """The sandbox as it is; `why_not` says what is missing when it is not `running`.

    `running` means that supervisor and the plain proxy run. Whether a color serves is `active` (`blue`, `green` or
    `none`) and that color's `ready`. `url`, `maintenance_address` and `colors` are known once there is a sandbox,
    `tls_address` once there is a port for TLS.
    """

    directory: Path
    running: bool
    why_not: str
    url: str | None
    active: str
    candidate: str | None
    colors: dict[str, ColorState]
    releases: list[Release]
    maintenance_address: str | None
    tls_address: str | None
    trust_file: Path
    supervisor_config: Path
    supervisor_pid: int | None
    proxy_pid: int | None
    tls_proxy_pid: int | None

    @property
    def tls_url(self) -> str | None:
        """Where clients reach the active color over TLS; they have to trust what is in `trust_file`."""
        return f"https://{self.tls_address}" if self.tls_address else None

    def to_dict(self) -> dict[str, Any]:
        """The object that `pyrunbook sandbox status --json` prints."""
        return {
            "running": self.running,
            "url": self.url,
            "tls_url": self.tls_url,
            "tls_port": int(self.tls_address.rpartition(":")[2]) if self.tls_address else None,
            "trust_file": str(self.trust_file),
            "active": self.active,
            "candidate": self.candidate,
            "versions": {color: slot.version for color, slot in self.colors.items()},
            "colors": {color: {**asdict(slot), "log": str(slot.log)} for color, slot in self.colors.items()},
            "releases": [asdict(release) for release in self.releases],
            "maintenance_address": self.maintenance_address,
            "directory": str(self.directory),
            "supervisor_config": str(self.supervisor_config),
            "pids": {"supervisord": self.supervisor_pid, "proxy": self.proxy_pid, "tls": self.tls_proxy_pid},
            "why_not": self.why_not,
        }


def releases(layout: Layout) -> list[Release]:
    """All complete releases, in the order of their names."""
    found = []
    for version in sorted(layout.releases.glob("*/VERSION")):
        if not version.parent.name.startswith("."):
            found.append(Release(version.parent.name, _text_of(version.parent / "FAULT") or ""))
    return found


def candidate(layout: Layout) -> str | None:
    """The version that `releases/candidate` names; `None` without one."""
    return _text_of(layout.candidate)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def read(directory: Path, *, probe: bool = True) -> SandboxState:
    """Read the state of the sandbox in `directory`.

    Args:
        directory: as `layout.directory()` gives it; need not exist.
        probe: ask running colors whether they are ready; `ready` is False for all without it.

    Raises:
        BadInput: the sandbox's own state is unreadable.
    """
    layout = Layout(directory)
    known = settings(layout)
    programs: dict[str, Program] = {}
    supervisor_pid = None
    why_not = "" if known else f"there is no sandbox in {directory}"
    if known:
        supervisor = Supervisor(Path(known.socket))
        try:
            supervisor_pid, programs = supervisor.pid(), supervisor.programs()
        except SupervisorUnreachable:
            why_not = "supervisor does not run"
    proxy, tls_proxy = programs.get(PROXY), programs.get(TLS_PROXY)
    if known and not why_not and (proxy is None or proxy.state not in RUNNING_STATES):
        why_not = f"the proxy does not run ({proxy.state if proxy else 'unknown to supervisor'})"
    colors = {}
    for color, address in known.addresses.items() if known else ():
        program = programs.get(unit(color))
        running = program is not None and program.state in RUNNING_STATES
        colors[color] = ColorState(
            version=_text_of(layout.slot(color) / "VERSION"),
            running=running,
            ready=running and probe and is_ready(address),
            state=program.state if program else "STOPPED",
            pid=program.pid if program else None,
            url=f"http://{address}",
            address=address,
            unit=unit(color),
            log=layout.log(color),
        )
    return SandboxState(
        directory=directory,
        running=bool(known) and not why_not,
        why_not=why_not,
        url=known.url if known else None,
        active=(serving_color(layout, known.addresses) if known else None) or "none",
        candidate=candidate(layout),
        colors=colors,
        releases=releases(layout),
        maintenance_address=known.maintenance_address if known else None,
        tls_address=known.tls_address if known else None,
        trust_file=layout.trust_file,
        supervisor_config=layout.supervisor_config,
        supervisor_pid=supervisor_pid,
        proxy_pid=proxy.pid if proxy else None,
        tls_proxy_pid=tls_proxy.pid if tls_proxy else None,
    )
