"""The two slots of a service on platform `host`: which release each holds, whether it runs, and how to change that.

Layout below the service's root (CONTRIBUTING.md): `slots/<color>/release` is a symbolic link to the release;
`slots/<color>/starting` is there while a release is linked and not yet started, so that a process that still runs
the release before is not taken for the new one when a run dies in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from . import asking, durable, upstream
from .units import LOG_LINES, Supervisor, SupervisorSocket, Systemd, UnitError, watch

COLORS = ("blue", "green")


class SlotError(Exception):
    """A slot cannot be read or brought into the state asked for; the text is for the operator."""


class NoLongerServes(SlotError):
    """What was verified does not serve as it did then."""


SERVICE: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "root": {"type": "path", "required": True},
        "colors": {"type": "dict", "required": True},
        "upstream_file": {"type": "path", "required": True},
        "manager": {"type": "str", "required": True, "choices": ["systemd", "supervisor"]},
        "supervisor_config": {"type": "str", "default": ""},
        "supervisor_command": {"type": "list", "elements": "str", "default": []},
        "systemctl_command": {"type": "list", "elements": "str", "default": []},
    },
}
"""The module option that says where the slots are; the values are the inventory's `service_*` variables."""


def manager_for(service: dict[str, Any]) -> Any:
    """The process manager that a value of the form `SERVICE` names."""
    if service["manager"] == "systemd":
        return Systemd(service.get("systemctl_command"))
    if service["manager"] == "supervisor":
        from .supervisor_socket import path_of

        config = service.get("supervisor_config") or ""
        if not service.get("supervisor_command") and (path := path_of(config)):
            return SupervisorSocket(path)
        beside = os.path.join(os.path.dirname(sys.executable), "supervisorctl")
        found = beside if os.path.exists(beside) else "supervisorctl"
        return Supervisor(config, service.get("supervisor_command") or [found])
    raise SlotError("unknown service_manager {!r}: systemd or supervisor".format(service["manager"]))


class Slots:
    """The slots of one service.

    Args:
        service: of the form `SERVICE`.
        check_mode: report what would change, change nothing.
        manager: a process manager in place of the one that `service` names.

    Attributes:
        remark: what the operator should know of the last `put_back`, beyond what it did; empty when there is nothing.
    """

    def __init__(self, service: dict[str, Any], check_mode: bool = False, manager: Any = None) -> None:
        self.root: str = service["root"]
        self.colors: dict[str, dict[str, str]] = service["colors"]
        for color in COLORS:
            missing = {"address", "unit"} - set(self.colors.get(color) or {})
            if missing:
                raise SlotError("service_colors.{} lacks {}".format(color, " and ".join(sorted(missing))))
        if not os.path.isdir(self.root):
            raise SlotError(f"{self.root} (service_root) is not a directory on this machine")
        self.manager = manager or manager_for(service)
        self.upstream_file: str = service["upstream_file"]
        self.check_mode = check_mode
        self.remark = ""

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """One change at a time: what a killed run left going on this machine ends before the next one begins.

        The lock of the run does not see to that, because who recovers a run holds the same lock.
        """
        if self.check_mode:
            yield
            return
        os.makedirs(self._path("state"), exist_ok=True)
        with open(self._path("state", "slots.guard"), "a", encoding="utf-8") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def release_path(self, release: str) -> str:
        """The directory of a release; a name that would leave `releases/` is an error."""
        if not release or release != os.path.basename(release) or release.startswith("."):
            raise SlotError(f"{release!r} is not the name of a release")
        return self._path("releases", release)

    def linked(self, color: str) -> str | None:
        """The release that a slot holds, `None` when it is empty."""
        link = self._path("slots", color, "release")
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None

    def runs(self, color: str, release: str) -> bool:
        """Whether the slot's process runs, and was started from this release."""
        return self._holds(color, release) and bool(self.manager.running(self.colors[color]["unit"]))

    def _holds(self, color: str, release: str) -> bool:
        """Whether a process of the slot, where there is one, was started from this release."""
        unsure = os.path.exists(self._path("slots", color, "starting"))
        return not unsure and self.linked(color) == release

    def candidate(self) -> str | None:
        """The release that `releases/candidate` names as the next one to deploy."""
        try:
            with open(self._path("releases", "candidate"), encoding="utf-8") as stream:
                return stream.read().strip() or None
        except FileNotFoundError:
            return None

    def releases(self) -> list[str]:
        """The releases on this machine, sorted by name."""
        directory = self._path("releases")
        if not os.path.isdir(directory):
            return []
        return sorted(e.name for e in os.scandir(directory) if e.is_dir() and not e.name.startswith("."))

    def active(self) -> str:
        """The color that the proxy sends the traffic to; `none` when it is neither."""
        address = upstream.read(self.upstream_file)
        if address is None:
            raise SlotError(f"{self.upstream_file} (the file that the proxy's upstream reads) does not exist")
        for color in COLORS:
            if self.colors[color]["address"] == address:
                return color
        return "none"

    def silence(self, color: str) -> str:
        """Why nothing accepts connections on the slot's address; empty when something does."""
        host, _, port = self.colors[color]["address"].rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=asking.SECONDS):
                return ""
        except OSError as error:
            return asking.reason(error, asking.SECONDS)

    def state(self) -> dict[str, Any]:
        """What is there now: the `service_state` of CONTRIBUTING.md, with `candidate` and `releases` besides."""
        colors, runs = {}, self.manager.which_run(*(self.colors[color]["unit"] for color in COLORS))
        for color in COLORS:
            running = self.colors[color]["unit"] in runs
            release = self.linked(color)
            silence = self.silence(color) if running else "it does not run"
            colors[color] = {
                "exists": release is not None,
                "running": running,
                "replicas": 1 if running else 0,
                "ready": 0 if silence else 1,
                "silence": silence,
                "release": release,
                "endpoints": [self.colors[color]["address"]] if running else [],
            }
        return {
            "active": self.active(),
            "upstream": upstream.read(self.upstream_file),
            "colors": colors,
            "candidate": self.candidate(),
            "releases": self.releases(),
        }

    def require_serving(self, color: str, release: str) -> None:
        """See that the traffic goes to a color whose process was started from a release and accepts connections.

        Looked at before what served before it is taken away.

        Raises:
            NoLongerServes: says what is not so.
        """
        unit, active = self.colors[color]["unit"], self.active()
        if active != color:
            seen = f"the traffic goes to {active}, not to {color}"
        elif not self._holds(color, release):
            seen = "{} holds {}; verified was {}".format(color, self.linked(color) or "no release", release)
        elif not self.manager.running(unit):
            seen = f"the process of {color} ({unit}) does not run"
        elif silence := self.silence(color):
            seen = "nothing accepts connections on {} ({}): {}".format(self.colors[color]["address"], color, silence)
        else:
            return
        raise NoLongerServes(f"What was verified does not serve any more: {seen}.{self.diagnosis(color)}")

    def start(self, color: str, release: str, stable_seconds: float = 0.0) -> bool:
        """Have a slot run a release: link it, (re)start its unit, and see that the process stays.

        Args:
            release: a directory below `releases/`.
            stable_seconds: how long the process must live before this returns.

        Returns:
            Whether anything changed: `False` when the slot ran this release already, and does so after a reboot.

        Raises:
            SlotError: no such release, or its process does not stay up; says what the log says.
        """
        target = self.release_path(release)
        if not os.path.isdir(target):
            raise SlotError(
                "there is no release {} in {} (there is: {})".format(
                    release, os.path.dirname(target), ", ".join(self.releases()) or "none"
                )
            )
        unit, starting = self.colors[color]["unit"], self._path("slots", color, "starting")
        if self.runs(color, release):
            return self._keep_over_reboot(color, True)
        if self.check_mode:
            return True
        try:
            os.makedirs(self._path("slots", color), exist_ok=True)
            durable.write(starting, (release + "\n").encode(), 0o644)
            self.manager.stop(unit)
            durable.link(self._path("slots", color, "release"), os.path.join("..", "..", "releases", release))
            self.manager.start(unit)
            os.unlink(starting)
            if stable_seconds:
                watch(self.manager, unit, stable_seconds)
        except UnitError as error:
            raise SlotError(f"{release} does not run in {color}: {error}{self.diagnosis(color)}") from error
        return True

    def stop(self, color: str) -> bool:
        """Stop a slot's process; requests that it has taken are answered first (SIGTERM).

        Returns:
            Whether anything changed.

        Raises:
            SlotError: it still runs.
        """
        unit = self.colors[color]["unit"]
        if not self.manager.running(unit):
            return self._keep_over_reboot(color, False)
        if not self.check_mode:
            try:
                self.manager.stop(unit)
            except UnitError as error:
                raise SlotError(str(error)) from error
            if not self.silence(color):
                raise SlotError(
                    "{} is stopped, and yet something answers on {}".format(unit, self.colors[color]["address"])
                )
        return True

    def _keep_over_reboot(self, color: str, runs: bool) -> bool:
        """See that the color runs, or does not, after a reboot too: one that has crashed would come back by itself."""
        try:
            return bool(self.manager.keep_over_reboot(self.colors[color]["unit"], runs, self.check_mode))
        except UnitError as error:
            raise SlotError(str(error)) from error

    def remove(self, color: str) -> bool:
        """Stop a slot and empty it; the release itself stays in `releases/`.

        Returns:
            Whether anything changed.

        Raises:
            SlotError: the traffic goes to that color.
        """
        if self.active() == color and not self.check_mode:
            raise SlotError(f"the traffic goes to {color}, so it is not removed")
        stopped = self.stop(color)
        link = self._path("slots", color, "release")
        if not os.path.lexists(link):
            return stopped
        if not self.check_mode:
            os.unlink(link)
            durable.sync_directory(os.path.dirname(link))
        return True

    def diagnosis(self, color: str) -> str:
        """The last lines of the slot's log, as text to put behind a failure; empty when there is no log.

        A service that writes no `logs/<color>.log` is one whose output its process manager keeps.
        """
        path = self._path("logs", color + ".log")
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                lines = deque(stream, LOG_LINES)
        except OSError:
            lines = deque()
        if lines:
            return "\nThe last lines of {}:\n{}".format(path, "".join(lines).rstrip())
        words = self.manager.words(self.colors[color]["unit"])
        return f"\n{words}" if words else ""

    def put_back(self, plan: dict[str, Any]) -> list[str]:
        """Have the traffic served as a rollback plan says, from the plan's `host` section alone.

        A color that still answers gets the traffic at once, before its process manager is asked: that takes longer
        than all the rest, and clients see the bad release meanwhile. Otherwise its release comes back from the backup
        when it is gone, its process is started, and the traffic follows when it is ready.

        A process of the plan's release that has the traffic is never stopped because it does not answer us: clients may
        be served all the same, and it is for the verification from outside to say. `remark` tells then why not.

        Args:
            plan: `{"active": color, "release": name, "upstream": "host:port", "ready": {"url", "seconds", "status"},
                "backup": {"path", "sha256"} or None, …}`.

        Returns:
            What was done, a sentence each; empty when nothing had to be.

        Raises:
            SlotError: the color does not come back.
            archive.ArchiveError: the backup is damaged.
        """
        color, release, done = plan["active"], plan["release"], []
        silent, holds = self._why_not_ready(plan), self._holds(color, release)
        sent = self._send_traffic(plan) if holds and not silent else []
        if not os.path.isdir(self.release_path(release)):
            done.append(f"release {release} restored from the backup")
            if not self.check_mode:
                self._restore(release, plan.get("backup"))
        left = False
        if silent and self.manager.running(self.colors[color]["unit"]):
            left = holds and upstream.read(self.upstream_file) == plan["upstream"]
            if not left:
                done.append(f"{color} stopped, because it was not ready ({silent})")
                self.stop(color)
        if (self.check_mode and done) or self.start(color, release):
            done.append(f"{color} started with {release}")
        silent = "" if self.check_mode else self._wait_ready(plan)
        if silent and not left:
            seconds = plan["ready"]["seconds"]
            raise SlotError(f"{color} is not ready after {seconds:g} s ({silent}){self.diagnosis(color)}")
        if silent:
            self.remark = f"{color} has the traffic and was left running, though it is not seen to be ready ({silent})"
        return [*sent, *done, *([] if sent else self._send_traffic(plan))]

    def _send_traffic(self, plan: dict[str, Any]) -> list[str]:
        """Have the proxy dial what a plan's `host` section says; what was done, empty when it did already."""
        changed = upstream.switch(self.upstream_file, plan["upstream"], (), self.check_mode)
        return ["traffic sent to {}".format(plan["active"])] if changed else []

    def put_back_preview(self, plan: dict[str, Any]) -> list[str]:
        """Bring the color that did not serve back to what it was: empty, stopped, or running its release.

        Args:
            plan: the plan's `host` section, with `"preview": {"color", "release" or None, "running": bool}`.

        Returns:
            What was done, a sentence each.

        Raises:
            SlotError: it does not reach that state, or the traffic goes to it.
        """
        color, release, running = (plan["preview"][key] for key in ("color", "release", "running"))
        if self.linked(color) is not None and not self.check_mode:
            self.require_serving(plan["active"], plan["release"])
        if release is None or not os.path.isdir(self.release_path(release)):
            return [f"{color} removed"] if self.remove(color) else []
        if running:
            return [f"{color} started with {release}"] if self.start(color, release) else []
        other = self.linked(color) != release
        changed = self.remove(color) if other else self.stop(color)
        if other and not self.check_mode:
            durable.link(self._path("slots", color, "release"), os.path.join("..", "..", "releases", release))
        return [f"{color} stopped, with {release} in it as before"] if changed or other else []

    def _restore(self, release: str, backup: dict[str, Any] | None) -> None:
        from . import archive

        if not backup or not os.path.isfile(backup["path"]):
            raise SlotError(
                "release {} is gone, and so is its backup {}".format(release, (backup or {}).get("path", ""))
            )
        if archive.sha256_of(backup["path"]) != backup["sha256"]:
            raise SlotError("the backup {} is not the one that was made for this plan".format(backup["path"]))
        archive.restore(backup["path"], os.path.join("releases", release), self.root)

    @staticmethod
    def _why_not_ready(plan: dict[str, Any]) -> str:
        """Why the color that a plan's `host` section names is not ready; empty when it is."""
        ready = plan["ready"]
        return asking.why_not_ready(plan["upstream"], ready["url"], ready.get("status") or [200])

    def _wait_ready(self, plan: dict[str, Any]) -> str:
        """Wait until that color is ready; why it is not when the time is over, empty when it is."""
        deadline = time.monotonic() + plan["ready"]["seconds"]
        while (silent := self._why_not_ready(plan)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return silent
