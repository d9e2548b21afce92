"""Shell completion: the scripts, and the names that they offer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunbook.cli.main import main
from pyrunbook.journal import Journal, RunStart


def _print(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["completion", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(capsys: pytest.CaptureFixture[str], shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, script, _ = _print(capsys, shell)
    assert code == 0
    assert f"_PYRUNBOOK_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert _print(capsys)[1] == script
    program = shutil.which(shell)
    if program:
        done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    code, output, errors = _print(capsys)
    assert (code, output) == (2, "")
    assert "no completion for the shell tcsh" in errors
    monkeypatch.delenv("SHELL")
    assert _print(capsys)[0] == 2
    assert _print(capsys, "tcsh")[0] == 2


def _offered(home: Path, *words: str, journal: str | None = None) -> list[str]:
    """What the shell would offer for the last of the words."""
    environment = {
        **os.environ,
        "_PYRUNBOOK_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "PYRUNBOOK_HOME": str(home),
    }
    environment.pop("PYRUNBOOK_JOURNAL", None)
    if journal:
        environment["PYRUNBOOK_JOURNAL"] = journal
    program = "from pyrunbook.cli.main import main; import sys; sys.argv = ['pyrunbook']; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_names_are_offered(tmp_path: Path) -> None:
    assert {"list", "show", "history", "report"} <= set(_offered(tmp_path, "pyrunbook", ""))
    assert _offered(tmp_path, "pyrunbook", "show", "maintenance/prod") == ["maintenance/production_update"]
    assert "deployment/rollback" in _offered(tmp_path, "pyrunbook", "history", "--runbook", "dep")
    assert "controlled_stop" in _offered(tmp_path, "pyrunbook", "show", "--strategy", "c")


def test_runbooks_of_a_project_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the one around and of the one that is named, with the shipped ones."""
    for name in ("here", "there"):
        (tmp_path / name / "playbooks/maintenance").mkdir(parents=True)
        (tmp_path / name / f"playbooks/maintenance/tidy_{name}.yml").touch()
        (tmp_path / name / ".pyrunbook.yml").touch()
    monkeypatch.chdir(tmp_path / "here/playbooks")
    assert _offered(tmp_path, "pyrunbook", "run", "maintenance/t") == ["maintenance/tidy_here"]
    named = ("pyrunbook", "--project", str(tmp_path / "there"))
    assert _offered(tmp_path, *named, "run", "maintenance/tidy") == ["maintenance/tidy_there"]
    assert _offered(tmp_path, *named, "run", "maintenance/prod") == ["maintenance/production_update"]


def test_runs_are_offered(tmp_path: Path) -> None:
    assert _offered(tmp_path, "pyrunbook", "report", "") == ["latest"]
    assert list(tmp_path.iterdir()) == [], "completion creates no journal"
    with Journal.open(f"sqlite:///{tmp_path}/journal.db") as journal:
        journal.start_run(
            RunStart(id="7f3a0000", runbook="a/b", operator="o", machine="m", pid=1, process_started=1.0, inventory="i")
        )
    assert _offered(tmp_path, "pyrunbook", "report", "") == ["latest", "7f3a0000"]
    assert _offered(tmp_path, "pyrunbook", "report", "7f") == ["7f3a0000"]
    assert _offered(tmp_path, "pyrunbook", "report", "x") == []
    assert _offered(tmp_path, "pyrunbook", "report", "", journal="mysql://x/y") == []
