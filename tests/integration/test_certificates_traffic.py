"""Rotations of the sandbox's certificate under traffic: what clients notice of them."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox_under_test import Sandbox

from pyrunbook.on_target import rotation_state
from pyrunbook.sandbox.load import Load

pytestmark = pytest.mark.integration

ROTATIONS = 10
RATE = 100.0
"""New TLS connections a second, all the time."""
SLOW_MS = 8000
"""Longer than the part of a rotation in which the proxy is reloaded, and than what many servers give a reload."""


def serving(sandbox: Sandbox) -> int:
    """The serial of what is deployed."""
    return int(rotation_state.linked(str(sandbox.layout.certificate)), 16)


def rotate(sandbox: Sandbox) -> int:
    """`pyrunbook certs rotate --force`, which must succeed with a new serial; gives it."""
    before = serving(sandbox)
    done = sandbox.run("certs", "rotate", "--force", "--inventory", "sandbox", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert serving(sandbox) != before
    return serving(sandbox)


def test_ten_rotations_fail_no_handshake(sandbox: Sandbox) -> None:
    """And the plain proxy's clients notice nothing at all."""
    found = sandbox.status()
    serials = [serving(sandbox)]
    plain = Load(found["url"], rate=RATE).start()
    tls = Load(found["tls_url"], rate=RATE, workers=0, trust_file=sandbox.layout.trust_file).start()
    time.sleep(1)
    try:
        serials += [rotate(sandbox) for _ in range(ROTATIONS)]
        time.sleep(1)
    finally:
        tls_report, plain_report = tls.stop(), plain.stop()
    assert len(set(serials)) == ROTATIONS + 1
    # Each of them was served, one after the other, and nothing else; no client saw an old one come back.
    assert [int(serial, 16) for serial in tls_report.certificates] == serials
    assert tls_report.handshakes_failed == 0, str(tls_report)
    assert tls_report.handshakes == tls_report.sent == pytest.approx(RATE * tls_report.duration_s, rel=0.02)
    assert (plain_report.failed, plain_report.sent > 0) == (0, True), str(plain_report)
    # A reload closes connections on which no request has been read yet: docs/pki/README.md says how many that are.
    assert set(tls_report.failures) <= {"closed before the answer", "connection reset"}, str(tls_report)
    assert tls_report.failed <= 5 * ROTATIONS, str(tls_report)


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
