"""What the operator sees: lines in a log, a live terminal, JSON for programs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyrunbook.execution import display
from pyrunbook.execution.display import Lines, Live, choose, summary

RUN = "00c0ffee"


def started(check: bool = False) -> dict[str, Any]:
    return {
        "event": "run_started",
        "run": RUN,
        "runbook": "maintenance/production_update",
        "mode": "run",
        "check": check,
    }


def service(name: str = "web") -> dict[str, Any]:
    return {"event": "service_started", "run": RUN, "service": name, "platform": "host"}


def step(title: str, outcome: str = "ok", name: str = "web", **more: Any) -> list[dict[str, Any]]:
    same = {"run": RUN, "service": name, "step": more.pop("step", "backup"), "title": title}
    ended = {"detail": "", "error": None, "bad_input": False, "known": [], "seconds": 1.234, **more}
    return [{"event": "step_started", **same}, {"event": "step_ended", **same, "outcome": outcome, **ended}]


def concluded(detail: str, name: str = "web", outcome: str = "succeeded") -> dict[str, Any]:
    return {"event": "service_ended", "run": RUN, "service": name, "outcome": outcome, "cause": "", "detail": detail}


def ended(outcome: str | None, code: int, cause: str = "", next_step: str = "") -> dict[str, Any]:
    event = {"event": "run_ended", "run": RUN, "outcome": outcome, "exit_code": code}
    return {**event, "cause": cause or None, "next_step": next_step or None}


def shown(*events: dict[str, Any]) -> list[str]:
    out = io.StringIO()
    with Lines(out, "Production update", "sandbox") as lines:
        for event in events:
            lines(event)
    return out.getvalue().splitlines()


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_run_that_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    lines = Lines(out, "Production update", "sandbox")
    now[0] = 110.3
    decision = {"open": True, "window": "Sun 02:00-04:00 UTC", "reason": "open, closes in 1 h 43 min", "end": None}
    for event in [
        started(), service(), {"event": "window", "service": "web", "decision": decision, "override": None},
        *step("Back up the service", "changed", detail="7 files, restored and compared"),
        *step("Drain blue, which stops the service", "skipped", step="drain_first"),
        *step("Verify the service", detail="20 of 20 answers 200"),
        concluded("green serves 1.1.0, blue is gone"),
        ended("succeeded", 0, next_step=f"pyrunbook rollback {RUN}"),
    ]:  # fmt: skip
        lines(event)
    assert out.getvalue().splitlines() == [
        f"Production update · web on sandbox (host) · run {RUN}",
        "Window Sun 02:00-04:00 UTC: open, closes in 1 h 43 min.",
        "  ✓ Back up the service                        1.2 s   7 files, restored and compared",
        "  ✓ Verify the service                         1.2 s   20 of 20 answers 200",
        f"Succeeded in 10.3 s: green serves 1.1.0, blue is gone. To undo: pyrunbook rollback {RUN}",
    ]


def test_a_run_that_fails_shows_the_whole_error_and_what_is_known_about_it() -> None:
    known = [{"cause": "The release is bad.", "solution": "Build another one.", "commands": ["pyrunbook history"]}]
    lines = shown(
        started(),
        service(),
        *step("Verify", "failed", step="verify", error="POST /echo answered 500\n0 allowed\nNext: look", known=known),
        *step("Put back what was there", "changed", step="rollback", detail="blue serves 1.0.4"),
        concluded("blue serves 1.0.4", outcome="rolled_back"),
        ended("rolled_back", 4, "POST /echo answered 500\n0 allowed"),
    )
    assert lines[1:8] == [
        "  ✗ Verify                                     1.2 s   POST /echo answered 500",
        "      0 allowed",
        "      Next: look",
        "      Known: The release is bad. Build another one.",
        "        $ pyrunbook history",
        "  ↩ Put back what was there                    1.2 s   blue serves 1.0.4",
        "Failed and put back (exit 4) in 0.0 s: blue serves 1.0.4.",
    ]
    assert lines[8:] == ["Cause: POST /echo answered 500", f"Details: pyrunbook report {RUN}"]


def test_a_rollback_that_fails_does_not_look_as_if_it_had_worked() -> None:
    (line,) = shown(*step("Put back what was there", "failed", step="rollback", error="blue does not start"))
    assert line.startswith("  ✗ Put back what was there")


def test_a_title_that_is_too_long_is_shown_whole() -> None:
    title = "Drain the active color of every one of the services, which stops them all"
    (line,) = shown(*step(title, detail="done"))
    assert line == f"  ✓ {title}   1.2 s   done"


def test_a_long_step_is_shown_in_minutes() -> None:
    assert "  2 min" in shown(*step("Deploy", seconds=119.9))[0]


def test_a_dry_run_says_so_first_and_last() -> None:
    lines = shown(started(check=True), service(), *step("Deploy", "changed"), ended("succeeded", 0))
    assert lines[0] == "Dry run: each step says what it would do; nothing is changed."
    assert re.fullmatch(r"Dry run ended in .* s; nothing was changed\.", lines[-1])
    assert shown(started(check=True), ended("refused", 3, "closed"))[1].startswith("Refused (exit 3)")


def test_the_override_of_a_window_is_shown() -> None:
    decision = {"open": False, "spec": "always", "reason": "closed by the exclusion 2026-12-24"}
    (line,) = shown({"event": "window", "service": "web", "decision": decision, "override": "the certificate expires"})
    assert line == "Window always: closed by the exclusion 2026-12-24. Overridden: the certificate expires"


def test_services_that_are_worked_on_together_are_told_apart() -> None:
    together = shown(service("web"), service("shop"), *step("Deploy"), *step("Deploy", name="shop"))
    assert [line.split("   ")[0] for line in together[2:]] == ["  ✓ web: Deploy", "  ✓ shop: Deploy"]
    in_turn = shown(
        service("web"), *step("Deploy"), concluded("green serves 2"), service("shop"), *step("Deploy", name="shop"),
        concluded("green serves 3", "shop"), ended("succeeded", 0),
    )  # fmt: skip
    assert [line.split("   ")[0] for line in (in_turn[1], in_turn[3])] == ["  ✓ Deploy", "  ✓ Deploy"]
    assert "web: green serves 2; shop: green serves 3." in in_turn[-1]


def test_what_interrupts_a_run_is_shown() -> None:
    assert shown(
        {"event": "interrupted", "signal": "SIGINT"},
        {"event": "putting_back", "run": RUN, "cause": "ended by SIGINT.\nmore", "services": ["web", "shop"]},
        {"event": "putting_back", "run": RUN, "cause": "it died", "services": ["web"], "decides": True},
        {"event": "note", "text": "SIGTERM: this is not stopped"},
        {"event": "output", "line": "TASK [it]"},
        {"event": "something of tomorrow"},
    ) == [
        "  ! SIGINT: ending the run, then putting back what was there",
        "  ! ended by SIGINT: putting back what was there (web, shop)",
        "  ! it died: bringing it to an end (web)",
        "  ! SIGTERM: this is not stopped",
        "    TASK [it]",
    ]


@pytest.mark.parametrize(
    ("event", "first"),
    [
        (ended("succeeded", 0), "Succeeded in 12.0 s: blue serves 1.0."),
        (ended("refused", 3, "closed"), "Refused (exit 3); nothing was changed."),
        (ended("refused", 2, "no release 9"), "Refused (exit 2); nothing was changed."),
        (ended("failed", 4, "no disk"), "Failed (exit 4) before anything was changed."),
        (ended("rolled_back", 4, "bad"), "Failed and put back (exit 4) in 12.0 s: blue serves 1.0."),
        (ended("timed_out", 4, "late"), "Timed out and put back (exit 4): blue serves 1.0."),
        (ended("unreachable", 2, "ssh"), "Unreachable (exit 2): blue serves 1.0."),
        (ended("unreachable", 4, "ssh"), "Unreachable (exit 4): blue serves 1.0."),
        (ended("canceled", 130, "ended by SIGINT"), "Interrupted and put back (exit 130): blue serves 1.0."),
        (
            ended("rollback_failed", 5, "bad", f"pyrunbook recover {RUN} --rollback"),
            "FAILED AND NOT PUT BACK (exit 5): blue serves 1.0. The lock stays held, so no other run starts.",
        ),
        (ended("contained", 8, "vault: sealed"), "Contained (exit 8) in 12.0 s: blue serves 1.0."),
        (
            ended("not_contained", 5, "it signs", "pyrunbook run incidents/security_failure"),
            "NOT CONTAINED (exit 5): the service was not seen in secure mode.",
        ),
        (ended("rolled_back", 0, "died"), "Recovered in 12.0 s: blue serves 1.0. The run counts as rolled_back."),
        (ended("canceled", 0, "died"), "Recovered in 12.0 s: blue serves 1.0. The run counts as canceled."),
    ],
)
def test_the_last_words_of_each_outcome(event: dict[str, Any], first: str) -> None:
    lines = summary(event, 12.0, ["blue serves 1.0"])
    assert lines[0] == first
    if event["outcome"] == "succeeded":
        assert len(lines) == 1
        return
    assert lines[1] == f"Cause: {event['cause']}"
    assert lines[2] == f"Details: pyrunbook report {RUN}"
    assert lines[3:] == ([f"Next: {event['next_step']}"] if event["next_step"] else [])


def test_where_there_was_no_run_the_error_says_all() -> None:
    assert summary(ended(None, 2, "No host matched"), 1.0, []) == []
    assert "nothing was changed" in summary(ended("failed", 0), 1.0, [])[0]


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_has_the_promised_fields_on_every_line_and_an_iso_time() -> None:
    out = io.StringIO()
    with choose(as_json=True, title="", inventory="", stream=out) as lines:
        for event in [
            started(), service(), {"event": "note", "text": "for people"}, *step("Vérifier", detail="é"),
            {"event": "run_ended", "outcome": "succeeded", "exit_code": 0},
        ]:  # fmt: skip
            lines(event)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in found] == ["run_started", "step_started", "step_ended", "run_ended"]
    for event in found:
        assert {"event", "run", "step", "outcome", "time"} <= set(event)
        assert event["run"] == RUN
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
        assert abs(datetime.fromisoformat(event["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (found[0]["step"], found[2]["step"], found[2]["outcome"]) == (None, "backup", "ok")
    assert "é" in out.getvalue()


# --- a terminal ------------------------------------------------------------------------------------------------------


class Terminal:
    """A real pseudo-terminal: what is written to it, read by a thread."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self.master, 4096):
                self.seen += data
        except OSError:
            return

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen.decode(errors="replace"))

    def until(self, words: str) -> None:
        deadline = time.monotonic() + 10
        while words not in self.text() and words not in self.seen.decode(errors="replace"):
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    made = Terminal()
    yield made
    with contextlib.suppress(OSError):
        made.stream.close()
    os.close(made.master)


def live(terminal: Terminal) -> Live:
    made = choose(as_json=False, title="Production update", inventory="sandbox", stream=terminal.stream)
    assert isinstance(made, Live)
    return made


def test_a_terminal_shows_the_step_that_is_going_on_with_the_time_left_in_the_window(terminal: Terminal) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1, minutes=43, seconds=30)).isoformat()
    began, over = step("Deploy 1.1.0 to green", "changed", detail="ready after 2 checks")
    with live(terminal) as shown:
        shown(started())
        shown(service())
        decision = {"window": "Sun 02:00-04:00 UTC", "reason": "open", "end": end}
        shown({"event": "window", "service": "web", "decision": decision, "override": None})
        shown(began)
        terminal.until("… Deploy 1.1.0 to green")
        terminal.until("window closes in 1 h 43 min")
        while len(set(re.findall(r"[0-9]\.[0-9] s", terminal.text()))) < 3:  # the time goes on
            time.sleep(0.02)
        shown(over)
        for event in step("Verify", "failed", step="verify", error="500 in 3 of 20\n[red]0 allowed[/red]"):
            shown(event)
        shown(ended("rolled_back", 4, "500"))
    terminal.until("Failed and put back (exit 4)")
    text = terminal.text()
    assert f"Production update · web on sandbox (host) · run {RUN}" in text
    assert "  ✓ Deploy 1.1.0 to green" in text
    assert "ready after 2 checks" in text
    assert "      [red]0 allowed[/red]" in text  # what a service answers is no markup
    assert "\x1b[32m✓" in terminal.seen.decode()
    assert "\x1b[31m✗" in terminal.seen.decode()
    terminal.until("\x1b[?25h")  # the cursor is given back


def test_a_terminal_that_is_closed_in_the_middle_does_no_harm(terminal: Terminal) -> None:
    began, over = step("Deploy")
    with live(terminal) as shown:
        shown(began)
        terminal.until("Deploy")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, terminal.stream.fileno())  # writing fails now, as on a terminal that was hung up
        os.close(null)
        with pytest.raises(OSError, match="Bad file descriptor"):
            shown(over)  # which `Telling` takes


def test_what_was_kept_and_what_was_not_begun_is_said() -> None:
    event = ended("not_cleaned_up", 8, "slots/blue is in use\nand more", f"pyrunbook recover {RUN}")
    lines = shown(concluded("green serves 1.1.0, blue is not cleaned up"), {**event, "not_begun": ["b", "c"]})
    assert lines[0].startswith("Done, and not cleaned up (exit 8) in ")
    assert lines[0].endswith(": green serves 1.1.0, blue is not cleaned up.")
    assert lines[1:] == [
        "Cause: slots/blue is in use",
        "Not begun: b,c. Once the cause is gone: the same command with --limit b,c",
        f"Details: pyrunbook report {RUN}",
        f"Next: remove what kept it from cleaning up, then: pyrunbook recover {RUN}",
    ]


def test_a_cause_that_is_a_list_says_what_it_lists() -> None:
    cause = (
        "The inventory of web has 2 mistakes:\n  service_url is missing\n  a is wrong\nNothing was changed.\nNext: x"
    )
    assert shown(ended("refused", 2, cause))[1] == (
        "Cause: The inventory of web has 2 mistakes: service_url is missing; a is wrong"
    )


def test_the_log_of_a_failure_is_shown_once() -> None:
    log = "blue does not answer\nThe last lines of blue.log:\nno database\nbye"
    again = step("Put back what was there", "failed", step="rollback", error=log)
    lines = shown(*again, *again, *again)
    assert len([line for line in lines if "blue does not answer" in line]) == 3
    assert len([line for line in lines if "no database" in line]) == 1
