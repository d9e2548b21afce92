"""`pyrunbook certs`: what is shown of certificates, what counts as well, and which runs the commands become."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyrunbook.cli import certs_view
from pyrunbook.cli.main import main
from pyrunbook.errors import BadInput
from pyrunbook.execution import certificates, inventory
from pyrunbook.execution import run as execution
from pyrunbook.execution.role_query import Answer
from pyrunbook.journal import Journal

OLD, NEW = "0a" * 20, "0b" * 20
Run = Callable[..., tuple[int, str, str]]


def served(serial: str = OLD, outcome: str = "pass", detail: str = "", address: str = "web:443") -> dict[str, Any]:
    return {
        "address": address,
        "outcome": outcome,
        "detail": detail or f"serves CN=web, serial {serial}",
        "certificate": {"serial": serial} if outcome != "error" else None,
    }


def due(then: str = "nothing", describe: str = "not due until 2027-01-21T00:00:00Z", **given: Any) -> dict[str, Any]:
    return {
        "then": then,
        "describe": describe,
        "due_at": "2027-01-21T00:00:00Z",
        "waits_until": None,
        "override": "",
        "reasons": [],
        "notes": [],
        **given,
    }


def standing(step: str = "", **given: Any) -> dict[str, Any]:
    run = "7f3a0000" if step else ""
    return {"run": run, "step": step, "new": NEW if step else "", "deployed": "", "seen": f"it is {step}", **given}


def state(**given: Any) -> dict[str, Any]:
    """A certificate with which all is well."""
    return {
        "place": "/srv/tls/public",
        "subject": "CN=web",
        "serial": OLD,
        "issuer": "CN=intermediate",
        "not_before": "2026-11-22T00:00:00Z",
        "not_after": "2027-02-20T00:00:00Z",
        "days_left": 60.25,
        "used": 0.3306,
        "key_matches": True,
        "standing": standing(),
        "staged": False,
        "staged_problem": "",
        "obstacle": "",
        "retired": [],
        "served": [served()],
        "due": due(),
        **given,
    }


class Stage:
    """Services, and what each tells, in place of an inventory and of the `ansible` command."""

    def __init__(self) -> None:
        self.services: dict[str, dict[str, Any]] = {}
        self.told: dict[str, Answer] = {}
        self.asked: list[tuple[list[str], str, dict[str, Any]]] = []
        self.requests: list[Any] = []

    def service(self, name: str, *, problem: str = "", next_step: str = "", window: str = "", **states: Any) -> None:
        names = [{"name": one} for one in states]
        self.services[name] = {"service_certificates": names, "certificate_window": "Sun 02:00-04:00 UTC"}
        result = {} if problem else {"certificates": states, "window": window}
        self.told[name] = Answer(name, result, problem, next_step)

    def read(self, _: Any, services: Any, role: str, telling: str, variables: dict[str, Any]) -> list[Answer]:
        assert telling == "certificates"
        self.asked.append((list(services), role, variables))
        return [self.told[name] for name in services]

    def operate(self, request: Any, _: Any) -> Any:
        self.requests.append(request)
        return SimpleNamespace(exit_code=0)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    made = Stage()
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": dict(made.services))
    monkeypatch.setattr(certificates, "read", made.read)
    monkeypatch.setattr(execution, "operate", made.operate)
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PYRUNBOOK_JOURNAL", raising=False)
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `pyrunbook certs …`; the exit code, what it printed, and what it said on stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["certs", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_shows_all_that_there_is_to_know(stage: Stage, run: Run) -> None:
    old = {"version": NEW, "since": "2026-11-21T12:00:00Z", "revoked_after": "2026-11-22T12:00:00Z"}
    stage.service("web", public=state(retired=[old]))
    code, shown, said = run("status")
    assert (code, said) == (0, "")
    assert shown.splitlines() == [
        "✓ web · public",
        "    subject   CN=web",
        f"    serial    {OLD}",
        "    issuer    CN=intermediate",
        "    valid     2026-11-22 00:00 UTC to 2027-02-20 00:00 UTC; 60.2 days left, 33% of its lifetime used",
        "    deployed  /srv/tls/public",
        f"    served    web:443: serves CN=web, serial {OLD}",
        f"    replaced  {NEW}, 2026-11-21 12:00 UTC; revoked after 2026-11-22 12:00 UTC",
        # 2027-01-21 is a Thursday
        "    then      not due until 2027-01-21T00:00:00Z; its window is open at 2027-01-24 02:00 UTC",
    ]
    assert stage.asked == [(["web"], "pyrunbook.core.certificate_state", stage.asked[0][2])]
    assert stage.asked[0][2]["certificate_state_runbook"] == "maintenance/certificate_rotation"
    assert not Journal.exists(), "a look is no run"
    assert stage.requests == []


def test_status_as_objects(stage: Stage, run: Run) -> None:
    stage.service("web", public=state(), internal=state(due=due("rotate", "due now: it broke")))
    stage.service("gone", problem="no connection", next_step="ping gone", public=state())
    code, shown, _ = run("status", "--json")
    assert code == 8
    public, internal, gone = map(json.loads, shown.splitlines())
    assert set(public) == {"service", "certificate", "good", "attention", "next_step", "next_window", *state()}
    assert (public["service"], public["certificate"], public["good"]) == ("web", "public", True)
    assert public["next_window"] == "2027-01-24T02:00:00Z"
    assert (internal["good"], internal["attention"]) == (False, ["due now: it broke"])
    assert internal["next_step"] == "pyrunbook certs rotate internal --limit web"
    assert internal["next_window"] is None
    assert (gone["service"], gone["certificate"], gone["good"]) == ("gone", None, False)
    assert (gone["attention"], gone["next_step"]) == (["no connection"], "ping gone")


@pytest.mark.parametrize(
    ("given", "shown", "next_step"),
    [
        ({"due": due("rotate", "due now: expired")}, "then      due now: expired", "rotate public --limit web"),
        (
            {"served": [served(), served(NEW, address="[::1]:443")]},
            f"served    [::1]:443: serves CN=web, serial {NEW}; {OLD} is deployed: the server has not read it",
            "validate public --limit web",
        ),
        (
            {"served": [served(outcome="error", detail="no TLS connection: refused")]},
            "served    web:443: no TLS connection: refused",
            "validate public --limit web",
        ),
        ({"served": [served(outcome="fail", detail="a client refuses")]}, "served    web:443: a client refuses", ""),
        ({"standing": standing("activated")}, "rotation  it is activated", "pyrunbook recover 7f3a0000"),
        (
            {"standing": standing("staged"), "staged": True, "staged_problem": "it has expired meanwhile"},
            "staged    it has expired meanwhile",
            "certs generate public --force --limit web",
        ),
        ({"obstacle": "there is no user 'web'"}, "place     there is no user 'web'", "public in service_certificates"),
        ({"due": due(notes=["the issuer vault cannot be asked: sealed"])}, "note      the issuer vault cannot", ""),
    ],
)
def test_what_somebody_has_to_look_at(
    stage: Stage, run: Run, given: dict[str, Any], shown: str, next_step: str
) -> None:
    stage.service("web", public=state(**given))
    code, output, _ = run("status")
    assert code == 8
    lines = output.splitlines()
    assert lines[0] == "✗ web · public"
    marked = [line for line in lines if line.startswith("  ! ")]
    assert len(marked) == 1, output
    assert marked[0].startswith(f"  ! {shown}")
    if next_step:
        assert lines[-1].startswith("    Next: ")
        assert lines[-1].endswith(next_step)


@pytest.mark.parametrize(
    "given",
    [
        {"due": due("wait", "due, waits for the window of …", waits_until="2027-01-24T02:00:00Z")},
        {"standing": standing("staged", deployed="previous"), "staged": True},
    ],
)
def test_what_waits_on_purpose_is_well(stage: Stage, run: Run, given: dict[str, Any]) -> None:
    stage.service("web", public=state(**given))
    code, shown, _ = run("status")
    assert code == 0, shown
    assert shown.startswith("✓ ")
    if "staged" in given:
        assert f"staged    {NEW}, by run 7f3a0000; deployed by: pyrunbook certs deploy" in shown
    else:
        assert json.loads(run("status", "--json")[1])["next_window"] == "2027-01-24T02:00:00Z"


def test_where_nothing_is_deployed(stage: Stage, run: Run) -> None:
    nothing = dict.fromkeys(("subject", "serial", "issuer", "not_before", "not_after", "days_left", "used"))
    missing = due("rotate", "due now: no certificate is deployed", due_at=None)
    stage.service("web", public=state(**nothing, served=[served(outcome="error", detail="refused")], due=missing))
    code, shown, _ = run("status")
    assert code == 8
    assert shown.splitlines() == [
        "✗ web · public",
        "    deployed  /srv/tls/public",
        "  ! served    web:443: refused",
        "  ! then      due now: no certificate is deployed",
        "    Next:     pyrunbook certs rotate public --limit web",
    ]


def test_a_service_that_cannot_be_read_hides_no_other(stage: Stage, run: Run) -> None:
    stage.service("gone", problem="no connection", next_step="ping gone", public=state())
    stage.service("web", public=state())
    code, shown, _ = run("status")
    assert code == 8
    assert shown.splitlines()[:4] == [
        "✗ gone", "  ! problem   no connection", "    Next:     ping gone", "✓ web · public",
    ]  # fmt: skip


def test_lines_are_folded_on_a_terminal_only(
    stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.service("web", public=state(due=due("rotate", "due now: " + "very " * 30 + "old")))
    monkeypatch.setenv("COLUMNS", "60")
    wide = run("status")[1]
    assert max(map(len, wide.splitlines())) > 150
    monkeypatch.setattr(certs_view.sys, "stdout", Terminal(sys.stdout))  # type: ignore[attr-defined]
    narrow = run("status")[1]
    assert max(map(len, narrow.splitlines())) <= 60
    assert narrow.split() == wide.split(), "nothing is cut"


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return True


def test_only_the_named(stage: Stage, run: Run) -> None:
    stage.service("web", public=state(), internal=state())
    stage.service("mail", internal=state())
    assert "internal" not in run("status", "public")[1]
    assert stage.asked[-1][0] == ["web"], "the other has no such certificate"
    code, shown, said = run("status", "pubic")
    assert (code, shown) == (2, "")
    assert "no certificate is named 'pubic' (there are: internal, public)" in said
    assert "Next: pyrunbook certs status" in said


def test_no_service_has_certificates(stage: Stage, run: Run) -> None:
    stage.service("web")
    code, _, said = run("status")
    assert code == 2
    assert "none of these services has certificates: web" in said
    assert "service_certificates" in said


def test_names_that_only_a_play_knows(stage: Stage, run: Run) -> None:
    stage.service("web", public=state())
    stage.services["web"]["service_certificates"] = "{{ certificates_of_all }}"
    assert run("status", "public")[0] == 0
    stage.services["web"]["certificate_window"] = "{{ window_of_all }}"
    assert json.loads(run("status", "--json")[1])["next_window"] is None


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "runbook", "inputs"),
    [
        (("rotate",), "certificate_rotation", {}),
        (("rotate", "--force"), "certificate_rotation", {"certificate_force": True}),
        (("rotate", "public"), "certificate_rotation", {"certificate_names": ["public"]}),
        (("generate",), "certificate_rotation", {"rotate_certs_phase": "generate"}),
        (
            ("generate", "--force", "public", "internal"),
            "certificate_rotation",
            {"rotate_certs_phase": "generate", "certificate_force": True, "certificate_names": ["public", "internal"]},
        ),
        (("deploy",), "certificate_rotation", {"rotate_certs_phase": "deploy"}),
        (
            ("deploy", "-e", "rotate_certs_phase=rotate"),
            "certificate_rotation",
            {"rotate_certs_phase": "deploy"},
        ),
        (("validate", "public"), "certificate_validation", {"certificate_names": ["public"]}),
    ],
)
def test_the_run_that_a_command_becomes(
    stage: Stage, run: Run, arguments: tuple[str, ...], runbook: str, inputs: dict[str, Any]
) -> None:
    stage.service("web", public=state(), internal=state())
    assert run(*arguments, "--yes")[0] == 0
    (request,) = stage.requests
    assert request.playbook.name == f"{runbook}.yml"
    assert request.playbook.parent.name == "maintenance"
    assert {name: value for name, value in request.extra_vars.items() if name != "preflight_attested"} == inputs
    assert request.tags == ""
    assert request.limit == ("web" if "certificate_names" in inputs else "")


def test_signatures_are_tested_where_something_signs(stage: Stage, run: Run) -> None:
    stage.service("web", public=state())
    code, _, said = run("test-signature")
    assert code == 2
    assert "none of these services has signing keys: web" in said
    assert stage.requests == []
    stage.service("mail", public=state())
    stage.services["mail"]["service_signing_keys"] = [{"name": "templates"}]
    assert run("test-signature", "--yes")[0] == 0
    (request,) = stage.requests
    assert (request.playbook.stem, request.tags, request.limit) == ("certificate_validation", "test_signature", "mail")


def test_the_options_of_a_run(stage: Stage, run: Run) -> None:
    stage.service("web", public=state())
    arguments = ("--limit", "web", "--check", "-e", "a=b", "--no-window", "--reason", "it leaked", "--timeout", "9m")
    assert run("rotate", *arguments, "--yes", "--json", "-vv")[0] == 0
    (request,) = stage.requests
    assert (request.limit, request.check, request.verbosity, request.timeout) == ("web", True, 2, 540.0)
    assert request.extra_vars["a"] == "b"
    assert request.extra_vars["preflight_window_override"] == "it leaked"
    assert request.undone_by == "maintenance/certificate_rollback"
    assert run("rotate", "--no-window")[0] == 2


def test_a_name_chooses_the_services_that_have_it(stage: Stage, run: Run) -> None:
    stage.service("web", public=state())
    stage.service("mail", internal=state())
    stage.service("both", public=state(), internal=state())
    assert run("rotate", "public", "--yes")[0] == 0
    assert stage.requests[0].limit == "web,both"
    code, _, said = run("rotate", "public", "internal", "--yes")
    assert code == 2
    assert "web has no certificate 'internal'" in said
    assert "Next: use a run of its own: pyrunbook certs rotate internal" in said
    assert run("rotate", "pubic", "--yes")[0] == 2
    assert len(stage.requests) == 1


# --- a wait never outlasts a certificate -----------------------------------------------------------------------------


def test_what_would_expire_does_not_wait(stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def asleep(seconds: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr("pyrunbook.cli.run.time.sleep", asleep)
    stage.service("web", window="always", public=state())
    stage.services["web"]["certificate_window"] = "Sun 02:00-02:01 UTC"  # far too short for a run: never open
    code, _, said = run("rotate", "--wait", "--force", "-e", "token=cAnArY", "--yes")
    assert code == 0
    assert "web: does not wait" in said
    assert stage.asked[0][2]["certificate_force"] is True
    assert "cAnArY" not in str(stage.asked), "these become arguments of a process"
    assert len(stage.requests) == 1
    stage.service("web", window="Sun 02:00-02:01 UTC", public=state())
    stage.services["web"]["certificate_window"] = "Sun 02:00-02:01 UTC"
    assert run("rotate", "--wait", "--yes")[0] == 2, "nothing to wait for"
    stage.service("web", problem="no connection", public=state())
    code, _, said = run("rotate", "--wait", "--yes")
    assert code == 2
    assert "web: no connection" in said
    assert len(stage.requests) == 1


# --- help and completion ---------------------------------------------------------------------------------------------


def test_examples_in_the_help_name_commands_that_there_are(run: Run) -> None:
    code, shown, _ = run("--help")
    assert code == 0
    named = {line.split()[2] for line in shown.splitlines() if line.strip().startswith("pyrunbook certs ")}
    assert named == {"status", "rotate", "generate", "deploy", "validate", "test-signature"}
    for name in named:
        assert run(name, "--help")[0] == 0
    assert "--json" in run("status", "--help")[1]


def test_names_are_completed(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(
        "services: {hosts: {web: {service_certificates: [{name: public}, {name: internal}]},"
        " mail: {service_certificates: [{name: public}, {name: imap}]}, none: {}}}"
    )

    def offered(*words: str) -> list[str]:
        completing = {"_PYRUNBOOK_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words)}
        program = "from pyrunbook.cli.main import main; import sys; sys.argv = ['pyrunbook']; main()"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **completing, "COMP_CWORD": str(len(words) - 1), "PYRUNBOOK_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    assert offered("pyrunbook", "certs", "rotate", "-i", str(hosts), "") == ["public", "internal", "imap"]
    assert offered("pyrunbook", "certs", "rotate", "-i", str(hosts), "i") == ["internal", "imap"]
    assert offered("pyrunbook", "certs", "status", "-i", str(hosts), "--limit", "mail", "i") == ["imap"]
    assert offered("pyrunbook", "certs", "rotate", "-i", str(tmp_path / "nowhere"), "") == []
    assert "rotate" in offered("pyrunbook", "certs", "")


def test_names_of_services() -> None:
    assert certificates.names_in({}) == []
    assert certificates.names_in({"service_certificates": [{"name": "a"}, {}]}) == ["a", ""]
    assert certificates.names_in({"service_certificates": "{{ of_all }}"}) is None
    assert certificates.names_in({"service_certificates": ["{{ one }}"]}) is None


def test_a_service_without_that_name_is_none_of_the_services(stage: Stage) -> None:
    stage.service("web", public=state())
    with pytest.raises(BadInput, match="no certificate is named 'x'"):
        certificates.services_with((), names=["public", "x"])
