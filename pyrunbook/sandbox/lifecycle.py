"""Starting and ending the sandbox: idempotent, one command at a time, nothing left behind."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from pyrunbook import places
from pyrunbook.errors import BadInput, FailedAndPutBack, Refused
from pyrunbook.sandbox import configuration, content, credentials, processes, serving, state
from pyrunbook.sandbox.layout import BRING_BACK, Layout
from pyrunbook.sandbox.serving import START_SECONDS
from pyrunbook.sandbox.state import SandboxSettings, SandboxState
from pyrunbook.sandbox.supervision import Supervisor, SupervisorUnreachable

_DOWN_SECONDS = 15.0
"""How long `down` lets requests in flight finish before it kills."""


@dataclass
class Up:
    """What `up` did: `started` names programs, empty when all ran already; `warning` may be empty."""

    state: SandboxState
    started: list[str] = field(default_factory=list)
    warning: str = ""


@dataclass(frozen=True)
class Down:
    """What `down` did: how many processes it ended and how many of them it had to kill."""

    ended: int
    killed: int
    purged: bool


def up(directory: Path, issuing: credentials.Issuing, port: int | None = None) -> Up:
    """Start the sandbox, or start again what of it has died; change nothing else.

    Args:
        directory: as `layout.directory()` gives it.
        issuing: makes the first certificate and the first signing key, where there are none.
        port: for clients; the one it had before, or a free one, when `None`.

    Raises:
        BadInput: the directory is something else's, the port is taken, or a program is not installed.
        Refused: it runs on another port, or another command is changing it.
        FailedAndPutBack: something did not start; all that was started has been ended again.
    """
    caddy = configuration.caddy_program()
    layout = Layout(directory)
    _claim(layout)
    with processes.locked(layout):
        settings = state.settings(layout)
        supervisor = _answering(settings)
        if settings and supervisor:
            if port not in (None, settings.public_port):
                raise Refused(
                    f"the sandbox runs on port {settings.public_port}",
                    next_step=f"pyrunbook sandbox down && pyrunbook sandbox up --port {port}",
                )
            result = Up(state.read(directory, probe=False))
            result.started, result.warning = serving.bring_up(layout, settings, supervisor, set())
            return _finish(layout, settings, result)
        orphans = processes.ours(layout, settings) if settings else []
        were_running = {color for color in map(processes.color_of, orphans) if color}
        processes.end(orphans, grace=5.0)
        settings = _settle(layout, settings, port)
        content.create(layout, settings)
        credentials.create(layout, issuing)
        if not layout.upstream.exists():
            raise BadInput(
                f"{layout.upstream} is missing",
                means="Which color serves is written there and nowhere else.",
                next_step=f"write 127.0.0.1:PORT of a color into it ({settings.addresses}), "
                "or start over: pyrunbook sandbox down --purge && pyrunbook sandbox up",
            )
        try:
            supervisor = _start_supervisor(layout, settings, caddy)
            result = Up(state.read(directory, probe=False))
            _, result.warning = serving.bring_up(layout, settings, supervisor, were_running)
            running = (program.name for program in supervisor.programs().values() if program.pid)
            result.started = ["supervisord", *(name for name in running if name != BRING_BACK)]
            return _finish(layout, settings, result)
        except BaseException:
            processes.end(processes.ours(layout, settings), grace=2.0)
            _sweep(layout, settings)
            raise


def _claim(layout: Layout) -> None:
    """Make the directory ours, or refuse when it holds something else."""
    root = layout.root
    if root.is_dir() and not layout.settings.exists() and {entry.name for entry in root.iterdir()} - {"run"}:
        raise BadInput(
            f"{root} is not empty and is not a sandbox",
            means="Nothing of what is there is touched.",
            next_step="choose another directory with --directory",
        )
    try:
        places.private_directory(layout.root)
        places.private_directory(layout.run)
    except OSError as error:
        raise BadInput(f"cannot use {root}: {error}", next_step="choose another directory with --directory") from error


def _supervisor_pid(settings: SandboxSettings) -> int | None:
    try:
        return Supervisor(Path(settings.socket)).pid()
    except SupervisorUnreachable:
        return None


def _answering(settings: SandboxSettings | None) -> Supervisor | None:
    return Supervisor(Path(settings.socket)) if settings and _supervisor_pid(settings) else None


def _settle(layout: Layout, settings: SandboxSettings | None, port: int | None) -> SandboxSettings:
    """Decide the ports and the socket while nothing of the sandbox runs, and keep them.

    A port that another program has taken meanwhile is replaced, the upstream file with it; the public one is not,
    since clients know it.
    """
    if port is None and settings:
        port = settings.public_port
    if port is not None and not processes.port_is_free(port):
        raise BadInput(
            f"port {port} is taken by another program",
            next_step="choose another one: pyrunbook sandbox up --port N",
        )
    kept = [0, 0, 0, 0]
    if settings:
        kept = [settings.maintenance_port, settings.blue_port, settings.green_port, settings.tls_port]
    taken = {port or 0, *kept}
    public = port or processes.free_port(taken)
    maintenance, blue, green, tls = (
        number if number not in (0, public) and processes.port_is_free(number) else processes.free_port(taken)
        for number in kept
    )
    mark = settings.mark if settings else secrets.token_hex(16)
    decided = SandboxSettings(mark, public, maintenance, blue, green, str(layout.socket), tls)
    if settings and layout.upstream.exists():
        dialed = layout.upstream.read_text(encoding="utf-8").strip()
        moved = {settings.maintenance_address: decided.maintenance_address}
        moved |= {settings.addresses[color]: decided.addresses[color] for color in settings.addresses}
        if moved.get(dialed, dialed) != dialed:
            content.write_atomically(layout.upstream, moved[dialed] + "\n")
    if decided != settings:
        content.write_atomically(layout.settings, json.dumps(asdict(decided), indent=2) + "\n")
    return decided


def _start_supervisor(layout: Layout, settings: SandboxSettings, caddy: Path) -> Supervisor:
    content.write_atomically(layout.caddy_config, configuration.caddy(layout, settings))
    content.write_atomically(layout.tls_config, configuration.caddy_tls(layout, settings))
    content.write_atomically(layout.supervisor_config, configuration.supervisor(layout, settings, caddy))
    socket = Path(settings.socket)
    if socket.parent != layout.run:
        _private(socket.parent)
    _sweep(layout, settings, keep_directory=True)
    started = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(layout.supervisor_config)],
        env=configuration.environment(settings),
        cwd=layout.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS * 2,
        check=False,
    )
    if started.returncode:
        raise FailedAndPutBack(
            f"supervisord did not start: {(started.stderr or started.stdout).strip() or started.returncode}",
            means="Nothing was left running.",
        )
    supervisor = processes.wait_for(lambda: _answering(settings), START_SECONDS)
    if supervisor is None:
        raise FailedAndPutBack(
            f"supervisord did not answer on {settings.socket} within {START_SECONDS:.0f} s",
            means="All that was started has been ended again.",
            next_step=f"see {layout.root / 'logs' / 'supervisord.log'}",
        )
    return supervisor


def _private(directory: Path) -> None:
    """Make sure that a directory under the system's temporary one is ours alone."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if directory.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Refused(
            f"{directory} belongs to another user or is open to others",
            means="Supervisor's socket would be placed there.",
            next_step="choose a shorter directory with --directory, so that the socket fits into it",
        )


def _finish(layout: Layout, settings: SandboxSettings, result: Up) -> Up:
    processes.record_pids(layout, processes.ours(layout, settings))
    result.state = state.read(layout.root)
    return result


def _sweep(layout: Layout, settings: SandboxSettings, *, keep_directory: bool = False) -> None:
    """Remove the files of processes that are gone."""
    socket = Path(settings.socket)
    for path in (socket, settings.admin_socket, layout.run / "supervisord.pid", layout.pids):
        path.unlink(missing_ok=True)
    if socket.parent != layout.run and not keep_directory and socket.parent.is_dir():
        shutil.rmtree(socket.parent, ignore_errors=True)


def _stop_programs(supervisor: Supervisor) -> None:
    """Stop all programs and wait; asking again and again also wakes supervisor, which else looks once a second."""
    with suppress(SupervisorUnreachable):
        supervisor.stop_all()
        processes.wait_for(lambda: not any(program.pid for program in supervisor.programs().values()), _DOWN_SECONDS)


def down(directory: Path, *, purge: bool = False) -> Down:
    """End all processes of the sandbox: first politely, so that requests in flight finish, then for good.

    Args:
        directory: need not hold a sandbox, and the sandbox need not run.
        purge: also remove the directory; only when it is a sandbox's.

    Raises:
        Refused: another command is changing it.
        FailedAndNotPutBack: a process could not be ended.
    """
    layout = Layout(directory)
    if not layout.run.is_dir():
        return Down(0, 0, purged=False)
    with processes.locked(layout):
        settings = state.settings(layout)
        if settings is None:
            started_only = {entry.name for entry in layout.root.iterdir()} <= {"run"}  # an `up` that was refused
            if purge and started_only:
                shutil.rmtree(layout.root)
            return Down(0, 0, purged=purge and started_only)
        found = processes.ours(layout, settings)
        supervisor = _supervisor_pid(settings)
        killed: list[psutil.Process] = []
        if supervisor:
            # Supervisor ends its programs; if we ended them, it would start them again.
            _stop_programs(Supervisor(Path(settings.socket)))
            killed = processes.end([process for process in found if process.pid == supervisor], grace=5.0)
        killed += processes.end(processes.ours(layout, settings), grace=5.0)
        _sweep(layout, settings)
        if purge:
            shutil.rmtree(layout.root)
        return Down(len(found), len(killed), purged=purge)
