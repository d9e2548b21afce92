"""The services of an inventory, as a run asks for them: by the real ansible-inventory."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyrunbook.errors import BadInput
from pyrunbook.execution import inventory

HOSTS = """
[services]
a service_platform=host
b service_platform=kubernetes
[web]
b
[web:children]
machines
[machines]
m[0001:2000] rack=1
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "hosts.ini").write_text(HOSTS)
    return str(tmp_path / "hosts.ini")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ansible-inventory prints, call by call."""
    said: list[str] = []

    def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess_run(*arguments, **options)
        said.append(done.stdout)
        return done

    subprocess_run = subprocess.run
    monkeypatch.setattr(inventory.subprocess, "run", run)
    return said


@pytest.mark.parametrize(
    ("limit", "expected"), [("", ["a", "b"]), ("b", ["b"]), ("a,m0001", ["a"]), ("web:a", ["a", "b"]), ("!a", ["b"])]
)
def test_only_the_services_are_asked_for(source: str, printed: list[str], limit: str, expected: list[str]) -> None:
    found = inventory.services((source,), limit)
    assert sorted(found) == expected
    assert all("service_platform" in variables for variables in found.values())
    assert "m0001" not in printed[0], "the variables of 2000 machines cost a second, of 15 000 half a minute"


def test_an_inventory_without_services_is_bad_input(source: str) -> None:
    with pytest.raises(BadInput, match=r"No host matched: .* and --limit machines has none in group services"):
        inventory.services((source,), "machines")


def test_an_inventory_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "slow"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setenv(inventory.ENV_TIMEOUT, "1.5")
    with pytest.raises(BadInput, match=r"did not answer within 1\.5 s") as error:
        inventory.services((str(script),))
    assert "ansible-inventory --list --limit services -i" in error.value.next_step
    monkeypatch.setenv(inventory.ENV_TIMEOUT, "soon")
    with pytest.raises(BadInput, match="PYRUNBOOK_INVENTORY_TIMEOUT is 'soon'"):
        inventory.services((str(script),))
