"""The whole rotation of a certificate that stands in a Secret: proven by handshakes, and put back when that fails."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_api import Api, deployment
from front import Front
from secrets_under_test import LEDGER, NAME, SECRET, authority, content, issue, live, pair_in, standing
from secrets_under_test import rotate as rotate_pair
from test_kill import pyrunbook
from test_runbook import ROOT, Operator, free
from tls_front import TlsFront, wanted

from pyrunbook.kubernetes import access
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.pki import certificate as certificates

ROTATION = "maintenance/certificate_rotation"
FORCE = ("-e", '{"certificate_force": true}')


@pytest.fixture
def operator(api: Api, tmp_path: Path) -> Iterator[Operator]:
    with Front(api) as front:
        yield Operator(api, front, tmp_path / "operator")


@pytest.fixture
def tls(api: Api) -> Iterator[TlsFront]:
    """A server that watches its files."""
    with TlsFront(api) as front:
        yield front


def certificate(operator: Operator, tls: TlsFront, *, inventory: dict[str, Any] | None = None, **changes: Any) -> None:
    """Write the inventory of a service with one certificate."""
    operator.settings(
        certificate_window="always",
        preflight_attested=[],
        service_certificates=[wanted(tls, **{"prove_within": "20s", **changes})],
        certificate_issuers={"local": {"kind": "local_ca", "directory": str(operator.api.directory / "ca")}},
        **(inventory or {}),
    )


def begun(api: Api) -> str:
    """The serial of a first certificate, by the authority that the inventory names."""
    first = issue(authority(api.directory / "ca"))
    rotate_pair(pair_in(api.cluster()), "00000001", first)
    return first.serial


def rotate(operator: Operator, *arguments: str) -> subprocess.CompletedProcess[str]:
    return operator.play(ROTATION, *arguments)


def served(tls: TlsFront) -> str:
    """The serial that a client gets, after a handshake in which it trusts the authority of the test alone."""
    host, port = tls.address.split(":")
    context = ssl.create_default_context(cafile=str(tls.api.directory / "ca" / "trust.pem"))
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secure,
    ):
        found = secure.getpeercert()
    assert found is not None
    return certificates.serial_text(int(str(found["serialNumber"]), 16))


def wait_for(tls: TlsFront, serial: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError):
            if served(tls) == serial:
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def deployed(api: Api) -> str:
    return certificates.facts(certificates.parse(content(api)["tls.crt"], SECRET)[0]).serial


def ended(api: Api, tls: TlsFront) -> str:
    """The serial that is deployed and served, after a look that nothing is under way any more."""
    assert standing(pair_in(api.cluster()))["rotation"] is None and free(api)
    assert served(tls) == deployed(api)
    return served(tls)


def test_twice_with_proof_and_then_nothing_to_do(api: Api, operator: Operator, tls: TlsFront) -> None:
    certificate(operator, tls)
    done = rotate(operator)
    assert done.returncode == 0, done.stdout + done.stderr
    first = ended(api, tls)
    before = live(api), live(api, LEDGER)
    done = rotate(operator)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (live(api), live(api, LEDGER)) == before, "not due: nothing was written"
    done = rotate(operator, *FORCE)
    assert done.returncode == 0, done.stdout + done.stderr
    second = ended(api, tls)
    assert second != first
    assert [(e["version"], e["replaced_by"]) for e in pair_in(api.cluster()).look()["retired"]] == [(first, second)]


def test_a_workload_that_reads_at_its_start_is_restarted_and_then_undone_from_another_machine(
    api: Api, operator: Operator, tmp_path: Path
) -> None:
    api.two_colors(replicas=2)
    with TlsFront(api, "agent-factory-blue") as tls:
        certificate(operator, tls, restart=["agent-factory-blue", "agent-factory-green"])
        first = begun(api)
        done = rotate(operator, *FORCE)
        assert done.returncode == 0, done.stdout + done.stderr
        second, entry = ended(api, tls), pair_in(api.cluster()).look()["retired"][0]
        colleague = Operator(api, operator.front, tmp_path / "colleague")
        certificate(colleague, tls, restart=["agent-factory-blue", "agent-factory-green"])
        done = colleague.play("maintenance/certificate_rollback", "-e", f"rotation={entry['run']}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ended(api, tls) == entry["version"] == first != second


@pytest.mark.long
def test_generated_by_one_run_and_deployed_by_another(api: Api, operator: Operator, tls: TlsFront) -> None:
    certificate(operator, tls)
    first = begun(api)
    done = rotate(operator, *FORCE, "-e", "rotate_certs_phase=generate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert served(tls) == deployed(api) == first
    staged = standing(pair_in(api.cluster()))["rotation"]["new"]
    done = rotate(operator, "-e", "rotate_certs_phase=deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended(api, tls) == staged


# --- what fails is put back ---------------------------------------------------------------------------------------


def test_a_server_that_goes_on_with_the_old_one_is_noticed(api: Api, operator: Operator, tls: TlsFront) -> None:
    certificate(operator, tls, prove_within="2s")
    first = begun(api)
    wait_for(tls, first)
    tls.deaf = True
    done = rotate(operator, *FORCE)
    assert done.returncode == 2 and "is not served" in done.stdout, done.stdout + done.stderr
    assert ended(api, tls) == first


def test_a_first_certificate_that_is_not_served_is_taken_away(api: Api, operator: Operator, tls: TlsFront) -> None:
    tls.deaf, tls.mute = True, True
    certificate(operator, tls, prove_within="2s")
    done = rotate(operator)
    assert done.returncode == 2, done.stdout + done.stderr
    assert content(api) == {"tls.crt": b"", "tls.key": b""} and free(api)
    assert standing(pair_in(api.cluster()))["rotation"] is None
    tls.deaf = tls.mute = False
    assert rotate(operator).returncode == 0
    ended(api, tls)


def test_pods_that_do_not_start_with_it_leave_the_old_ones_serving(kubelet_api: Api, operator: Operator) -> None:
    api = kubelet_api
    api.create({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {}})
    api.create(deployment("blue", "1.0.4", replicas=1, envFrom=[{"configMapRef": {"name": "settings"}}]))
    wait_for_rollout(api.cluster(), "agent-factory-blue", timeout=60)
    with TlsFront(api, "agent-factory-blue") as tls:
        certificate(operator, tls, restart="agent-factory-blue")
        first = begun(api)
        pair_in(api.cluster()).reload(["agent-factory-blue"], timeout=60)
        wait_for(tls, first)
        api.cluster().delete("ConfigMap", "settings")
        done = rotate(operator, *FORCE)
        assert done.returncode == 2 and "CreateContainerConfigError" in done.stdout, done.stdout + done.stderr
        assert ended(api, tls) == first


def test_somebody_elses_pair_is_left_alone(api: Api, operator: Operator, tls: TlsFront) -> None:
    """Something replaces the pair while a new one is staged: no phase overwrites it, and nothing is revoked."""
    certificate(operator, tls)
    begun(api)
    done = rotate(operator, *FORCE, "-e", "rotate_certs_phase=generate")
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = live(api)
    api.cluster().replace({**theirs, "data": {**theirs["data"], "tls.crt": theirs["data"]["tls.crt"][:400]}})
    before = content(api), content(api, LEDGER)
    done = rotate(operator, *FORCE)
    assert done.returncode == 2 and "something else has changed it" in done.stdout, done.stdout + done.stderr
    assert rotate(operator, "-e", "rotate_certs_phase=deploy").returncode == 2
    assert (content(api), content(api, LEDGER)) == before and free(api)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (lambda p: str(p) != f"update secrets {LEDGER}", f"update secrets {LEDGER}"),
        (lambda p: p.resource != "secrets", "lacks verb 'get' on secrets"),
    ],
)
def test_an_operator_without_a_verb_is_told_before_anything_changes(
    standin_api: Api, operator: Operator, tls: TlsFront, kept: Any, words: str
) -> None:
    rules = [
        {"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]}
        | ({"resourceNames": [p.name]} if p.name else {})
        for p in access.NEEDED | access.of_certificates([SECRET])
        if kept(p)
    ]
    certificate(operator, tls, inventory={"service_kubeconfig": str(standin_api.user(rules))})
    done = rotate(operator)
    shown = done.stdout.replace("\\'", "'")
    assert done.returncode == 2 and words in shown and "role-certificates.yaml" in shown, done.stdout + done.stderr
    assert standin_api.cluster().list_all("Secret") == [] and free(standin_api)


def test_an_api_that_fails_now_and_then_and_no_key_anywhere(
    standin_api: Api, operator: Operator, tls: TlsFront
) -> None:
    certificate(operator, tls)
    begun(standin_api)
    keys = [content(standin_api)["tls.key"]]
    for fault in (500, "reset", "lost", 503):
        for verb in ("get", "update", "create"):
            standin_api.faults.fail(fault, verb=verb, resource="secrets")
    standin_api.faults.fail(409, verb="update", resource="secrets", times=2)
    done = rotate(operator, *FORCE, "-vvv", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    ended(standin_api, tls)
    keys.append(content(standin_api)["tls.key"])
    lines = [line for key in keys for line in key.splitlines()[1:-1]]
    said = (done.stdout + done.stderr).encode()
    assert len(lines) > 4 and not [line for line in lines if line in said]
    for path in operator.home.rglob("*"):
        if path.is_file():
            found = path.read_bytes()
            assert not [line for line in lines if line in found], path


# --- killed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passed", "forward"),
    [
        pytest.param(1, False, id="staged", marks=pytest.mark.long),
        pytest.param(2, False, id="activating", marks=pytest.mark.long),
        pytest.param(3, False, id="deployed"),
        pytest.param(5, False, id="reloaded", marks=pytest.mark.long),
        pytest.param(6, True, id="proven", marks=pytest.mark.long),
    ],
)
def test_after_a_kill_between_two_writes_a_valid_certificate_is_served(
    standin_api: Api, operator: Operator, tls: TlsFront, passed: int, forward: bool
) -> None:
    """`kill -9` of all of it while the API holds the write after `passed` others; then `recover`."""
    certificate(operator, tls)
    first = begun(standin_api)
    standin_api.faults.fail("slow", verb="update", resource="secrets", times=passed)
    standin_api.faults.fail("hold", verb="update", resource="secrets", seconds=3)
    command = [sys.executable, "-m", "pyrunbook", "run", ROTATION, "--yes", "-i", str(operator.inventory), *FORCE]
    process = subprocess.Popen(
        command, cwd=ROOT, env=operator.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while sum(each.times for each in standin_api.faults.faults) > 0:
            assert process.poll() is None and time.monotonic() < deadline, "it ended before"
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert standing(pair_in(standin_api.cluster()))["rotation"], "killed in the middle"
    done = pyrunbook(operator, "recover", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("counts as rolled_back" in done.stdout) is not forward
    assert (ended(standin_api, tls) != first) is forward
    if not forward:
        done = rotate(operator, *FORCE)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ended(standin_api, tls) != first
