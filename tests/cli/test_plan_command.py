"""`pyrunbook plan`: what a run would do, for services of real inventories."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from service_variables import HOST, KUBERNETES

from pyrunbook import catalog
from pyrunbook.cli.main import main
from pyrunbook.execution import inventory

Run = Callable[..., tuple[int, str, str]]
UPDATE = "maintenance/production_update"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "ansible"))
    monkeypatch.delenv("PYRUNBOOK_INVENTORY", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["plan", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The services of the inventory, to be filled in: without the second that ansible-inventory takes."""
    made: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": made)
    return made


def test_the_shipped_production_inventory(run: Run) -> None:
    code, out, err = run("-i", "production")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Production update · agent-factory on production (kubernetes)"
    assert lines[1].startswith("Window: ")
    assert lines[2:4] == ["Strategy: controlled_stop", "Takes 30 min; 10 min in reserve for a rollback"]
    assert "  prerequisite  The on-call team is available (--attest oncall_available)" in lines
    assert "  prerequisite  A rollback plan is prepared (checked by the run)" in lines
    steps = [line.split("[")[1].split("]")[0] for line in lines if "[" in line]
    assert steps == [
        step.id for step in catalog.load().get(UPDATE).steps("controlled_stop")
    ]  # the page and the run have the same order
    assert steps.index("drain_first") < steps.index("deploy_green")
    assert "drain" not in steps


def test_an_inventory_is_a_directory_a_file_or_the_environments(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own" / "group_vars").mkdir(parents=True)
    (tmp_path / "own" / "hosts.yml").write_text("services:\n  hosts:\n    web:\n    shop:\n")
    (tmp_path / "own" / "group_vars" / "services.yml").write_text(json.dumps({**HOST, "update_window": "always"}))
    monkeypatch.setenv("PYRUNBOOK_INVENTORY", "own")
    assert [line.split(" on ")[0] for line in run()[1].splitlines() if " on " in line] == [
        "Production update · web",
        "Production update · shop",
    ]
    code, out, _ = run("-i", "own/hosts.yml", "--limit", "shop", "--json")
    assert code == 0
    assert json.loads(out)["service"] == "shop"
    code, _, err = run("--limit", "nobody")
    assert code == 2
    assert f"No host matched: inventory {tmp_path}/own and --limit nobody has none in group services." in err


@pytest.mark.parametrize(
    ("file", "content", "where"),
    [
        ("hosts.yml", "services:\n  hosts:\n    web: {service_platform: host\n", "hosts.yml:4:1: "),
        ("hosts.yml", "services:\n  hosts: [\n", "hosts.yml:3:1: "),
        ("group_vars/services.yml", "a: [1\npassword: hunter2\n", "group_vars/services.yml:2:9: "),
        ("group_vars/services", "a: 'b\n", "group_vars/services:2:1: "),
    ],
)
def test_an_inventory_that_is_no_yaml_names_file_and_line(
    run: Run, tmp_path: Path, file: str, content: str, where: str
) -> None:
    (tmp_path / "own" / "group_vars").mkdir(parents=True)
    (tmp_path / "own" / "hosts.yml").write_text("services:\n  hosts:\n    web:\n")
    (tmp_path / "own" / file).write_text(content)
    code, out, err = run("-i", "own")
    assert (code, out) == (2, "")
    assert f"{tmp_path}/own/{where}" in err
    assert "hunter2" not in err
    assert err.endswith(f"\nNext: correct it, then: pyrunbook doctor -i {tmp_path}/own\n")
    assert len(err.splitlines()) == 2


def test_json_has_what_the_text_has(run: Run, services: dict[str, dict[str, Any]]) -> None:
    services["web"] = {**HOST, "update_window": "Sun 02:00-04:00 UTC"}
    services["shop"] = {**KUBERNETES, "update_strategy": "controlled_stop"}
    code, out, _ = run("--json")
    assert code == 0
    web, shop = (json.loads(line) for line in out.splitlines())
    assert (web["runbook"], web["service"], web["platform"], web["strategy"]) == (
        UPDATE,
        "web",
        "host",
        "zero_downtime",
    )
    assert (web["estimate_seconds"], web["reserve_seconds"]) == (1800, 600)
    assert shop["strategy"] == "controlled_stop"
    assert {entry["name"]: entry["check"] for entry in web["prerequisites"]}["oncall_available"] == "attested"
    assert [step["step"] for step in web["steps"]][:3] == ["preflight", "backup", "rollback_plan"]
    assert {"open", "reason", "next_start"} <= set(web["window"])
    text = run()[1]
    for step in web["steps"]:
        assert f"{step['title']}  [{step['step']}]" in text


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"update_window": "Sunn 02:00-04:00 UTC"}, "Sunn"),
        ({"update_window": "Sun 02:00-02:30 UTC"}, "never"),
        ({"update_window": "{{ windows[0] }}"}, "gives the window as a template"),
        ({"update_window_exclusions": ["someday"]}, "someday"),
        ({"update_window_cutoff": "soon"}, "soon"),
        ({"update_strategy": "chaos"}, "chaos"),
        ({"service_url": ""}, "service_url is missing"),
    ],
)
def test_a_wrong_inventory_says_what_is_wrong(
    run: Run, services: dict[str, dict[str, Any]], variables: dict[str, Any], said: str
) -> None:
    services["web"] = {**HOST, **variables}
    code, out, err = run()
    if code == 0:  # a window that is never open is not malformed: the plan says so
        assert said in out
        return
    assert code == 2
    assert said in err


def test_an_exclusion_list_that_is_empty_is_none(run: Run, services: dict[str, dict[str, Any]]) -> None:
    services["web"] = {**HOST, "update_window": "always", "update_window_exclusions": None}
    assert "Window: open" in run()[1]


def test_a_runbook_that_is_not_there(run: Run) -> None:
    code, _, err = run("maintenance/nonsense")
    assert code == 2
    assert "maintenance/nonsense" in err
