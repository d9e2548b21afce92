"""`pyrunbook window`, as a program: what it prints and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyrunbook import catalog
from pyrunbook.catalog import DeclaredWindow
from pyrunbook.cli.main import main
from pyrunbook.execution import inventory
from pyrunbook.windows import decide

SUNDAY = "Sun 02:00-04:00 UTC"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `pyrunbook window …`; returns the exit code, what it printed, and what it said on stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["window", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((SUNDAY, "--at", "2026-11-22T02:00:00Z"), 0, "open, closes in 2 h\n"),
        ((SUNDAY, "--at", "2026-11-22T03:00+01:00"), 0, "open, closes in 2 h\n"),
        ((SUNDAY, "--at", "2026-11-22T02:00"), 0, "open, closes in 2 h\n"),
        (("Sun", "02:00-04:00", "UTC", "--at", "2026-11-22T02:00"), 0, "open, closes in 2 h\n"),
        (("always",), 0, "open, does not close\n"),
        ((SUNDAY, "--at", "2026-11-22T04:00:00Z"), 3, "closed: outside"),
        ((SUNDAY, "--at", "2026-11-22T02:00:00Z", "--exclude", "2026-11-22"), 3, "closed by the exclusion 2026-11-22"),
        (
            ("always", "--at", "2026-11-22", "--exclude", "2026-11-20", "--exclude", "2026-11-22"),
            3,
            "closed by the exclusion",
        ),
        ((SUNDAY, "--at", "2026-11-22T03:50:00Z", "--cutoff", "15m"), 3, "closed: nothing starts in the last 15 min"),
        (
            (SUNDAY, "--at", "2026-11-22T03:50:00Z", "--needs", "15m"),
            3,
            "closed: the run needs 15 min, 10 min are left",
        ),
        ((SUNDAY, "--at", "2026-11-22T03:50:00Z", "--needs", "5m", "--reserve", "6m"), 3, "6 min in reserve"),
        (("RRULE:FREQ=DAILY;UNTIL=20201231 02:00 2h UTC",), 3, "it does not open again"),
    ],
)
def test_check(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    assert run("check", *arguments)[0] == code
    assert said in run("check", *arguments)[1]


@pytest.mark.parametrize("command", ["check", "next", "explain"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Sunn 02:00-04:00 UTC",), '"Sunn"'),
        (("",), "it is empty"),
        (("Sun 02:00-04:00 UTC; rm -rf /",), '"rm"'),
        (("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30 02:00 2h UTC",), "can never be met"),
        ((SUNDAY, "--at", "someday"), '"someday"'),
        ((SUNDAY, "--at", ""), "the instant"),
        ((SUNDAY, "--cutoff", "15"), '"15"'),
        ((SUNDAY, "--cutoff", "3h"), "can never be met"),
        ((SUNDAY, "--exclude", "someday"), '"someday"'),
        ((SUNDAY, "--exclude", "gone.ics"), "gone.ics"),
        (("maintenance/no_such_runbook",), "no_such_runbook"),
        (("../../etc/passwd",), "passwd"),
        ((SUNDAY, "--no-such-option"), "No such option"),
    ],
)
def test_what_is_malformed_is_exit_code_2_for_each_command(
    run: Run, command: str, arguments: tuple[str, ...], said: str
) -> None:
    code, out, error = run(command, *arguments)
    assert (code, out) == (2, "")
    assert said in error
    assert "Traceback" not in error


def test_a_runbook_brings_its_own_window_and_estimates(run: Run) -> None:
    """Of `maintenance/production_update`, which is the default: Sun 02:00-04:00 UTC; 30 minutes, and 10 in reserve."""
    for name in ([], ["maintenance/production_update"]):
        code, out, _ = run("check", *name, "--at", "2026-11-22T03:20:00Z")
        assert (code, "this run needs 30 min and 10 min in reserve" in out) == (0, True)
        code, out, _ = run("check", *name, "--at", "2026-11-22T03:20:01Z")
        assert (code, "closed: the run needs 30 min and 10 min in reserve" in out) == (3, True)
        assert run("check", *name, "--at", "2026-11-22T03:20:01Z", "--needs", "5m")[0] == 0
    _, out, _ = run("next", "--at", "2026-11-22T03:20:01Z", "--json")
    assert json.loads(out)["start"] == "2026-11-29T02:00:00Z"


@pytest.mark.parametrize(
    ("declared", "arguments", "code"),
    [
        ({"cutoff": timedelta(hours=1)}, (), 3),
        ({"cutoff": timedelta(hours=1)}, ("--cutoff", "0m"), 0),
        ({"exclusions": ["2026-11-22"]}, (), 3),
        ({"exclusions": ["2026-11-29"]}, ("--exclude", "2026-11-22"), 3),
        ({"exclusions": ["2026-11-22"]}, ("--exclude", "2026-11-29"), 3),
        ({"spec": None}, (), 3),
        ({"spec": None, "required": False}, (), 0),
    ],
)
def test_what_a_runbook_declares(
    run: Run, monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any], arguments: tuple[str, ...], code: int
) -> None:
    window = DeclaredWindow(**{"spec": SUNDAY, "required": True} | declared)
    metadata = SimpleNamespace(window=window, estimate=timedelta(), reserve=timedelta())
    runbooks = {
        "maintenance/other": replace(catalog.load().get("production_update"), spec=SimpleNamespace(runbook=metadata))
    }
    monkeypatch.setattr("pyrunbook.catalog.load", lambda: runbooks)
    assert run("check", "maintenance/other", "--at", "2026-11-22T03:30:00Z", *arguments)[0] == code


PLAIN = {"update_window": "Sun 01:00-05:00 UTC"}
FREEZE = {**PLAIN, "update_window_exclusions": ["2026-11-22"]}
LATE = {"update_window_cutoff": "1h"}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The services of the inventory, to be filled in: without the second that ansible-inventory takes."""
    made: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": made)
    monkeypatch.delenv("PYRUNBOOK_INVENTORY", raising=False)
    return made


@pytest.mark.parametrize(
    ("said", "at", "code", "reason"),
    [
        (PLAIN, "2026-11-22T01:10:00Z", 0, "open, closes in 3 h 50 min"),
        (FREEZE, "2026-11-22T01:10:00Z", 3, "closed by the exclusion 2026-11-22"),
        (LATE, "2026-11-22T03:10:00Z", 3, "nothing starts in the last 1 h"),
        ({}, "2026-11-22T01:10:00Z", 3, "closed: outside Sun 02:00-04:00 UTC"),
    ],
)
def test_an_inventory_goes_before_the_runbook_as_in_a_plan(
    run: Run, services: dict[str, Any],
    said: dict[str, Any], at: str, code: int, reason: str,
) -> None:  # fmt: skip
    services["shop"] = said
    found, output, _ = run("check", "production-update", "-i", "production", "--at", at)
    assert (found, output.startswith("shop: ")) == (code, True) and reason in output
    assert reason in run("explain", "production-update", "-i", "production", "--at", at)[1]
    moment = datetime.fromisoformat(at)
    decision = decide(catalog.load().get("production_update").schedule(said), moment)
    assert output == f"shop: {decision.reason}\n"


def test_each_service_has_its_own_window(run: Run, services: dict[str, Any]) -> None:
    services |= {"shop-a": PLAIN, "shop-b": FREEZE}
    at = ("-i", "production", "--at", "2026-11-22T01:10:00Z")
    code, output, _ = run("check", *at, "--json")
    facts = [json.loads(line) for line in output.splitlines()]
    assert code == 3, "closed for one of them"
    assert [(each["service"], each["open"]) for each in facts] == [("shop-a", True), ("shop-b", False)]
    code, output, _ = run("next", *at[:2], "--at", "2026-11-21T00:00:00Z")
    assert code == 0
    assert [line[:22] for line in output.splitlines()] == ["shop-a: Sun 2026-11-22", "shop-b: Sun 2026-11-29"]
    output = run("explain", *at)[1]
    assert "Service    shop-a\nWindow " in output and "\n\nService    shop-b\nWindow " in output
    assert run("check", *at, "--cutoff", "0m", "--exclude", "2026-11-22")[1].count("exclusion") == 2


def test_the_environment_names_the_inventory_as_for_a_plan(
    run: Run, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    services["shop"] = PLAIN
    assert "shop" not in run("check", "production-update")[1]
    monkeypatch.setenv("PYRUNBOOK_INVENTORY", str(Path(__file__).parents[2] / "inventories/production"))
    assert run("check", "production-update")[1].startswith("shop: ")
    assert run("check", SUNDAY, "--at", "2026-11-22T02:00:00Z")[:2] == (0, "open, closes in 2 h\n")


def test_an_inventory_is_of_no_use_to_a_window_as_it_is_written(run: Run) -> None:
    code, output, errors = run("check", SUNDAY, "-i", "production")
    assert (code, output) == (2, "")
    assert "--inventory and --limit go with a runbook" in errors


@pytest.mark.parametrize("command", ["check", "next", "explain"])
def test_a_name_without_its_category_is_a_runbook(run: Run, command: str) -> None:
    assert run(command, "production-update")[0] in (0, 3)
    code, output, errors = run(command, "production_updaet")
    assert (code, output) == (2, "")
    assert "did you mean maintenance/production_update?" in errors
    assert "maintenance/production_update" in run(command, "nosuch")[2]


def test_check_as_json(run: Run) -> None:
    code, out, _ = run("check", SUNDAY, "--at", "2026-11-22T04:00:00Z", "--json")
    answer = json.loads(out)
    assert code == 3
    assert (answer["window"], answer["open"], answer["code"]) == (SUNDAY, False, "outside")
    assert (answer["next_start"], answer["next_end"]) == ("2026-11-29T02:00:00Z", "2026-11-29T04:00:00Z")


def test_next_as_json_is_one_object(run: Run) -> None:
    code, out, _ = run("next", SUNDAY, "--at", "2026-11-21T12:00:00Z", "--json")
    assert code == 0
    assert json.loads(out) == {"window": SUNDAY, "start": "2026-11-22T02:00:00Z", "end": "2026-11-22T04:00:00Z"}


def test_more_of_them_are_one_object_a_line(run: Run) -> None:
    arguments = ("--at", "2026-11-22T02:00:01Z", "--json", "--count", "3", "--exclude", "2026-12-06")
    code, out, _ = run("next", SUNDAY, *arguments)
    assert code == 0
    assert [json.loads(line)["start"][:10] for line in out.splitlines()] == ["2026-11-29", "2026-12-13", "2026-12-20"]


def test_next_for_people(run: Run) -> None:
    assert run("next", "first Sun 02:00-03:00 Europe/Paris", "--at", "2026-11-21T12:00:00Z") == (
        0,
        "Sun 2026-12-06 02:00 CET, until Sun 2026-12-06 03:00 CET, 1 h (in 14 d 13 h)\n",
        "",
    )


def test_next_of_always_has_no_end(run: Run) -> None:
    _, out, _ = run("next", "always", "--at", "2026-11-21T12:00:00Z", "--json")
    assert json.loads(out) == {"window": "always", "start": "2026-11-21T12:00:00Z", "end": None}


def test_next_of_a_window_that_is_over_is_exit_code_3(run: Run) -> None:
    code, out, error = run("next", "RRULE:FREQ=DAILY;UNTIL=20201231 02:00 2h UTC", "--json")
    assert (code, out) == (3, "")
    assert "it does not open again" in error


def test_explain(run: Run) -> None:
    code, out, _ = run("explain", "Sun 02:30-04:30 America/New_York", "--at", "2026-03-08T06:00:00Z")
    assert code == 0
    assert "the clock skips Sun 2026-03-08 02:30" in out
    assert out.startswith("Window     Sun 02:30-04:30 America/New_York\n")


def test_an_iCalendar_file(run: Run, tmp_path: Path) -> None:  # noqa: N802 - its name is spelled so
    path = tmp_path / "freeze.ics"
    path.write_text("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261122\nEND:VEVENT\nEND:VCALENDAR\n")
    code, out, _ = run("check", SUNDAY, "--at", "2026-11-22T02:00", "--exclude", str(path))
    assert (code, "closed by the exclusion freeze.ics" in out) == (3, True)
    path.write_text("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:soon\nEND:VEVENT\nEND:VCALENDAR\n")
    code, _, error = run("check", SUNDAY, "--at", "2026-11-22T02:00", "--exclude", str(path))
    assert (code, f"{path}:3" in error) == (2, True)
