"""`make demo` shows an update without a failed request, in both directions, and does not hide a failure."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from operation import runs
from sandbox_under_test import Sandbox

pytestmark = pytest.mark.integration


def demo(sandbox: Sandbox) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyrunbook.sandbox.demo"],
        env=sandbox.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_the_demo_updates_in_one_direction_and_then_in_the_other(new_sandbox: Sandbox) -> None:
    for color, release in (("green", "1.1.0"), ("blue", "1.0.4")):
        done = demo(new_sandbox)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{color} serves {release} at {new_sandbox.url}" in done.stdout
        (counted,) = re.findall(r"^(\d+) requests in [\d.]+ s, (\d+) failed$", done.stdout, re.M)
        assert int(counted[0]) > 200, "traffic during the whole run"
        assert counted[1] == "0"
        assert re.search(r"^  ✓ Switch traffic to \w+ +\d+\.\d s ", done.stdout, re.M), "each step with its time"
        status = new_sandbox.status()
        assert status["running"], "the sandbox stays up"
        assert status["active"] == color


@pytest.mark.long
def test_the_demo_of_a_bad_release_ends_as_the_run_did(sandbox: Sandbox) -> None:
    sandbox.release("2.0.0", "unhealthy")
    done = demo(sandbox)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "blue serves 1.0.4 at" in done.stdout
    assert " 0 failed" in done.stdout, "the color that serves was not touched"
    (run,) = runs(sandbox)
    assert run["outcome"] == "rolled_back"
