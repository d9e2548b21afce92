"""`pyrunbook history` and `pyrunbook report`, as programs, on a journal with one run of each kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyrunbook.cli.main import main
from pyrunbook.journal import Journal, RunStart
from pyrunbook.journal.report import as_markdown

Run = Callable[..., tuple[int, str, str]]
UPDATE = "maintenance/production_update"
SERVICE = "agent-factory"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `pyrunbook …` on a state directory of its own; returns the exit code, what it printed, and stderr."""
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("PYRUNBOOK_JOURNAL", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def _start(
    journal: Journal, run: str, runbook: str = UPDATE, *, check: bool = False, service: str = "agent-factory"
) -> None:
    journal.start_run(
        RunStart(
            id=run, runbook=runbook, operator="ada", machine="ops1", pid=1, process_started=1.0, check_mode=check,
            inventory="inventories/sandbox", inputs={"release": "1.1.0", "db_password": "hunter2"},
        )
    )  # fmt: skip
    journal.add_service(run, service, "host")


@pytest.fixture
def recorded(run: Run) -> Run:
    """A journal with a run of each kind."""
    with Journal.open() as journal:
        _start(journal, "aaaa0001")
        service = SERVICE
        journal.record_window(
            "aaaa0001", service, {"open": False, "window": "Sun 02:00-04:00 UTC", "reason": "closed"}, "a | b"
        )
        journal.add_attestation(
            "aaaa0001", service, "oncall_available", "ada", datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
        )
        journal.start_step("aaaa0001", service, "backup", "Back up the service")
        journal.end_step("aaaa0001", service, "backup", "changed", "12 files | all compared")
        journal.add_evidence("aaaa0001", service, "backup", "files", {"count": 12, "note": "has ``` in it"})
        journal.record_plan("aaaa0001", service, "aaaa0001", "e" * 64)
        journal.conclude("aaaa0001", service, "succeeded")
        journal.end_run("aaaa0001", "succeeded")

        _start(journal, "bbbb0002")
        journal.record_plan("bbbb0002", service, "bbbb0002", "f" * 64)
        journal.start_step("bbbb0002", service, "verify", "Verify the service")
        journal.end_step("bbbb0002", service, "verify", "failed", error="POST answered 500\nsecond line")
        journal.conclude("bbbb0002", service, "rolled_back", "POST answered 500")
        journal.end_run("bbbb0002", "rolled_back", "POST answered 500")

        _start(journal, "cccc0003")
        journal.conclude("cccc0003", service, "refused", "the window is closed")
        journal.end_run("cccc0003", "refused", "the window is closed")

        _start(journal, "dddd0004", check=True)
        journal.conclude("dddd0004", service, "succeeded")
        journal.end_run("dddd0004", "succeeded")

        _start(journal, "eeee0005", "deployment/rollback", service="other")
        journal.record_plan("eeee0005", "other", "eeee0005", "a" * 64)
        journal.conclude("eeee0005", "other", "rollback_failed", "disk full")
        journal.end_run("eeee0005", "rollback_failed", "disk full")

        _start(journal, "ffff0006")
        journal.record_plan("ffff0006", service, "ffff0006", "b" * 64)
        journal.start_step("ffff0006", service, "switch_service", "Switch traffic to green")
    return run


def test_nothing_recorded(run: Run, tmp_path: Path) -> None:
    assert run("history") == (0, "No run is recorded yet.\n", "")
    assert run("history", "--json") == (0, "", "")
    code, output, errors = run("report")
    assert (code, output) == (2, "")
    assert "nothing has been recorded" in errors
    assert not (tmp_path / "state").exists(), "reading creates nothing"


def test_history(recorded: Run) -> None:
    code, output, errors = recorded("history")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split()[0] == "RUN"
    assert [line.split()[0] for line in lines[1:]] == [
        "ffff0006", "eeee0005", "dddd0004", "cccc0003", "bbbb0002", "aaaa0001",
    ]  # fmt: skip
    assert lines[1].endswith("unfinished: pyrunbook recover ffff0006")
    assert lines[2].endswith("rollback failed: pyrunbook recover eeee0005")
    assert lines[3].endswith("succeeded (dry run)")
    assert lines[6].endswith("succeeded")
    assert "\x1b" not in output


def test_history_filters(recorded: Run) -> None:
    def ids(*arguments: str) -> list[str]:
        code, output, _ = recorded("history", "--json", *arguments)
        assert code == 0
        return [json.loads(line)["id"] for line in output.splitlines()]

    assert ids("--limit", "2") == ["ffff0006", "eeee0005"]
    assert ids("--runbook", "deployment/rollback") == ["eeee0005"]
    assert ids("--runbook", "maintenance/production-update", "--limit", "1") == ["ffff0006"]
    assert ids("--service", "other") == ["eeee0005"]
    assert ids("--outcome", "rolled_back") == ["bbbb0002"]
    assert ids("--outcome", "timed_out") == []
    assert recorded("history", "--outcome", "timed_out")[1] == "No such run is recorded.\n"


def test_history_json(recorded: Run) -> None:
    _, output, _ = recorded("history", "--json", "--outcome", "rolled_back")
    facts = json.loads(output)
    assert facts["outcome"] == "rolled_back"
    assert facts["cause"] == "POST answered 500"
    assert facts["services"] == [
        {"service": "agent-factory", "platform": "host", "changed": True, "outcome": "rolled_back"}
    ]
    assert facts["started"].endswith("Z")
    assert facts["seconds"] >= 0
    assert "inputs" not in facts


def test_report(recorded: Run) -> None:
    code, output, errors = recorded("report", "aaaa")
    assert (code, errors) == (0, "")
    assert output.startswith(f"# Run aaaa0001: {UPDATE}\n\n**Succeeded (exit code 0).**\n")
    for said in (
        "- Operator: ada on ops1",
        '- Inputs: `{"db_password": "[redacted]", "release": "1.1.0"}`',
        "- Window Sun 02:00-04:00 UTC: closed",
        "- Allowed outside its window, because: a | b",
        "- Attested: oncall\\_available, by ada at 2026-11-22 02:00:00 UTC",
        "12 files \\| all compared |",
        '"count": 12',
        "````json",
        "## To undo\n\nTo put back what was there before it:\n\n```bash\npyrunbook rollback aaaa0001\n```\n",
    ):
        assert said in output
    assert re.search(r"^\| 1 \| Back up the service \| \d\d:\d\d:\d\d \| \d+\.\d s \| changed \|", output, re.MULTILINE)
    assert "hunter2" not in output


@pytest.mark.parametrize(
    ("wanted", "said", "undo"),
    [
        (
            "bbbb",
            "**Failed, and put back what was there (exit code 4).** POST answered",
            "is in place; there is nothing",
        ),
        ("cccc", "**Refused; nothing was changed (exit code 3).**", "Nothing was changed; there is nothing to undo."),
        ("dddd", "dry run: nothing was changed", "It was a dry run; there is nothing to undo."),
        ("eeee", "**FAILED AND NOT PUT BACK (exit code 5).** disk full", "pyrunbook recover eeee0005 --rollback"),
        ("ffff", "**Not brought to an end.**", "pyrunbook recover ffff0006"),
        ("latest", "never ended: its process died", "pyrunbook recover ffff0006"),
    ],
)
def test_report_of_each_outcome(recorded: Run, wanted: str, said: str, undo: str) -> None:
    code, output, _ = recorded("report", wanted)
    assert code == 0
    assert said in output
    assert undo in output.partition("## To undo")[2]


@pytest.mark.parametrize(
    ("runbook", "command"),
    [
        (
            "incidents/security_failure",
            "pyrunbook run incidents/secure_mode_off -e secure_mode_reason=SECURE_MODE_REASON",
        ),
        (UPDATE, None),
        ("incidents/of_another_time", None),
    ],
)
def test_report_of_what_is_contained(run: Run, runbook: str, command: str | None) -> None:
    with Journal.open() as journal:
        _start(journal, "abcd0001", runbook)
        journal.conclude("abcd0001", SERVICE, "contained", "the Vault is sealed")
        journal.end_run("abcd0001", "contained", "the Vault is sealed")
    assert json.loads(run("report", "--format", "json")[1])["next_step"] == command
    undo = run("report")[1].partition("## To undo")[2]
    assert "stays on until somebody ends it" in undo
    assert f"```bash\n{command}\n```" in undo if command else "```" not in undo


@pytest.mark.parametrize("undoable", [False, True])
def test_report_of_what_was_only_discarded(run: Run, undoable: bool) -> None:
    with Journal.open() as journal:
        _start(journal, "abcd0001", "maintenance/certificate_rollback")
        journal.record_plan("abcd0001", SERVICE, "abcd0001", "e" * 64)
        journal.add_evidence("abcd0001", SERVICE, "rollback", "public", {"undoable": undoable})
        journal.conclude("abcd0001", SERVICE, "succeeded")
        journal.end_run("abcd0001", "succeeded")
    assert ("there is nothing to undo" in run("report")[1]) is not undoable
    assert ("pyrunbook rollback abcd0001" in run("report")[1]) is undoable


def test_one_service_that_left_nothing_does_not_speak_for_the_other(run: Run) -> None:
    with Journal.open() as journal:
        _start(journal, "abcd0001", "maintenance/certificate_rotation", service="a")
        journal.add_service("abcd0001", "b", "host")
        for service in ("a", "b"):
            journal.record_plan("abcd0001", service, "abcd0001", "e" * 64)
        journal.add_evidence("abcd0001", "b", "rollback", "public", {"undoable": False})
        journal.conclude("abcd0001", "a", "succeeded")
        journal.conclude("abcd0001", "b", "rolled_back", "it is not served")
        assert journal.get("abcd0001").undoable
        journal.end_run("abcd0001", "rolled_back", "it is not served")
    undo = run("report")[1].partition("## To undo")[2]
    assert "stays on a." in undo
    assert "pyrunbook rollback abcd0001 --limit a\n" in undo


@pytest.mark.parametrize(
    ("columns", "head", "row"),
    [
        (0, "OPERATOR", "ada"),
        (115, "TOOK", " s "),
        (84, "OUTCOME", "succeeded"),
        (50, "OUTCOME", "\n    succeeded"),
    ],
)
def test_history_fits_the_terminal(
    recorded: Run, monkeypatch: pytest.MonkeyPatch, columns: int, head: str, row: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: columns > 0, raising=False)
    output = recorded("history", "--outcome", "succeeded")[1]
    assert head in output.splitlines()[0] + output.splitlines()[1]
    assert row in output
    assert not columns or all(len(line) <= max(columns, 76) for line in output.splitlines())


def test_report_json(recorded: Run) -> None:
    code, output, _ = recorded("report", "bbbb", "--format", "json")
    assert code == 0
    facts = json.loads(output)
    assert (facts["id"], facts["outcome"], facts["next_step"]) == ("bbbb0002", "rolled_back", None)
    (step,) = facts["services"][0]["steps"]
    assert (step["step"], step["outcome"], step["error"]) == ("verify", "failed", "POST answered 500\nsecond line")
    assert json.loads(recorded("report", "ffff", "--format", "json")[1])["next_step"] == "pyrunbook recover ffff0006"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "1234"), "no run '1234'"),
        (("report", ""), "no run ''"),
        (("report", "aaaa", "--format", "pdf"), "'pdf' is not one of"),
        (("history", "--limit", "0"), "0 is not in the range"),
        (("history", "--outcome", "good"), "'good' is not one of"),
    ],
)
def test_bad_input(recorded: Run, arguments: tuple[str, ...], said: str) -> None:
    code, output, errors = recorded(*arguments)
    assert (code, output) == (2, "")
    assert said in errors


def test_an_ambiguous_beginning_names_the_candidates(recorded: Run) -> None:
    with Journal.open() as journal:
        _start(journal, "aaaa9999")
    code, _, errors = recorded("report", "aaaa")
    assert code == 2
    assert "aaaa9999" in errors and "aaaa0001" in errors


def test_a_journal_that_cannot_be_read(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database at all, but long enough to look at" * 50)
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", f"sqlite:///{tmp_path}/broken.db")
    for arguments in (("history",), ("report",)):
        code, output, errors = run(*arguments)
        assert (code, output) == (3, "")
        assert "is damaged" in errors
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", "mysql://me:hunter2hunter2@db/x")
    code, _, errors = run("history")
    assert code == 2
    assert "hunter2" not in errors


def test_markup_in_what_was_recorded_stays_text(recorded: Run) -> None:
    with Journal.open() as journal:
        run = "12345678"
        journal.start_run(
            RunStart(
                id=run,
                runbook=UPDATE,
                operator="<b>x</b> | [y](z)",
                machine="m",
                pid=1,
                process_started=1.0,
                inventory="i",
            )
        )
        journal.add_service(run, "s", "host")
        journal.start_step(run, "s", "a", "# Title | with *markup*\n\n# and lines")
        page = as_markdown(journal.get(run))
    assert "\\<b\\>x\\</b\\> | \\[y\\](z)" in page
    assert "| 1 | \\# Title \\| with \\*markup\\* \\# and lines |" in page
    assert "\n# and lines" not in page
