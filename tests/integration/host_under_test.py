"""A machine set up with what stands in docs/host: units, proxy and inventory, with paths and ports of a test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import yaml
from operation import ROOT
from sandbox_under_test import Sandbox

from pyrunbook.sandbox import content
from pyrunbook.sandbox.configuration import caddy_program
from pyrunbook.sandbox.layout import COLORS
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.state import SandboxSettings

DOCS = ROOT / "docs" / "host"
REAL = "PYRUNBOOK_TEST_SYSTEMD"
"""Set to 1, the tests use the machine's own systemd, as root; their units are removed afterwards."""


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


SUDO = """#!/bin/sh
# sudo -n [-l] systemctl …: what the sudoers file lists word for word, and nothing else.
[ "$1" = -n ] && shift || exit 1
if [ "$1" = -l ]; then list=1; shift; fi
[ "$1" = -n ] && shift
[ "$1" = systemctl ] && shift || exit 1
if ! grep -qxF "/usr/bin/systemctl $*" "$0.allowed"; then
  [ -n "$list" ] || echo "sudo: a password is required" >&2
  exit 1
fi
[ -n "$list" ] || exec "$(dirname "$0")/systemctl" "$@"
"""


class FakeSystemd:
    """The stand-in (fake_systemd.py), found as `systemctl` in `programs`; and a sudo that reads docs/host/sudoers."""

    real = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "systemd"
        self.units = self.directory / "units"
        self.programs = directory / "bin"
        self.units.mkdir(parents=True)
        self.programs.mkdir()
        script = Path(__file__).with_name("fake_systemd.py")
        start = f"{sys.executable} -E -s -S {script} {self.directory}"  # the standard library is enough
        (self.programs / "systemctl").write_text(f'#!/bin/sh\nexec {start} "$@"\n')
        (self.programs / "systemctl").chmod(0o755)
        (self.programs / "sudo").write_text(SUDO)
        (self.programs / "sudo").chmod(0o755)
        self.allow((DOCS / "sudoers").read_text())

    def allow(self, sudoers: str) -> None:
        """Have sudo allow what a sudoers file of this form says."""
        (listed,) = re.findall(r"^Cmnd_Alias \w+ = (.*)$", sudoers.replace("\\\n", ""), re.MULTILINE)
        commands = [command.strip().replace("\\,", ",") for command in re.split(r"(?<!\\),", listed)]
        (self.programs / "sudo.allowed").write_text("".join(f"{command}\n" for command in commands))

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`systemctl WORDS`."""
        program = str(self.programs / "systemctl")
        return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)

    def processes(self) -> list[psutil.Process]:
        """The keepers and what they keep."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(self.directory) in process.cmdline():
                    found += [process, *process.children(recursive=True)]
        return found

    def power_off(self) -> None:
        """All processes of its units die at once."""
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=10)
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    def reboot(self) -> None:
        """Start what is enabled, and nothing else."""
        self.power_off()
        for link in self.units.glob("*.wants/*"):
            assert self.ctl("start", link.name).returncode == 0

    def remove(self, _units: list[str]) -> None:
        """End it."""
        self.power_off()


class RealSystemd:
    """The machine's own systemd."""

    real = True

    def __init__(self, _directory: Path) -> None:
        self.units = Path("/run/systemd/system")
        self.programs = Path("/usr/bin")

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`systemctl WORDS`."""
        return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False, timeout=120)

    def remove(self, units: list[str]) -> None:
        """Stop, disable and forget the units of a test."""
        self.ctl("disable", "--now", *units)
        for path in {self.units / f"{unit.partition('@')[0]}@.service" for unit in units}:
            path.unlink(missing_ok=True)
            shutil.rmtree(f"{path}.d", ignore_errors=True)
        self.ctl("daemon-reload")


class HostMachine(Sandbox):
    """A service below a root of its own, under systemd, behind Caddy, as docs/host says it; and its operator.

    Only what a reader of docs/host has to change is changed: paths, names, ports, the user.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "home", directory / "srv")
        real = os.environ.get(REAL) == "1"
        self.systemd: FakeSystemd | RealSystemd = RealSystemd(directory) if real else FakeSystemd(directory)
        self.name = f"agent-factory-{os.getpid()}" if real else "agent-factory"
        self.units = {color: f"{self.name}@{color}" for color in COLORS}
        public, maintenance, blue, green, self.see_blue, self.see_green, self.redirect = free_ports(7)
        self.ports = SandboxSettings("test", public, maintenance, blue, green, "")
        content.create(self.layout, self.ports)
        self._proxy: psutil.Popen | None = None
        self._units()
        self.inventory = self._inventory(directory / "hosts.yml")
        del self.env["PYRUNBOOK_SANDBOX"]
        self.env["PYRUNBOOK_INVENTORY"] = str(self.inventory)
        self.env |= dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE"), str(self.trust_file))
        self.env["PATH"] = os.pathsep.join([str(self.systemd.programs), self.env["PATH"]])

    @property
    def url(self) -> str:
        """Where clients reach the service: by a name, over TLS."""
        return f"https://localhost:{self.ports.public_port}"

    @property
    def trust_file(self) -> Path:
        """The root of Caddy's own authority, which signs for `localhost`."""
        return self.directory / "proxy/caddy/pki/authorities/local/root.crt"

    def load(self, rate: float = 50) -> Load:
        """Traffic of clients that trust that root alone."""
        return Load(self.url, rate, trust_file=self.trust_file)

    def _ours(self, text: str) -> str:
        """A file of docs/host for this machine."""
        changes = {
            "/srv/agent-factory": str(self.directory),
            "agent-factory.example.com:9101": f"127.0.0.1:{self.see_blue}",
            "agent-factory.example.com:9102": f"127.0.0.1:{self.see_green}",
            "https://agent-factory.example.com": self.url,
            "agent-factory.example.com": "localhost",
            ":9101": f":{self.see_blue}",
            ":9102": f":{self.see_green}",
            "127.0.0.1:8101": self.ports.addresses["blue"],
            "127.0.0.1:8102": self.ports.addresses["green"],
            ":8099": ":" + self.ports.maintenance_address.rpartition(":")[2],
            "agent-factory@": f"{self.name}@",
        }
        for example, here in changes.items():
            text = text.replace(example, here)
        return text

    def _units(self) -> None:
        template = self.systemd.units / f"{self.name}@.service"
        template.write_text(self._ours((DOCS / "agent-factory@.service").read_text()))
        drop_in = Path(f"{template}.d") / "test.conf"
        drop_in.parent.mkdir(exist_ok=True)
        # A test's root is in a temporary directory or a home, and so may be its Python.
        drop_in.write_text(
            "[Service]\nUser=root\nGroup=root\nPrivateTmp=no\nProtectHome=no\n"
            f"Environment=PATH={Path(sys.executable).parent}:/usr/bin:/bin\n"
        )
        for color in COLORS:
            (self.directory / "config" / f"{color}.env").write_text(self._ours((DOCS / f"{color}.env").read_text()))

    def _inventory(self, path: Path) -> Path:
        data = yaml.safe_load(self._ours((DOCS / "inventory.yml").read_text()))
        service: dict[str, Any] = data["services"]["hosts"]["agent-factory"]
        real = ["service_systemctl_command"] if self.systemd.real else []  # the tests are root then
        for name in ("ansible_host", "ansible_user", "update_window_cutoff", *real):
            del service[name]
        service |= {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        service |= {"update_window": "always", "drain_delay": 1, "deploy_green_stable_seconds": 2}
        path.write_text(yaml.safe_dump(data))
        return path

    def start(self) -> None:
        """Install the proxy, have blue serve 1.0.4, and wait until it does."""
        caddyfile = self.directory / "proxy" / "Caddyfile"
        ports = f"http_port {self.redirect}\n\thttps_port {self.ports.public_port}"
        options = f"{{\n\tadmin off\n\tskip_install_trust\n\t{ports}\n}}\n"
        caddyfile.write_text(options + self._ours((DOCS / "Caddyfile").read_text()))
        own = {"XDG_DATA_HOME": str(self.directory / "proxy"), "XDG_CONFIG_HOME": str(self.directory / "proxy")}
        with (self.directory / "logs" / "proxy.log").open("w") as log:
            self._proxy = psutil.Popen(
                [str(caddy_program()), "run", "--config", str(caddyfile)],
                env={**self.env, **own}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        assert self.systemd.ctl("daemon-reload").returncode == 0
        begun = self.systemd.ctl("enable", "--now", self.units["blue"])
        assert begun.returncode == 0, begun.stderr
        self.wait()

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        """Status, headers and body that a client gets, over a new connection.

        Raises:
            OSError: no connection, or a certificate that our root has not signed.
        """
        asked = urllib.request.Request(self.url + path, b"x" if method == "POST" else None, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def wait(self, seconds: float = 20) -> None:
        """Wait until the service answers a client."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self.ask("/ready")[0] == 200:
                    return
            assert time.monotonic() < deadline, (self.directory / "logs" / "proxy.log").read_text()
            time.sleep(0.1)

    def state(self, color: str) -> tuple[str, str]:
        """What systemd says of a color: whether it is active, and whether a reboot would start it."""
        unit = self.units[color]
        words = [self.systemd.ctl(verb, unit).stdout.strip() for verb in ("is-active", "is-enabled")]
        return words[0], words[1]

    def stop(self) -> None:
        """End all of it."""
        self.systemd.remove(list(self.units.values()))
        if self._proxy:
            self._proxy.send_signal(signal.SIGKILL)
            self._proxy.wait()


@contextlib.contextmanager
def running(directory: Path) -> Iterator[HostMachine]:
    """A machine whose blue serves 1.0.4; 1.1.0 is the next release."""
    machine = HostMachine(directory)
    with mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(machine.trust_file)}):
        try:
            machine.start()
            yield machine
        finally:
            machine.stop()
