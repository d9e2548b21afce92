"""The checks of an inventory as commands to type: what they print is what a run would compute."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pyrunbook.catalog.templates import Values
from pyrunbook.docs.service_checks import checks_by_hand
from pyrunbook.rollout.checks import percentile

PAGES = Path(__file__).parents[2] / "docs" / "runbooks"
TIMES = [0.007, 0.003, 0.100, 0.001, 0.005, 0.002, 0.008, 0.004, 0.006, 0.009]


def test_percentiles_are_those_of_a_run(tmp_path: Path) -> None:
    curl = tmp_path / "curl"
    answers = "\n".join(f"{500 if took == 0.1 else 200} {took:.6f}" for took in TIMES)
    (tmp_path / "answers").write_text(answers + "\n")
    curl.write_text(f"#!/bin/sh\nhead -n 1 {tmp_path}/answers\nsed -i 1d {tmp_path}/answers\n")
    curl.chmod(0o755)
    check = {"name": "health", "path": "/health", "requests": 10, "latency": {"p50": 50, "p95": 500}}
    ((_, command, expected),) = checks_by_hand(
        Values({"service_checks": [check], "service_url": "http://127.0.0.1:9"}), "en"
    )
    said = subprocess.run(
        ["bash", "-euc", f"PATH={tmp_path}:$PATH; {command}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    wanted = [f"p{rank} {1000 * percentile(TIMES, rank):.0f} ms" for rank in (50, 95)]
    assert (sorted(said[:2]), said[2:]) == (["1 500", "9 200"], wanted)
    assert "p95 at most 500 ms" in expected


def test_no_variable_of_the_playbooks_is_said_to_readers() -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGES.rglob("*.md")]
    assert not [page[:80] for page in pages if "`not recovers`" in page]
    assert any("brings an unfinished run to its end" in page for page in pages)
    assert any("une exécution inachevée" in page for page in pages)
