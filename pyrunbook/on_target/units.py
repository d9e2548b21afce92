"""Start, stop and look at a unit of the machine's process manager: systemd or supervisor."""

from __future__ import annotations

import time
from typing import Any

COMMAND_TIMEOUT = 150.0
"""Seconds that a process manager may take for one command, the grace period of a stopping process included."""
LOG_LINES = 20
"""How many of the last lines of a log a diagnosis quotes."""


STATES = ("STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN")
"""Of a program of supervisor."""


class UnitError(Exception):
    """The process manager refused, or the unit did not reach the state that was asked for."""


def _run(argv: list[str]) -> Any:
    import subprocess

    try:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise UnitError(f"{argv[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise UnitError(f"{' '.join(argv)} did not return within {COMMAND_TIMEOUT:g} s") from error


class Supervisor:
    """Programs of a supervisord, through supervisorctl.

    Each call is a process, so an answer with one meaning is trusted; after any other one the state is read.

    Args:
        config: path of its supervisord.conf, which names the socket.
        command: argv prefix that runs supervisorctl.
    """

    def __init__(self, config: str, command: list[str]) -> None:
        self._ctl = [*command, "-c", config]

    def _states(self, *units: str) -> dict[str, tuple[str, int]]:
        """State and pid of each unit, asked in one call."""
        done = _run([*self._ctl, "status", *units])
        found = {}
        for words in map(str.split, done.stdout.splitlines()):
            if len(words) > 1 and words[0] in units and words[1] in STATES:
                pid = words[3].rstrip(",") if words[1:3] == ["RUNNING", "pid"] else "0"
                found[words[0]] = words[1], int(pid)
        if missing := [unit for unit in units if unit not in found]:
            said = (done.stdout + done.stderr).strip()
            raise UnitError(said or "supervisorctl said nothing about {}".format(", ".join(missing)))
        return found

    def _order(self, order: str, unit: str) -> str:
        """`start` or `stop` a unit, and wait; why it was refused, empty when it was not."""
        done = _run([*self._ctl, order, unit])
        well = {"start": f"{unit}: started", "stop": f"{unit}: stopped"}[order]
        said = (done.stdout + done.stderr).strip()
        return "" if done.stdout.strip() == well else said or "supervisorctl said nothing"

    def status(self, unit: str) -> tuple[str, int]:
        """State (`RUNNING`, `STOPPED`, `BACKOFF`, `FATAL`, …; supervisor's own words) and pid (0 when none)."""
        return self._states(unit)[unit]

    def running(self, unit: str) -> bool:
        """Whether the unit's process runs (starting and stopping included)."""
        return unit in self.which_run(unit)

    def which_run(self, *units: str) -> set[str]:
        """The units that run, asked in one call."""
        states = self._states(*units)
        return {unit for unit in units if states[unit][0] in ("RUNNING", "STARTING", "STOPPING")}

    def start(self, unit: str) -> None:
        """Start it and wait until supervisor counts it as started (`startsecs`)."""
        if not (said := self._order("start", unit)):
            return
        state = self.status(unit)[0]
        if state == "BACKOFF" and "already started" in said.lower().replace("_", " "):  # it is waiting to try again
            self._order("stop", unit)
            said = self._order("start", unit)
            state = self.status(unit)[0]
        if state != "RUNNING":
            raise UnitError(f"{unit} is {state}: {said}")

    def stop(self, unit: str) -> None:
        """Stop it: SIGTERM, and SIGKILL after the unit's own grace period."""
        if not self._order("stop", unit):
            return
        state = self.status(unit)[0]  # "not running" is also said of what is about to stop
        if state not in ("STOPPED", "EXITED", "FATAL"):
            raise UnitError(f"{unit} is still {state} after it was stopped")

    def keep_over_reboot(self, unit: str, runs: bool, check_mode: bool = False) -> bool:  # noqa: ARG002  # as Systemd's
        """Nothing to do: supervisor's configuration says what it starts at boot."""
        return False

    def words(self, unit: str) -> str:  # noqa: ARG002  # as Systemd's
        """Nothing: supervisor writes the unit's output into a file."""
        return ""


class SupervisorSocket(Supervisor):
    """The same without supervisorctl.

    Args:
        path: the socket of the supervisord.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def _call(self, method: str, unit: str) -> Any:
        """What a method says of a unit; a refusal is raised as a `supervisor_socket.Fault`."""
        from .supervisor_socket import call

        try:
            return call(self._path, method, unit, timeout=COMMAND_TIMEOUT)
        except OSError as error:
            raise UnitError(f"unix://{self._path}: {error.strerror or error}") from error

    def _states(self, *units: str) -> dict[str, tuple[str, int]]:
        from .supervisor_socket import Fault

        found = {}
        for unit in units:
            try:
                info = self._call("getProcessInfo", unit)
            except Fault as fault:
                raise UnitError(f"{unit}: ERROR ({fault})") from fault
            if info["statename"] not in STATES:
                raise UnitError("{} is {}".format(unit, info["statename"]))
            found[unit] = info["statename"], info["pid"] if info["statename"] == "RUNNING" else 0
        return found

    def _order(self, order: str, unit: str) -> str:
        from .supervisor_socket import Fault

        try:
            done = self._call(order + "Process", unit)
        except Fault as fault:
            return f"{unit}: ERROR ({fault})"
        return "" if done is True else f"{unit}: {done}"


SHOW = ("show", "--property=LoadState,ActiveState,MainPID")
SHOW_FILE_STATE = ("show", "--property=UnitFileState")
STATUS = ("status", "--no-pager", "--full", f"--lines={LOG_LINES}")
RESET_FAILED = ("reset-failed",)
START, STOP = ("enable", "--now"), ("disable", "--now")
ENABLE, DISABLE = ("enable",), ("disable",)
COMMANDS = (SHOW, SHOW_FILE_STATE, STATUS, RESET_FAILED, START, STOP, ENABLE, DISABLE)
"""All that systemctl is called with, before the name of a unit; docs/host/sudoers allows these and nothing else."""


class Systemd:
    """Units of the machine's systemd.

    A started unit is also enabled, a stopped one disabled, so that a reboot brings back the colors as they were.

    Args:
        command: argv prefix that runs systemctl: `["sudo", "-n", "systemctl"]`, `["systemctl", "--user"]`.
    """

    def __init__(self, command: list[str] | None = None) -> None:
        self._ctl = command or ["systemctl"]

    def _call(self, command: tuple[str, ...], unit: str) -> Any:
        return _run([*self._ctl, *command, unit])

    def commands(self, *units: str) -> list[list[str]]:
        """All that may be called for these units."""
        return [[*self._ctl, *command, unit] for command in COMMANDS for unit in units]

    def status(self, unit: str) -> tuple[str, int]:
        """ActiveState (`active`, `inactive`, `failed`, …; systemd's own words) and main pid (0 when none)."""
        done = self._call(SHOW, unit)
        facts = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        if done.returncode:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            hint = "\nNext: allow it, as docs/host/sudoers does; then: visudo -c" if said.startswith("sudo:") else ""
            raise UnitError("{}: {}{}".format(" ".join(done.args), said, hint))
        if facts.get("LoadState") != "loaded":
            raise UnitError("systemd knows no unit {} ({})".format(unit, facts.get("LoadState") or done.stderr.strip()))
        return facts["ActiveState"], int(facts.get("MainPID", "0"))

    def running(self, unit: str) -> bool:
        """Whether the unit's process runs (starting and stopping included)."""
        return self.status(unit)[0] in ("active", "activating", "deactivating", "reloading")

    def which_run(self, *units: str) -> set[str]:
        """The units that run."""
        return {unit for unit in units if self.running(unit)}

    def start(self, unit: str) -> None:
        """Enable and start it, and wait until systemd counts it as active."""
        self._call(RESET_FAILED, unit)
        done = self._call(START, unit)
        state = self.status(unit)[0]
        if done.returncode or state != "active":
            raise UnitError(f"{unit} is {state}: {done.stderr.strip()}")

    def stop(self, unit: str) -> None:
        """Stop it (SIGTERM, and SIGKILL after the unit's own TimeoutStopSec) and disable it."""
        done = self._call(STOP, unit)
        if self.running(unit):
            raise UnitError(f"{unit} is still running: {done.stderr.strip()}")

    def keep_over_reboot(self, unit: str, runs: bool, check_mode: bool = False) -> bool:
        """See that the machine, when it starts, starts the unit or does not, as `runs` says.

        Returns:
            Whether anything changed; a unit that cannot be enabled or disabled (`static`, `generated`) stays as it is.

        Raises:
            UnitError: systemd refuses.
        """
        done = self._call(SHOW_FILE_STATE, unit)
        wrong = "disabled" if runs else "enabled"
        if "UnitFileState=" + wrong not in done.stdout.split():
            return False
        if not check_mode:
            done = self._call(ENABLE if runs else DISABLE, unit)
            if done.returncode:
                raise UnitError(f"{unit} stays {wrong}: {done.stderr.strip()}")
        return True

    def words(self, unit: str) -> str:
        """What systemd has to say about the unit: its state and the last lines of its log."""
        return str(self._call(STATUS, unit).stdout).strip()


def watch(manager: Supervisor | Systemd, unit: str, seconds: float) -> None:
    """See that a unit keeps the same process for `seconds`.

    Raises:
        UnitError: it ended or was restarted in that time.
    """
    _, first = manager.status(unit)
    deadline = time.monotonic() + seconds
    while True:
        state, pid = manager.status(unit)
        if not pid or pid != first:
            raise UnitError(
                "{} did not stay up: {} (process {}, then {})".format(unit, state, first or "none", pid or "none")
            )
        if time.monotonic() >= deadline:
            return
        time.sleep(0.2)
