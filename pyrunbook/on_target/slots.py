"""The two slots of a service on platform `host`: which release each holds, whether it runs, and how to change that.

Layout below the service's root (CONTRIBUTING.md): `slots/<color>/release` is a symbolic link to the release;
`slots/<color>/started` names the release that the running process was started from, so that a run that died
between linking and starting is seen as such.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any, Dict, List, Optional

from . import durable, upstream
from .units import Supervisor, Systemd, UnitError, watch

COLORS = ("blue", "green")
LOG_LINES = 20
"""How many of the last lines of a log a diagnosis quotes."""


class SlotError(Exception):
    """A slot cannot be read or brought into the state asked for; the text is for the operator."""


def manager_for(name: str, supervisor_config: str = "", supervisor_command: Optional[List[str]] = None) -> Any:
    """The process manager that an inventory names: `systemd`, or `supervisor` with its configuration file."""
    if name == "systemd":
        return Systemd()
    if name == "supervisor":
        return Supervisor(supervisor_config, supervisor_command or ["supervisorctl"])
    raise SlotError("unknown service_manager %r: systemd or supervisor" % name)


class Slots:
    """The slots of one service.

    Args:
        root: the service's root directory.
        colors: per color `address` (host:port) and `unit`.
        manager: the process manager, see `manager_for`.
        upstream_file: what the proxy reads.
        check_mode: report what would change, change nothing.
    """

    def __init__(
        self, root: str, colors: Dict[str, Dict[str, str]], manager: Any, upstream_file: str, check_mode: bool = False
    ) -> None:
        if not os.path.isdir(root):
            raise SlotError("%s (service_root) is not a directory on this machine" % root)
        self.root = root
        self.colors = colors
        self.manager = manager
        self.upstream_file = upstream_file
        self.check_mode = check_mode

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def release_path(self, release: str) -> str:
        """Where a release stands; a name that would leave `releases/` is an error."""
        if not release or release != os.path.basename(release) or release.startswith("."):
            raise SlotError("%r is not the name of a release" % release)
        return self._path("releases", release)

    def linked(self, color: str) -> Optional[str]:
        """The release that a slot holds, `None` when it is empty."""
        link = self._path("slots", color, "release")
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None

    def started(self, color: str) -> Optional[str]:
        """The release that the slot's process was started from, as far as we started it."""
        try:
            with open(self._path("slots", color, "started"), encoding="utf-8") as stream:
                return stream.read().strip() or None
        except FileNotFoundError:
            return None

    def candidate(self) -> Optional[str]:
        """The release that `releases/candidate` names as the next one to deploy."""
        try:
            with open(self._path("releases", "candidate"), encoding="utf-8") as stream:
                return stream.read().strip() or None
        except FileNotFoundError:
            return None

    def releases(self) -> List[str]:
        """The releases on this machine, sorted by name."""
        directory = self._path("releases")
        if not os.path.isdir(directory):
            return []
        return sorted(e.name for e in os.scandir(directory) if e.is_dir() and not e.name.startswith("."))

    def active(self) -> str:
        """The color that the proxy sends the traffic to; `none` when it is neither."""
        address = upstream.read(self.upstream_file)
        if address is None:
            raise SlotError("%s (the file that the proxy's upstream reads) does not exist" % self.upstream_file)
        for color in COLORS:
            if self.colors[color]["address"] == address:
                return color
        return "none"

    def listens(self, color: str) -> bool:
        """Whether something accepts connections on the slot's address."""
        host, _, port = self.colors[color]["address"].rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
                return True
        except OSError:
            return False

    def state(self) -> Dict[str, Any]:
        """What is there now: the `service_state` of CONTRIBUTING.md, with `candidate` and `releases` besides."""
        colors = {}
        for color in COLORS:
            running = self.manager.running(self.colors[color]["unit"])
            release = self.linked(color)
            colors[color] = {
                "exists": release is not None,
                "running": running,
                "replicas": 1 if running else 0,
                "ready": 1 if running and self.listens(color) else 0,
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

    def start(self, color: str, release: str, stable_seconds: float = 0.0) -> bool:
        """Have a slot run a release: link it, (re)start its unit, and see that the process stays.

        Args:
            color: the slot.
            release: a directory below `releases/`.
            stable_seconds: how long the process must live before this returns.

        Returns:
            Whether anything changed: `False` when the slot ran this release already.

        Raises:
            SlotError: no such release, or its process does not stay up; says what the log says.
        """
        target = self.release_path(release)
        if not os.path.isdir(target):
            raise SlotError("there is no release %s in %s (there is: %s)" % (release, os.path.dirname(target), ", ".join(self.releases()) or "none"))
        unit = self.colors[color]["unit"]
        runs = self.linked(color) == release and self.started(color) == release and self.manager.running(unit)
        if runs or self.check_mode:
            return not runs
        try:
            self.manager.stop(unit)
            self._forget_start(color)
            os.makedirs(self._path("slots", color), exist_ok=True)
            durable.link(self._path("slots", color, "release"), os.path.join("..", "..", "releases", release))
            self.manager.start(unit)
            durable.write(self._path("slots", color, "started"), (release + "\n").encode(), 0o644)
            if stable_seconds:
                watch(self.manager, unit, stable_seconds)
        except UnitError as error:
            raise SlotError("%s does not run in %s: %s%s" % (release, color, error, self.diagnosis(color))) from error
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
            return False
        if not self.check_mode:
            self._forget_start(color)
            try:
                self.manager.stop(unit)
            except UnitError as error:
                raise SlotError(str(error)) from error
            if self.listens(color):
                raise SlotError("%s is stopped, and yet something answers on %s" % (unit, self.colors[color]["address"]))
        return True

    def remove(self, color: str) -> bool:
        """Stop a slot and empty it; the release itself stays in `releases/`.

        Returns:
            Whether anything changed.

        Raises:
            SlotError: the traffic goes to that color.
        """
        if self.active() == color:
            raise SlotError("the traffic goes to %s, so it is not removed" % color)
        stopped = self.stop(color)
        link = self._path("slots", color, "release")
        if not os.path.lexists(link):
            return stopped
        if not self.check_mode:
            os.unlink(link)
            durable.sync_directory(os.path.dirname(link))
        return True

    def diagnosis(self, color: str) -> str:
        """The last lines of the slot's log, as text to put behind a failure; empty when there is no log."""
        path = self._path("logs", color + ".log")
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                lines = deque(stream, LOG_LINES)
        except OSError:
            return ""
        return "\nThe last lines of %s:\n%s" % (path, "".join(lines).rstrip()) if lines else ""

    def _forget_start(self, color: str) -> None:
        marker = self._path("slots", color, "started")
        if os.path.exists(marker):
            os.unlink(marker)

    def put_back(self, plan: Dict[str, Any], archive_restore: Any) -> List[str]:
        """Have the traffic served as a rollback plan's `host` section says, from that section alone.

        The color that served runs again (its release is taken from the backup when it is gone) before the traffic
        goes back to it. A color that still answers gets the traffic at once.

        Args:
            plan: `{"upstream": "host:port", "active": color, "release": name}`.
            archive_restore: called with the release's name when its directory is gone.

        Returns:
            What was done, a sentence each; empty when nothing had to be.

        Raises:
            SlotError: the color does not come back, or the plan names none.
        """
        color, release, done = plan["active"], plan["release"], []
        unit = self.colors[color]["unit"]
        if not os.path.isdir(self.release_path(release)):
            if not self.check_mode:
                archive_restore(release)
            done.append("release %s restored from the backup" % release)
        if self.start(color, release):
            done.append("%s started with %s" % (unit, release))
        if upstream.switch(self.upstream_file, plan["upstream"], (), self.check_mode):
            done.append("traffic sent to %s" % color)
        return done
