"""A machine that is reached over SSH: Debian's own sshd on a loopback port, with keys of its own, for one test."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from operation import ROOT
from sandbox_under_test import Sandbox

from pyrunbook.plugins.inventory.pyrunbook_sandbox import host_variables
from pyrunbook.sandbox import state

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
"""sshd wants to be started by its absolute path."""
# The Python of a machine is its own: not ours, and without any of our packages, wherever there is another one.
PYTHON = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or "python3"


def needed() -> None:
    """Skip the test where there is no sshd; in CI that is a failure."""
    if SSHD and shutil.which("ssh"):
        return
    if os.environ.get("CI"):
        pytest.fail("no sshd in CI, which installs openssh-server")
    pytest.skip("no sshd here (Debian: apt-get install openssh-server)")


def namespaces() -> bool:
    """Whether a process may have mounts of its own here."""
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SshMachine:
    """An sshd that lets in one key, as the user who runs the test.

    Attributes:
        directory: everything of the server.
        port: on 127.0.0.1.
        known_hosts: what the operator knows: this server's host key.
        key: the operator's key.
    """

    def __init__(self, directory: Path) -> None:
        needed()
        self.directory = directory
        self.port = _free_port()
        self.key = directory / "operator_key"
        self.known_hosts = directory / "known_hosts"
        self._server: psutil.Popen | None = None
        directory.mkdir(parents=True)
        self._keygen(self.key)
        self.new_host_key()
        self.know()
        (directory / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        (directory / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\n"
            f"HostKey {directory}/host_key\n"
            f"AuthorizedKeysFile {directory}/authorized_keys\n"
            f"PidFile {directory}/sshd.pid\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            "PermitRootLogin prohibit-password\nMaxStartups 100\nLogLevel VERBOSE\n"
            "Subsystem sftp internal-sftp\n"
        )

    @staticmethod
    def _keygen(path: Path) -> None:
        path.unlink(missing_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)

    def new_host_key(self) -> None:
        """Give the server another host key; it is used from its next start on."""
        self._keygen(self.directory / "host_key")

    def know(self) -> None:
        """Write down the server's host key, as an operator does who has compared it."""
        kind, key = (self.directory / "host_key.pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def start(self, only_there: tuple[Path, Path] | None = None) -> None:
        """Start the server and wait until it answers.

        Args:
            only_there: a directory, and an empty one in whose place it stands for whoever comes in over SSH, and for
                nobody else (a mount namespace of the server's own).
        """
        assert SSHD
        apart: list[str] = []
        if only_there:
            there = 'mount --bind "$0" "$1" && shift && exec "$@"'
            apart = ["unshare", "--mount", "sh", "-c", there, *map(str, only_there)]
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("a") as log:
            self._server = psutil.Popen(
                [*apart, SSHD, "-D", "-e", "-f", str(self.directory / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                if client.recv(4) == b"SSH-":
                    return
            if time.monotonic() > deadline or self._server.poll() is not None:
                raise AssertionError(f"sshd does not answer: {self.log()}")
            time.sleep(0.05)

    def log(self) -> str:
        """What the server said."""
        return (self.directory / "sshd.log").read_text()

    def sessions(self) -> list[psutil.Process]:
        """The server's processes for connections that stand; not what runs inside of them."""
        if self._server is None or not self._server.is_running():
            return []
        with contextlib.suppress(psutil.Error):
            return [p for p in self._server.children(recursive=True) if p.name().startswith("sshd")]
        return []

    def stop(self) -> None:
        """End the server and every connection, as when the machine's network goes away; what runs there runs on."""
        if self._server is None:
            return
        sessions = self.sessions()
        for process in (self._server, *sessions):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._server.wait()
        psutil.wait_procs(sessions, timeout=5)
        self._server = None

    def connection(self) -> dict[str, Any]:
        """The connection variables of an inventory; host keys are checked, as ansible.cfg says."""
        options = f"-F /dev/null -o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=/dev/null"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"{options} -o IdentitiesOnly=yes",
            "ansible_python_interpreter": PYTHON,
        }


@contextlib.contextmanager
def running(directory: Path) -> Iterator[SshMachine]:
    """A machine with its sshd running."""
    machine = SshMachine(directory)
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()


def write_inventory(path: Path, hosts: dict[str, dict[str, Any]], **variables: Any) -> Path:
    """An inventory file with services; `variables` are theirs in common."""
    data = {"services": {"hosts": hosts, "vars": variables}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data))
    return path


class Operator(Sandbox):
    """Whoever runs pyrunbook against a sandbox from elsewhere: a home, a directory and a journal of their own.

    Nothing in the environment says where the sandbox is; what is known of it stands in the inventory.
    """

    def __init__(self, sandbox: Sandbox, home: Path, inventory: Path) -> None:
        super().__init__(home / "state", sandbox.directory)
        self.elsewhere = home / "elsewhere"
        self.elsewhere.mkdir(parents=True)
        del self.env["PYRUNBOOK_SANDBOX"]
        del self.env["ANSIBLE_HOME"]
        self.env |= {"HOME": str(home), "PYRUNBOOK_INVENTORY": str(inventory), "TMPDIR": str(home / "tmp")}
        (home / "tmp").mkdir()

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.process(*args, cwd=self.elsewhere)


def remote_service(sandbox: Sandbox, machine: SshMachine) -> dict[str, Any]:
    """The inventory variables of a sandbox that is reached over SSH."""
    beside = Path(sys.executable).parent
    known = host_variables(state.read(sandbox.directory, probe=False))
    decided = yaml.safe_load((ROOT / "inventories/sandbox/group_vars/services.yml").read_text())
    return {**decided, **known, **machine.connection(), "service_supervisor_command": [str(beside / "supervisorctl")]}
