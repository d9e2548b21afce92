"""Rotations of the sandbox's certificate under traffic: what clients notice of them."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sandbox_under_test import Sandbox

from pyrunbook.journal import new_run_id
from pyrunbook.on_target import rotation_state
from pyrunbook.pki import rotation
from pyrunbook.pki.pair import Pair
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.wanted import read_certificates
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.load_report import LoadReport

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]

BY_COMMAND = int(os.environ.get("PYRUNBOOK_TEST_ROTATIONS_BY_COMMAND", "2"))
"""How many of ten rotations `pyrunbook certs rotate` makes. It takes ten seconds for each, and clients see of that what
the same moves and the same reload show them in one: the others are made so, unless this says 10."""
RATE = 100.0
"""New TLS connections a second, and plain requests a second, all the time."""
LATE_MS = 2000.0
"""By how much a client may be late to have measured anything; see the test."""
SLOW_MS = 8000
"""Longer than the part of a rotation in which the proxy is reloaded, and than the proxy's `grace_period`."""


def serving(sandbox: Sandbox) -> int:
    """The serial of what is deployed."""
    return int(rotation_state.linked(str(sandbox.layout.certificate)), 16)


def rotate(sandbox: Sandbox) -> int:
    """`pyrunbook certs rotate --force`, which must succeed with a new serial; gives it."""
    before = serving(sandbox)
    done = sandbox.run("certs", "rotate", "--force", "--inventory", "sandbox")
    assert done.returncode == 0, done.stdout + done.stderr
    assert serving(sandbox) != before
    return serving(sandbox)


class Here(Pair):
    """The sandbox's pair, moved by this process."""

    argv: tuple[str, ...] = ()

    def reload(self) -> str:
        """The inventory's own command."""
        subprocess.run(self.argv, check=True, capture_output=True, timeout=60)
        return "reloaded"

    def heartbeat(self) -> Callable[[], None]:
        return lambda: None


def inventory(sandbox: Sandbox) -> dict[str, Any]:
    """The variables of the service."""
    told = subprocess.run(
        ["ansible-inventory", "-i", str(ROOT / "inventories/sandbox"), "--host", "agent-factory"],
        env={**sandbox.env, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        check=True,
    )
    variables: dict[str, Any] = json.loads(told.stdout)
    return variables


def rotate_here(variables: dict[str, Any], sandbox: Sandbox) -> int:
    """The moves of a rotation, without Ansible around them."""
    run = new_run_id()
    with Issuers(variables["certificate_issuers"]) as issuers:
        (wanted,) = read_certificates(variables["service_certificates"], issuers.names, "host")
        here = Here(sandbox.layout.certificate)
        here.argv = wanted.reload
        rotation.stage(wanted, here, issuers, run)
        rotation.deploy(wanted, here, run)
        rotation.conclude(here)
    return serving(sandbox)


def rotated_under_traffic(sandbox: Sandbox, rotate: Callable[[Sandbox], int]) -> tuple[LoadReport, LoadReport]:
    """One rotation, with traffic from a second before it to a second after it: what TLS and plain clients saw."""
    known = sandbox.status()
    before = serving(sandbox)
    plain = Load(known["url"], rate=RATE).start()
    tls = Load(known["tls_url"], rate=RATE, workers=0, trust_file=sandbox.layout.trust_file).start()
    try:
        time.sleep(1)
        after = rotate(sandbox)
        time.sleep(1)
    finally:
        seen, plainly = tls.stop(), plain.stop()
    # First the old one, then the new one, nothing else: each is named where it was first seen.
    assert [int(serial, 16) for serial in seen.certificates] == [before, after]
    return seen, plainly


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("rotations", "by_command"), [(2, 0), pytest.param(10, BY_COMMAND, marks=pytest.mark.long)])
def test_rotations_fail_no_handshake(sandbox: Sandbox, rotations: int, by_command: int) -> None:
    """And the plain proxy's clients notice nothing at all.

    Where the machine is so busy that the clients themselves are late, a rotation measures nothing and does not count:
    a handshake that its client leaves unfinished for five seconds is ended by the server's reload.
    """
    here = partial(rotate_here, inventory(sandbox))
    measured: list[tuple[LoadReport, LoadReport]] = []
    late: list[float] = []
    while len(measured) < rotations:
        reports = rotated_under_traffic(sandbox, rotate if len(measured) < by_command else here)
        tls, _ = reports
        worst = max(report.late_ms for report in reports)
        if worst < LATE_MS and tls.sent == pytest.approx(RATE * tls.duration_s, rel=0.05):
            measured.append(reports)
        else:
            late.append(worst)
        assert len(late) <= 10, f"this machine is too busy to measure: its clients were late by {late} ms"
    for tls, plain in measured:
        assert tls.handshakes_failed == 0, str(tls)
        assert tls.handshakes == tls.sent
        assert (plain.failed, plain.sent > RATE) == (0, True), str(plain)
        # A reload closes connections on which no request has been read yet (docs/pki/README.md): as many as come in the
        # time from a handshake to its request.
        assert set(tls.failures) <= {"closed before the answer", "connection reset"}, str(tls)
        assert tls.failed <= RATE * (0.25 + 2 * tls.late_ms / 1000), str(tls)


@pytest.mark.long
def test_a_slow_request_survives_a_rotation(sandbox: Sandbox) -> None:
    url = sandbox.status()["tls_url"]
    trusting = ssl.create_default_context(cafile=str(sandbox.layout.trust_file))
    stop = threading.Event()

    def ask() -> list[float]:
        """Slow requests, one after the other; when each began. One that is not answered is raised."""
        began = []
        while not stop.is_set():
            began.append(time.monotonic())
            with urllib.request.urlopen(f"{url}/work?ms={SLOW_MS}", context=trusting, timeout=30) as answer:
                assert json.load(answer) == {"done": True}
        return began

    with ThreadPoolExecutor() as pool:
        askers = []
        for _ in range(3):  # so that one is in flight at any time, the reload's too
            askers.append(pool.submit(ask))
            time.sleep(SLOW_MS / 3000)
        began = time.monotonic()
        try:
            rotate(sandbox)
        finally:
            rotated = time.monotonic()
            stop.set()
        starts = [start for asker in askers for start in asker.result()]
    assert any(start < began for start in starts)
    assert any(began < start < rotated for start in starts)
