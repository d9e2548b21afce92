"""Start operations on a test sandbox, stop them at a step, and look at what serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from sandbox_under_test import Sandbox

ROOT = Path(__file__).resolve().parents[2]
MAINTENANCE = ("maintenance", "--window", "--yes")
DIRECT = (
    str(Path(sys.executable).parent / "ansible-playbook"),
    str(ROOT / "playbooks/maintenance/production_update.yml"),
    "-i",
    str(ROOT / "inventories/sandbox"),
    "-e",
    '{"preflight_attested": ["oncall_available", "staging_validated"]}',
)


def serves(sandbox: Sandbox) -> tuple[str, str]:
    """Color and version that answer a client, over a new connection."""
    with urllib.request.urlopen(sandbox.url + "/version", timeout=10) as answer:
        told = json.loads(answer.read())
    return told["color"], told["version"]


def maintain(sandbox: Sandbox, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`pyrunbook maintenance`, which must exit with `code`."""
    done = sandbox.run(*MAINTENANCE, *args)
    assert done.returncode == code, f"exit {done.returncode}, wanted {code}\n{done.stdout}\n{done.stderr}"
    return done


def runs(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The journal's runs, newest first."""
    return [json.loads(line) for line in sandbox.ask("history", "--json", "--limit", "100").splitlines()]


def report(sandbox: Sandbox, run: str = "latest") -> dict[str, Any]:
    """One run, whole."""
    done = sandbox.run("report", run, "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def started(sandbox: Sandbox, *args: str) -> Iterator[subprocess.Popen[str]]:
    """`pyrunbook ARGS --json` in the background; ended by pid when the test is over."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pyrunbook", *args, "--json"],
        env=sandbox.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def until_step(process: subprocess.Popen[str], step: str) -> dict[str, Any]:
    """Read events until a step begins."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "step_started" and event["step"] == step:
            return event
    assert process.stderr is not None
    raise AssertionError(f"the step {step} never began: {process.stderr.read()}")


def run_until_step(process: subprocess.Popen[str], step: str) -> tuple[str, str]:
    """The id of the run once a step begins, empty where the run ends before it; and what was told until then."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "step_started" and event["step"] == step:
            return str(event["run"]), told
    return "", told


def playing(run: str) -> list[psutil.Process]:
    """The processes of this user that carry a run's id in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PYRUNBOOK_RUN_ID") == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def gone(run: str, seconds: float = 10) -> bool:
    """Whether no process of a run is left, within `seconds`."""
    deadline = time.monotonic() + seconds
    while playing(run):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def kill_ansible(run: str) -> None:
    """SIGKILL to the ansible-playbook that plays a run: the oldest of its processes."""
    oldest = min(playing(run), key=lambda process: process.create_time())
    os.kill(oldest.pid, signal.SIGKILL)
