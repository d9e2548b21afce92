"""A stand-in for systemd, where it is not PID 1: `fake_systemd.py DIRECTORY VERB …`, called as systemctl is.

It is not systemd. What it does, it does as systemctl(1), systemd.unit(5), systemd.service(5) and systemd.exec(5) say,
with systemctl's exit codes and the words that its callers read; what it does not know, it refuses with exit code 1.

- Unit files, templates and drop-ins below `units/`; `enable` makes the links of WantedBy= there, as systemd does.
- ExecStart= (one, with `${VARIABLE}` and `$VARIABLE`), Environment=, EnvironmentFile=, WorkingDirectory=, UMask=,
  KillSignal=, TimeoutStopSec=, Restart=, RestartSec=, StartLimitBurst=, ConditionPathExists=, Type=exec and simple,
  the specifiers %i %p %n. The main process gets the signal, what is left of its group gets SIGKILL afterwards
  (KillMode=mixed). Output goes to `log/`.
- Not done: User=, sandboxing, cgroups, dependencies, sockets, timers.

A keeper, one process for each unit that runs, is what systemd itself would be: it starts the main process, waits for
it, starts it again, stops it. State is in `state/<unit>.json`, written by rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DEAD = {"ActiveState": "inactive", "SubState": "dead", "MainPID": 0, "Result": "success"}
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
RUNNING = ("active", "activating", "deactivating")


def seconds(text: str) -> float:
    """A time span of systemd: plain seconds, or numbers with units, as in `1min 30s`."""
    if re.fullmatch(r"[0-9.]+", text):
        return float(text)
    units = {"ms": 0.001, "s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)\s*([a-z]+)", text))


class Unit:
    """A service unit as its files describe it.

    Attributes:
        name: with `.service`.
        options: `Section.Key` to its values, in order; an empty assignment has emptied the list.
    """

    def __init__(self, units: Path, name: str) -> None:
        self.name = name if name.endswith(".service") else name + ".service"
        stem = self.name.removesuffix(".service")
        self.prefix, at, self.instance = stem.partition("@")
        names = [self.name, f"{self.prefix}@.service"] if at else [self.name]
        self.file = next((units / n for n in names if (units / n).is_file()), None)
        self.options: dict[str, list[str]] = {}
        if self.file:
            drop_ins = [path for n in reversed(names) for path in sorted((units / f"{n}.d").glob("*.conf"))]
            for path in (self.file, *drop_ins):
                self._read(path)

    def _read(self, path: Path) -> None:
        section = ""
        for line in path.read_text().replace("\\\n", " ").splitlines():
            line = line.strip()
            if not line or line.startswith(("#", ";")):
                continue
            if line.startswith("["):
                section = line.strip("[]")
                continue
            key, _, value = line.partition("=")
            values = self.options.setdefault(f"{section}.{key.strip()}", [])
            if value.strip():
                values.append(self._specifiers(value.strip()))
            else:
                values.clear()

    def _specifiers(self, value: str) -> str:
        known = {"%i": self.instance, "%p": self.prefix, "%n": self.name, "%%": "%"}
        return re.sub(r"%.", lambda found: known[found.group()], value)

    def last(self, option: str, default: str) -> str:
        """The value of an option that counts once."""
        return (self.options.get(option) or [default])[-1]

    def environment(self) -> dict[str, str]:
        """What the main process gets: nothing of ours."""
        found = {"PATH": DEFAULT_PATH, "LANG": "C.UTF-8"}
        for value in self.options.get("Service.Environment", []):
            found |= dict(word.split("=", 1) for word in shlex.split(value))
        for name in self.options.get("Service.EnvironmentFile", []):
            path = Path(name.removeprefix("-"))
            if name.startswith("-") and not path.exists():
                continue
            lines = [line.strip() for line in path.read_text().splitlines()]
            found |= dict(line.split("=", 1) for line in lines if line and not line.startswith(("#", ";")))
        return found

    def argv(self, environment: dict[str, str]) -> list[str]:
        """ExecStart= as words."""
        (command,) = self.options["Service.ExecStart"]

        def value(found: re.Match[str]) -> str:
            return environment.get(found.group(1) or found.group(2), "")

        return [re.sub(r"\$\{(\w+)\}|\$(\w+)", value, word) for word in shlex.split(command)]


class Machine:
    """The stand-in's directory: `units/`, `state/`, `log/`."""

    def __init__(self, directory: Path) -> None:
        self.units, self.states, self.logs = (directory / name for name in ("units", "state", "log"))
        self.directory = directory
        for path in (self.units, self.states, self.logs):
            path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Jobs come one after the other."""
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def state(self, unit: Unit) -> dict[str, Any]:
        """Properties of a unit that change."""
        try:
            found: dict[str, Any] = json.loads((self.states / f"{unit.name}.json").read_text())
        except FileNotFoundError:
            return {"LoadState": "loaded" if unit.file else "not-found", **DEAD}
        return found

    def set(self, unit: Unit, **changes: Any) -> None:
        """Change properties of a unit."""
        path = self.states / f"{unit.name}.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({**self.state(unit), **changes}))
        temporary.replace(path)

    def log(self, unit: Unit, text: str) -> None:
        """A line of systemd's own in the unit's log."""
        with (self.logs / f"{unit.name}.log").open("a") as stream:
            stream.write(f"{unit.name}: {text}\n")

    def wants(self, unit: Unit) -> list[Path]:
        """The links that `enable` makes."""
        targets = " ".join(unit.options.get("Install.WantedBy", [])).split()
        return [self.units / f"{target}.wants" / unit.name for target in targets]

    def file_state(self, unit: Unit) -> str:
        """UnitFileState."""
        if not unit.file:
            return ""
        links = self.wants(unit)
        if not links:
            return "static"
        return "enabled" if all(link.is_symlink() for link in links) else "disabled"


class Keeper:
    """What systemd is to one running unit."""

    def __init__(self, machine: Machine, unit: Unit) -> None:
        self.machine, self.unit = machine, unit
        self.stopping = False
        self.main: subprocess.Popen[bytes] | None = None

    def run(self, started: Callable[[bool], None]) -> None:
        """Keep the unit until it is stopped or has ended for good; `started` is told once how its start went."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        restarts, policy = 0, self.unit.last("Service.Restart", "no")
        burst = int(self.unit.last("Unit.StartLimitBurst", "5"))
        while True:
            result = self._once(started)
            clean = result == "success"
            again = not self.stopping and (policy == "always" or (policy == "on-failure" and not clean))
            if not again or restarts >= burst:
                ended = "inactive" if clean else "failed"
                self.machine.set(self.unit, ActiveState=ended, SubState="dead", MainPID=0, Result=result)
                self.machine.log(self.unit, "Deactivated successfully." if clean else f"Failed with result '{result}'.")
                return
            restarts += 1
            self.machine.set(self.unit, ActiveState="activating", SubState="auto-restart", MainPID=0, Result=result)
            self._sleep(seconds(self.unit.last("Service.RestartSec", "100ms")))

    def _sleep(self, span: float) -> None:
        deadline = time.monotonic() + span
        while not self.stopping and time.monotonic() < deadline:
            time.sleep(0.02)

    def _once(self, started: Callable[[bool], None]) -> str:
        """Start the main process, wait for its end, and say how it ended (Result)."""
        if self.stopping:
            return "success"
        environment = self.unit.environment()
        umask = int(self.unit.last("Service.UMask", "0022"), 8)
        directory = self.unit.last("Service.WorkingDirectory", "/")
        try:
            with (self.machine.logs / f"{self.unit.name}.log").open("ab") as log:
                self.main = subprocess.Popen(
                    self.unit.argv(environment), env=environment, cwd=directory, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True, umask=umask,
                )  # fmt: skip
        except OSError as error:
            self.machine.log(self.unit, f"Failed at step EXEC: {error}")
            started(False)
            return "exit-code"
        self.machine.set(self.unit, ActiveState="active", SubState="running", MainPID=self.main.pid, Result="success")
        self.machine.log(self.unit, "Started.")
        started(True)
        while self.main.poll() is None and not self.stopping:
            time.sleep(0.02)
        result = self._stop() if self.stopping else self._result()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.main.pid, signal.SIGKILL)
        return result

    def _stop(self) -> str:
        assert self.main
        self.machine.set(self.unit, ActiveState="deactivating", SubState="stop-sigterm")
        if self.main.poll() is None:
            self.main.send_signal(signal.Signals[self.unit.last("Service.KillSignal", "SIGTERM")])
        try:
            self.main.wait(seconds(self.unit.last("Service.TimeoutStopSec", "90s")))
        except subprocess.TimeoutExpired:
            self.main.kill()
            self.main.wait()
            return "timeout"
        return self._result()

    def _result(self) -> str:
        assert self.main
        code = self.main.returncode
        clean = code in (0, -signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM, -signal.SIGPIPE)
        if not clean:
            how = f"code=exited, status={code}/FAILURE" if code > 0 else f"code=killed, status={-code}"
            self.machine.log(self.unit, f"Main process exited, {how}")
        return "success" if clean else "exit-code" if code > 0 else "signal"


class Systemctl:
    """The verbs. Each returns systemctl's exit code."""

    def __init__(self, machine: Machine, options: dict[str, str]) -> None:
        self.machine, self.options = machine, options

    def show(self, unit: Unit) -> int:
        known = {**self.machine.state(unit), "UnitFileState": self.machine.file_state(unit), "Id": unit.name}
        for name in self.options.get("--property", ",".join(known)).split(","):
            if name in known:
                print(f"{name}={known[name]}")
        return 0

    def status(self, unit: Unit) -> int:
        state = self.machine.state(unit)
        if not unit.file:
            print(f"Unit {unit.name} could not be found.", file=sys.stderr)
            return 4
        print(f"* {unit.name} - {unit.last('Unit.Description', unit.name)}")
        print(f"     Loaded: loaded ({unit.file}; {self.machine.file_state(unit)})")
        print(f"     Active: {state['ActiveState']} ({state['SubState']}) (Result: {state['Result']})\n")
        log = self.machine.logs / f"{unit.name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        print("\n".join(lines[-int(self.options.get("--lines", "10")) :]))
        return 0 if state["ActiveState"] in RUNNING else 3

    def is_active(self, unit: Unit) -> int:
        state = self.machine.state(unit)["ActiveState"]
        print(state)
        return 0 if state == "active" else 3

    def is_enabled(self, unit: Unit) -> int:
        state = self.machine.file_state(unit)
        if not state:
            print(f"Failed to get unit file state for {unit.name}: No such file or directory", file=sys.stderr)
            return 1
        print(state)
        return 0 if state in ("enabled", "static") else 1

    def enable(self, unit: Unit) -> int:
        if not unit.file:
            print(f"Failed to enable unit: Unit file {unit.name} does not exist.", file=sys.stderr)
            return 1
        for link in self.machine.wants(unit):
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(unit.file)
                print(f"Created symlink {link} -> {unit.file}.", file=sys.stderr)
        return self.start(unit) if "--now" in self.options else 0

    def disable(self, unit: Unit) -> int:
        if not unit.file:
            print(f"Failed to disable unit: Unit file {unit.name} does not exist.", file=sys.stderr)
            return 1
        for link in self.machine.wants(unit):
            if link.is_symlink():
                link.unlink()
                print(f"Removed {link}.", file=sys.stderr)
        return self.stop(unit) if "--now" in self.options else 0

    def start(self, unit: Unit) -> int:
        if not unit.file:
            print(f"Failed to start {unit.name}: Unit {unit.name} not found.", file=sys.stderr)
            return 5
        if self.machine.state(unit)["ActiveState"] in ("active", "activating"):
            return 0
        if not all(Path(path).exists() for path in unit.options.get("Unit.ConditionPathExists", [])):
            self.machine.log(unit, "Skipped because of an unmet condition check (ConditionPathExists).")
            return 0
        if keep(self.machine, unit):
            return 0
        print(f"Job for {unit.name} failed because the control process exited with error code.", file=sys.stderr)
        print(f'See "systemctl status {unit.name}" and "journalctl -xeu {unit.name}" for details.', file=sys.stderr)
        return 1

    def stop(self, unit: Unit) -> int:
        if not unit.file:
            print(f"Failed to stop {unit.name}: Unit {unit.name} not loaded.", file=sys.stderr)
            return 5
        state = self.machine.state(unit)
        if state["ActiveState"] in RUNNING:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state["keeper"], signal.SIGTERM)
            while self.machine.state(unit)["ActiveState"] in RUNNING:
                time.sleep(0.02)
        return 0

    def reset_failed(self, unit: Unit) -> int:
        if not unit.file:
            print(f"Failed to reset failed state of unit {unit.name}: Unit {unit.name} not loaded.", file=sys.stderr)
            return 1
        if self.machine.state(unit)["ActiveState"] == "failed":
            self.machine.set(unit, ActiveState="inactive", SubState="dead", Result="success")
        return 0


def keep(machine: Machine, unit: Unit) -> bool:
    """Start a keeper, and say whether the unit has started.

    As with systemd, what runs is nobody's child here and has nothing of the caller's environment.
    """
    reader, writer = os.pipe()
    subprocess.Popen(
        [sys.executable, __file__, str(machine.directory), "--keep", unit.name, str(writer)],
        env={}, cwd="/", pass_fds=[writer], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    return os.read(reader, 1) == b"y"


def kept(machine: Machine, unit: Unit, writer: int) -> None:
    """Be a keeper; `writer` is told once how the start went."""
    machine.set(unit, ActiveState="activating", SubState="start", keeper=os.getpid())
    starts: list[bool] = []

    def started(well: bool) -> None:
        if not starts:
            os.write(writer, b"y" if well else b"n")
            os.close(writer)
        starts.append(well)

    Keeper(machine, unit).run(started)


def main(directory: str, *words: str) -> int:
    """`systemctl WORDS`, or a keeper."""
    if words[:1] == ("--keep",):
        machine = Machine(Path(directory))
        kept(machine, Unit(machine.units, words[1]), int(words[2]))
        return 0
    options = dict(word.partition("=")[::2] for word in words if word.startswith("-"))
    unknown = set(options) - {"--now", "--property", "--no-pager", "--full", "--lines", "--quiet"}
    verb, *names = [word for word in words if not word.startswith("-")] or [""]
    machine = Machine(Path(directory))
    systemctl = Systemctl(machine, options)
    act = getattr(systemctl, verb.replace("-", "_"), None)
    if verb == "daemon-reload" and not names and not options:
        return 0
    if unknown or act is None or not names:
        print(f"fake systemctl: not known: {' '.join(words)}", file=sys.stderr)
        return 1
    changes = verb not in ("show", "status", "is-active", "is-enabled")
    with machine.alone() if changes else contextlib.nullcontext():
        codes = [act(Unit(machine.units, name)) for name in names]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
