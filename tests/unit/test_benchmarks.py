"""What the benchmarks make of what they measured; nothing is timed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import failed_requests, kubernetes_task, time_to_roll_back, updates, waves
from benchmarks.figures import Figure, NotMeasured, Verdict, median, missing, passes, ratio, table
from benchmarks.programs import Start, start
from benchmarks.time_to_roll_back import Probe
from pyrunbook.sandbox.load_report import LoadReport


def figure(value: float | None, bound: float | None = 1.0) -> Figure:
    return Figure(1, "time", value, "s", "median", bound)


@pytest.mark.parametrize(
    ("value", "bound", "verdict"),
    [
        (0.9, 1.0, Verdict.MET),
        (1.0, 1.0, Verdict.MET),
        (1.01, 1.0, Verdict.MISSED),
        (None, 1.0, Verdict.NOT_MEASURED),
        (None, None, Verdict.NOT_MEASURED),
        (5.0, None, Verdict.NO_BOUND),
    ],
)
def test_a_figure_that_was_not_measured_has_met_nothing(
    value: float | None, bound: float | None, verdict: Verdict
) -> None:
    assert figure(value, bound).verdict is verdict
    assert passes([figure(0.5), figure(value, bound)]) is (verdict in (Verdict.MET, Verdict.NO_BOUND))


def test_no_figures_are_no_pass() -> None:
    assert passes([]) is False


def test_a_ratio_is_of_medians_and_shows_its_pairs() -> None:
    found = ratio(3, "run", [11.0, 30.0, 10.0], [10.0, 10.0, 5.0], 1.10)
    assert found.value == pytest.approx(1.1)
    assert found.samples == pytest.approx((1.1, 3.0, 2.0))


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], [0.0])])
def test_nothing_to_compare_with_is_said(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(NotMeasured, match="nothing to compare with"):
        ratio(3, "run", ours, theirs, 1.0)


def test_the_table_shows_figure_bound_verdict_and_spread() -> None:
    shown = table(
        [median(2, "back", [0.4, 0.5, 0.9], "s", 1.0, "a note"), missing(5, "kubectl", 2.0, "x", "no kubectl")]
    )
    head, back, note, absent, why = shown.splitlines()
    assert head.split() == ["what", "figure", "bound", "how", "n", "min", "median", "max"]
    assert back.split() == ["2", "back", "0.500", "s", "<=", "1", "met", "median", "3", "0.400", "0.500", "0.900"]
    assert note.strip() == "a note"
    assert "NOT MEASURED" in absent and why.strip() == "no kubectl"


# --- 1 -----------------------------------------------------------------------------------------------------------


def report(**changes: Any) -> LoadReport:
    values: dict[str, Any] = {
        "url": "http://127.0.0.1", "rate": 300.0, "started": "", "duration_s": 10.0, "sent": 3000, "succeeded": 3000,
        "failed": 0, "failures": {}, "seen": {"1/blue": 1500, "2/green": 1500}, "connections": 9, "p50_ms": 1.0,
        "p95_ms": 2.0, "slowest_ms": 3.0, "longest_gap_ms": 12.0, "late_ms": 1.0, "first_failures": [],
    }  # fmt: skip
    return LoadReport(**{**values, **changes})


def test_one_failed_request_in_ten_updates_misses_the_bound() -> None:
    bad = report(failed=1, first_failures=["GET on a new connection: answer 502"])
    failed, gap = failed_requests.judge([report()] * 9 + [bad])
    assert failed.verdict is Verdict.MISSED and failed.value == 1 and "answer 502" in failed.note
    assert gap.value == 12.0
    assert failed_requests.judge([report()] * 10)[0].verdict is Verdict.MET


@pytest.mark.parametrize(
    ("changes", "words"), [({"sent": 2000}, "no 300 a second"), ({"seen": {"1/blue": 3000}}, "all answers came from")]
)
def test_traffic_that_did_not_see_the_update_measured_nothing(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotMeasured, match=words):
        failed_requests.judge([report(), report(**changes)])


# --- 2 -----------------------------------------------------------------------------------------------------------

FAILED = {"event": "step_ended", "step": "verify", "outcome": "failed", "time": "1970-01-01T00:00:10.000Z"}
GOOD = (200, "1.0.4")
BAD = (500, "")


def probes(*seen: tuple[float, tuple[int, str]]) -> list[Probe]:
    return [Probe(at, *what) for at, what in seen]


def test_the_old_version_is_back_when_it_answers_for_good() -> None:
    seen = time_to_roll_back.read(
        [FAILED], probes((9.0, GOOD), (9.5, BAD), (10.1, GOOD), (10.2, BAD), (10.25, GOOD), (10.3, GOOD)), "1.0.4"
    )
    assert (seen.back, seen.bad, seen.whole, seen.spacing) == pytest.approx((0.25, 0.7, 0.75, 0.6))


def test_a_good_answer_of_the_new_version_is_not_the_old_one() -> None:
    seen = time_to_roll_back.read([FAILED], probes((9, GOOD), (9.5, BAD), (10.5, (200, "2")), (10.9, GOOD)), "1.0.4")
    assert seen.back == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("events", "seen", "words"),
    [
        ([], [(9.0, BAD), (10.0, GOOD)], "verify did not fail"),
        ([{**FAILED, "outcome": "ok"}], [(9.0, BAD), (10.0, GOOD)], "verify did not fail"),
        ([FAILED], [(9.0, GOOD), (11.0, GOOD)], "saw no bad answer"),
        ([FAILED], [(9.0, GOOD), (11.0, BAD)], "did not answer again"),
    ],
)
def test_a_rollback_that_was_not_seen_is_not_measured(
    events: list[dict[str, Any]], seen: list[tuple[float, tuple[int, str]]], words: str
) -> None:
    with pytest.raises(NotMeasured, match=words):
        time_to_roll_back.read(events, probes(*seen), "1.0.4")


# --- 3, 4 --------------------------------------------------------------------------------------------------------


def test_a_program_that_fails_has_no_time(tmp_path: Path) -> None:
    took = start([sys.executable, "-c", "pass"], {})
    assert took.wall > 0 and took.processor > 0
    with pytest.raises(NotMeasured, match="ended with 3"):
        start([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_a_task_costs_what_the_play_takes_beyond_an_empty_one_and_the_api() -> None:
    starts = {
        "none": [Start(1.0, 0.5), Start(1.2, 0.6)],
        "debug": [Start(2.2, 1.1), Start(2.4, 1.2)],
        "ours": [Start(2.8, 1.7), Start(4.0, 2.0)],
    }
    found = {f.name: f for f in kubernetes_task.judge(starts, [(0.020, 0.005), (0.030, 0.006)], "an API")}
    beyond = found["one Kubernetes task beyond the API"]
    assert beyond.value == pytest.approx((2.8 - 1.0) * 1000 / 60 - 5)
    assert beyond.bound == 40 and beyond.verdict is Verdict.MET
    assert found["its processor time"].value == pytest.approx(20)
    assert found["one debug task"].value == pytest.approx(20)


# --- 5, 7, 8 -----------------------------------------------------------------------------------------------------


def test_what_is_watched_for_is_timed_from_the_start(tmp_path: Path) -> None:
    made = tmp_path / "made"
    program = f"import pathlib, time; pathlib.Path({str(made)!r}).touch(); time.sleep(0.2)"
    took = start([sys.executable, "-c", program], {}, seen=made.exists)
    assert took.first is not None and 0 < took.first < took.wall - 0.1
    assert start([sys.executable, "-c", "pass"], {}, seen=lambda: False).first is None


def test_an_update_is_bounded_by_the_script_and_by_its_processor_time() -> None:
    taken = {
        updates.OURS.name: [Start(9.0, 4.1, 1.4), Start(9.0, 4.1, 1.4)],
        "before": [Start(18.0, 8.2, 3.0), Start(18.0, 8.2, 3.0)],
        updates.SCRIPT: [Start(3.0, 0.4), Start(3.0, 0.4)],
    }
    found = {f.name: f for f in updates.judge(7, "zero_downtime", taken, "the lock", "what it ran on")}
    whole = found["zero_downtime: update / script"]
    assert whole.value == pytest.approx(3.0) and whole.verdict is Verdict.MISSED and "what it ran on" in whole.note
    assert found["zero_downtime: processor time of an update"].verdict is Verdict.MISSED
    assert found["zero_downtime: Enter to the lock"].verdict is Verdict.MET
    assert found["zero_downtime: update / before"].value == pytest.approx(0.5)


def test_a_first_request_that_nobody_saw_is_not_measured() -> None:
    taken = {updates.OURS.name: [Start(9.0, 4.1)], updates.SCRIPT: [Start(3.0, 0.4)]}
    assert updates.judge(7, "zero_downtime", taken, "the lock", "")[-1].verdict is Verdict.NOT_MEASURED


@pytest.mark.parametrize(("cores", "verdict"), [(8, Verdict.MISSED), (2, Verdict.NO_BOUND)])
def test_waves_are_bounded_where_the_processors_can_do_the_work(cores: int, verdict: Verdict) -> None:
    found = waves.judge([Start(20.0, 8.0)], [Start(40.0, 80.0)], cores, "an API")[0]
    assert found.verdict is verdict
    assert ("on 2 processors, are 52.0 s" in found.note) is (cores == 2)


@pytest.mark.parametrize("wrong", [["--against", "/nowhere"], ["--against", ".", "--only", "1"], ["--pairs", "0"]])
def test_a_wrong_option_exits_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(wrong)
    assert ended.value.code == 2


# --- the command -------------------------------------------------------------------------------------------------


def part(number: int, *figures: Figure, error: Exception | None = None) -> ModuleType:
    made = ModuleType("part")

    def measure() -> list[Figure]:
        if error:
            raise error
        return list(figures)

    made.__dict__.update(PART=number, NAME=f"part {number}", measure=measure)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, **parts: ModuleType) -> int:
    monkeypatch.setattr(command, "PARTS", {made.__dict__["PART"]: made for made in parts.values()})
    return command.main(list(arguments))


def test_a_missed_bound_exits_1_and_the_file_says_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert run(monkeypatch, "--json", str(file), a=part(1, figure(0.5)), b=part(2, figure(2.0))) == 1
    written = json.loads(file.read_text())
    assert [f["verdict"] for f in written["figures"]] == ["met", "MISSED"] and written["met"] is False
    assert written["machine"]["cores"] >= 1 and "ansible-core" in written["machine"]["versions"]
    shown = capsys.readouterr().out
    assert "load average" in shown and "Not all bounds are met" in shown


def test_only_what_was_asked_for_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--only", "1", a=part(1, figure(0.5)), b=part(2, figure(2.0))) == 0


@pytest.mark.parametrize(
    "error", [NotMeasured("kubectl is not installed"), OSError("no"), subprocess.TimeoutExpired("pyrunbook", 9)]
)
def test_a_part_that_cannot_be_measured_does_not_pass_nor_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert run(monkeypatch, a=part(1, error=error), b=part(2, figure(0.5))) == 1
    shown = capsys.readouterr().out
    assert "NOT MEASURED" in shown and str(error) in shown and " met " in shown
