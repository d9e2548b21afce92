"""`kill -9` in the middle of an update on Kubernetes, then `pyrunbook recover`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_api import Api
from front import Front
from test_runbook import ROOT, Operator, free, manifests, serving


@pytest.fixture
def operator(api: Api, tmp_path: Path) -> Iterator[Operator]:
    with Front(api) as front:
        somebody = Operator(api, front, tmp_path / "operator")
        somebody.settings()
        yield somebody


def pyrunbook(operator: Operator, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyrunbook", *arguments],
        cwd=ROOT,
        env=operator.environment(),
        capture_output=True,
        text=True,
        timeout=200,
        stdin=subprocess.DEVNULL,
    )


def killed_at(operator: Operator, step: str, after: float, *arguments: str) -> None:
    """Start `pyrunbook ARGUMENTS` and kill it, without a word, this many seconds into a step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pyrunbook", *arguments, "--json"],
        cwd=ROOT,
        env=operator.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "step_started" and event.get("step") == step:
                time.sleep(after)
                return
        pytest.fail(f"{arguments[0]} ended before {step}:\n" + "".join(seen))
    finally:
        process.kill()
        process.communicate()


def update_killed_at(operator: Operator, step: str, after: float) -> None:
    attested = ("--attest", "oncall_available", "--attest", "staging_validated")
    killed_at(operator, step, after, "maintenance", "--window", "--yes", "-i", str(operator.inventory), *attested)


def see_that_it_ended(api: Api, operator: Operator) -> str:
    """See that one color serves, healthy and alone, with a free lock and nothing to recover; return its name."""
    color, release, ready = serving(api)
    assert (color, release, ready) in (("blue", "1.0.4", 2), ("green", "1.1.0", 2))
    other = "green" if color == "blue" else "blue"
    assert api.cluster().get("Deployment", f"agent-factory-{other}") is None
    assert free(api)
    assert operator.front.answer("/service/health")[0] == 200
    again = pyrunbook(operator, "recover")
    assert again.returncode == 0, "nothing is left to recover"
    return color


@pytest.mark.parametrize(
    ("strategy", "step"),
    [
        # In CI before the plan and after it, and in the way back below; tests/integration/test_engine.py has each step.
        ("zero_downtime", "backup"),
        pytest.param("zero_downtime", "rollback_plan", marks=pytest.mark.long),
        pytest.param("zero_downtime", "deploy_green", marks=pytest.mark.long),
        pytest.param("zero_downtime", "switch_service", marks=pytest.mark.long),
        pytest.param("zero_downtime", "verify", marks=pytest.mark.long),
        pytest.param("zero_downtime", "drain", marks=pytest.mark.long),
        pytest.param("zero_downtime", "cleanup", marks=pytest.mark.long),
        pytest.param("controlled_stop", "drain_first", marks=pytest.mark.long),
        pytest.param("controlled_stop", "deploy_green", marks=pytest.mark.long),
        ("controlled_stop", "switch_service"),
    ],
)
def test_after_a_kill_at_any_step_a_healthy_color_serves_again(
    api: Api, operator: Operator, strategy: str, step: str
) -> None:
    api.two_colors(replicas=2)
    operator.settings(update_strategy=strategy, deploy_green_manifests=manifests(api, "1.1.0"))
    update_killed_at(operator, step, after=0.3)
    done = pyrunbook(operator, "recover", "-v")
    assert done.returncode in (0, 4), done.stdout + done.stderr
    see_that_it_ended(api, operator)


def test_a_way_back_that_is_killed_is_brought_to_its_end(api: Api, operator: Operator) -> None:
    api.two_colors(replicas=2)
    operator.settings(deploy_green_manifests=manifests(api, "1.1.0"))
    update_killed_at(operator, "verify", after=0)
    killed_at(operator, "rollback", 0.3, "recover")
    done = pyrunbook(operator, "recover", "-v")
    assert done.returncode in (0, 4), done.stdout + done.stderr
    assert see_that_it_ended(api, operator) == "blue"
