"""A sandbox for one measurement: private directory, journal and ports; nothing of it is left afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox_under_test import Sandbox

from benchmarks import ROOT
from benchmarks.figures import NotMeasured

UPDATE = ("run", "maintenance/production_update", "--window", "--yes", "-i", str(ROOT / "inventories" / "sandbox"))
"""`pyrunbook` with these updates the sandbox."""
DIRECT = (
    str(Path(sys.executable).parent / "ansible-playbook"),
    str(ROOT / "playbooks" / "maintenance" / "production_update.yml"),
    "-i",
    str(ROOT / "inventories" / "sandbox"),
    "-e",
    '{"preflight_attested": ["oncall_available", "staging_validated"]}',
)
"""The same by Ansible alone."""


@contextmanager
def running() -> Iterator[Sandbox]:
    """A sandbox that is up: blue serves, green is empty.

    Raises:
        NotMeasured: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pyrunbook-bench-") as directory:
        sandbox = Sandbox(Path(directory, "home"), Path(directory, "sandbox"))
        sandbox.env["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
        try:
            up = sandbox.process("sandbox", "up")
            if up.returncode:
                raise NotMeasured(f"the sandbox does not start: {(up.stderr or up.stdout).strip()}")
            yield sandbox
        finally:
            sandbox.destroy()


def release(sandbox: Sandbox, version: str, fault: str = "") -> None:
    """Make a release, and the candidate of the next update."""
    must(sandbox.process("sandbox", "release", version, *(["--fault", fault] if fault else [])), 0, "sandbox release")


def serves(sandbox: Sandbox) -> tuple[str, str]:
    """Color and version that answer a new connection."""
    with urllib.request.urlopen(sandbox.url + "/version", timeout=10) as answer:
        told = json.loads(answer.read())
    return told["color"], told["version"]


def must(done: subprocess.CompletedProcess[str], code: int, what: str) -> None:
    """See that a program ended as it should, because the time of anything else means nothing.

    Raises:
        NotMeasured: it did not.
    """
    if done.returncode != code:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise NotMeasured(f"{what} ended with {done.returncode}, not {code}:\n{said}")


def timed(sandbox: Sandbox, argv: tuple[str, ...], what: str) -> float:
    """Seconds that a program takes with the sandbox's environment; it must succeed."""
    began = time.monotonic()
    done = subprocess.run(argv, env=sandbox.env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    seconds = time.monotonic() - began
    must(done, 0, what)
    return seconds
