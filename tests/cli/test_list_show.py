"""`pyrunbook list` and `pyrunbook show`, as programs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_project import edit, write

from pyrunbook import catalog
from pyrunbook.cli.main import main

Run = Callable[..., tuple[int, str, str]]
UPDATE = "maintenance/production_update"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `pyrunbook …`; returns the exit code, what it printed, and what it said on stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def _content(root: Path, **playbooks: str) -> None:
    (root / "roles").mkdir()
    for name, text in playbooks.items():
        path = root / "playbooks" / "maintenance" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.with_suffix(".meta.yml").write_text(
            "argument_specs:\n  Good:\n    short_description: x\n    runbook:\n"
            '      {schema: 1, title: Good one, owner: "@x", updated: 2026-11-21, window: {required: true}}\n'
        )


def test_list(run: Run) -> None:
    code, output, errors = run("list")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split() == ["RUNBOOK", "TITLE", "WINDOW", "TAKES"]
    (update,) = (line for line in lines if line.startswith(UPDATE))
    assert "Production update" in update
    assert "Sun 02:00-04:00 UTC" in update
    assert update.endswith("30 min")
    assert "\x1b" not in output


def test_list_json(run: Run) -> None:
    code, output, _ = run("list", "--json")
    assert code == 0
    facts = {item["id"]: item for item in map(json.loads, output.splitlines())}
    assert list(facts) == sorted(facts)
    assert facts[UPDATE]["title"] == {"en": "Production update", "fr": "Mise à jour de la production"}
    assert (facts[UPDATE]["window"], facts[UPDATE]["estimate_seconds"]) == ("Sun 02:00-04:00 UTC", 1800)
    assert Path(facts[UPDATE]["path"]).is_file()


def test_a_broken_runbook_is_named_and_the_others_are_listed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _content(tmp_path, good="- {name: Good, hosts: all}\n", broken="- {name: Good\n")
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(tmp_path))
    for arguments in (("list",), ("list", "--json")):
        code, output, errors = run(*arguments)
        assert code == 2
        assert "maintenance/good" in output
        assert "maintenance/broken" not in output
        assert "maintenance/broken cannot be read:" in errors
        assert "broken.yml:2:1: not YAML" in errors
    assert "as the inventory says" in run("list")[1]
    assert run("show", "maintenance/good")[0] == 0
    assert "closed until the inventory names one" in run("show", "good")[1]
    code, _, errors = run("show", "broken")
    assert code == 2
    assert "broken.yml:2:1" in errors


def test_a_project_has_the_shipped_runbooks_below_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _content(tmp_path, good="- {name: Good, hosts: all}\n", unlock="- {name: Good, hosts: all}\n")
    monkeypatch.chdir(tmp_path / "roles")
    assert "FROM" not in run("list")[1], "there is no project here"
    (tmp_path / ".pyrunbook.yml").touch()
    code, output, errors = run("list")
    assert (code, errors) == (0, "")
    whose = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in output.splitlines()}
    assert whose["RUNBOOK"] == "FROM"
    assert (whose[UPDATE], whose["maintenance/good"]) == ("shipped", "this project")
    assert whose["maintenance/unlock"] == "this project, in place of the shipped one"
    facts = {each["id"]: each for each in map(json.loads, run("list", "--json")[1].splitlines())}
    told = {name: (facts[name]["from"], facts[name]["replaces_shipped"]) for name in facts}
    assert told[UPDATE] == ("shipped", False)
    assert (told["maintenance/good"], told["maintenance/unlock"]) == (("project", False), ("project", True))
    assert Path(facts["maintenance/unlock"]["path"]).is_relative_to(tmp_path)


def test_a_project_is_named_by_an_option_too(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _content(tmp_path, good="- {name: Good, hosts: all}\n")
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "/nowhere")
    monkeypatch.chdir(tmp_path.parent)
    assert "maintenance/good" in run("--project", tmp_path.name, "list")[1]
    assert run("--project", "gone", "list")[0] == 2


def test_show(run: Run) -> None:
    code, output, errors = run("show", UPDATE, "-i", "none")
    assert (code, errors) == (0, "")
    for said in (
        "# Production update\n",
        "| **Runbook** | `maintenance/production_update` |",
        "Sunday, 02:00 to 04:00 (UTC)",
        "10 min in reserve for a rollback",
        "Attested by the operator: `--attest oncall_available`",
        "| `update_strategy` | str: one of `zero_downtime`, `controlled_stop` | `zero_downtime` |",
        "Deploy the release to the preview color\n\nStep `deploy_green`",
        "slack",
        f"pyrunbook plan {UPDATE}",
        f"pyrunbook docs show {UPDATE}",
    ):
        assert said in output
    assert "`drain_first`" not in output
    assert "By hand\n" not in output and "kubectl -n SERVICE_NAMESPACE apply" not in output
    assert "mermaid" not in output
    assert "{{" not in output


def test_show_has_the_values_that_the_page_has(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = write(tmp_path / "shop")
    edit(
        shop / "inventories/metal/services.yml",
        "service_platform: host",
        "service_platform: host\n    update_window: x",
    )
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(shop))
    code, output, errors = run("show", "update")
    assert (code, errors) == (0, "")
    for said in (
        "| **Service** | shop |",
        "| **Window** | Sunday, 02:00 to 04:00 (UTC); nothing starts in its last 40 min; closed: 2026-12-24 |",
        "| **Strategy** | `controlled_stop` |",
        "pyrunbook unlock -i inventories/production",
        "| It failed. (at once) | L2, Support, Second line | +33-222 |",
        "| It still fails. (after 20 min) | slack | #shop |",
        "| L1 Operator | On call | runbooks | +33-111 |",
        "| slack |  |  | #shop |",
        "| L9 |  |  | not in the inventory |",
        "- [Dashboard](https://grafana.example.com/shop)",
    ):
        assert f"{said}\n" in output, said
    templates = [line for line in output.splitlines() if "{{" in line and not line.startswith("| `")]
    assert not templates and "What is missing on this page" not in output
    assert "Drainer d'abord la couleur active" in run("show", "update", "--language", "fr")[1]
    nothing = run("show", "update", "-i", "none")[1]
    assert "unlock -i INVENTORY_DIR\n" in nothing
    assert "- `dashboard_url`\n- `inventory_dir`\n" in nothing.partition("## What is missing on this page\n")[2]
    assert "Saturday, 03:00 to 05:00 (UTC)" in nothing and "| **Strategy** | `zero_downtime` |" in nothing
    code, output, errors = run("show", "update", "-i", "metal")
    assert (code, output) == (2, "") and '"x"' in errors
    edit(
        shop / "inventories/production/group_vars/services.yml", '"#shop"', '"https://hooks.example.com/?token=c4n4ry"'
    )
    assert "c4n4ry" not in run("show", "update")[1]


def test_show_a_strategy_and_a_language(run: Run) -> None:
    stop = run("show", "production-update", "-i", "none", "--strategy", "controlled_stop")[1]
    assert stop.index("Step `drain_first`") < stop.index("Step `deploy_green`")
    assert "Step `drain`" not in stop
    french = run("show", UPDATE, "--language", "fr")[1]
    assert "Mise à jour de la production" in french
    assert catalog.load().get(UPDATE).metadata.prerequisites[2].text.in_language("fr") in french


def test_show_json(run: Run) -> None:
    code, output, _ = run("show", UPDATE, "--json", "--strategy", "controlled_stop")
    assert code == 0
    facts = json.loads(output)
    assert (facts["id"], facts["strategy"]) == (UPDATE, "controlled_stop")
    assert facts["strategies"] == ["zero_downtime", "controlled_stop"]
    assert facts["window"]["spec"] == "Sun 02:00-04:00 UTC"
    steps = {step["step"]: step for step in facts["steps"]}
    assert steps["backup"]["phase"] == "procedure"
    assert steps["backup"]["notes"]["estimate"] == 300
    assert set(steps["backup"]["notes"]["purpose"]) == {"en", "fr"}
    assert "{{ service_release" in steps["deploy_green"]["title"]
    assert steps["deploy_green"]["spoken_title"] == "Deploy the release to the preview color"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show",), "Missing argument"),
        (("show", "maintenance/production_updat"), "did you mean maintenance/production_update?"),
        (("show", UPDATE, "--strategy", "fast"), "'fast' is not one of"),
        (("list", "--yaml"), "No such option"),
    ],
)
def test_bad_input(run: Run, arguments: tuple[str, ...], said: str) -> None:
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert said in errors


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["show", UPDATE]])
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    code = f"""
import sys
from pyrunbook.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
bad = {{"sqlalchemy", "alembic", "ansible", "ansible_runner", "rich", "lightkube", "psutil"}} & set(sys.modules)
print(sorted(bad), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "[]\n"
    assert done.stdout
