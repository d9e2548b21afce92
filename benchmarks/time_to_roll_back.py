"""2: how long after a failed verification the old color serves again, as a client sees it."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox_under_test import Sandbox

from benchmarks import own_sandbox
from benchmarks.figures import Figure, NotMeasured, median

PART = 2
NAME = "time to roll back"
BOUND = 1.0
REPETITIONS = 7
SPACING = 0.005
"""Seconds between two requests of the probing client, which waits for the answer before it sends the next."""


@dataclass(frozen=True)
class Probe:
    """One request on a new connection.

    Attributes:
        answered: when the answer was there, seconds of the epoch.
        status: of the answer; 0 when there was none.
        version: that answered; empty when it did not say.
    """

    answered: float
    status: int
    version: str


@dataclass(frozen=True)
class Seen:
    """What one rollback looked like, in seconds.

    Attributes:
        back: from the end of the failed verification until the old version answered, for good.
        bad: from the client's first bad answer to its last one.
        whole: from the client's first bad answer until the old version answered, for good.
        spacing: the longest time between two answers from the first bad one on, until the service was back.
    """

    back: float
    bad: float
    whole: float
    spacing: float


class Client(threading.Thread):
    """Asks for /version on a new connection, again and again, until `end`."""

    def __init__(self, url: str) -> None:
        super().__init__(name="probe", daemon=True)
        self._address = urlsplit(url)
        self._ended = threading.Event()
        self.probes: list[Probe] = []

    def run(self) -> None:
        """Ask."""
        while not self._ended.wait(SPACING):
            self.probes.append(self._ask())

    def end(self) -> list[Probe]:
        """Stop, and give what was seen."""
        self._ended.set()
        self.join()
        return self.probes

    def _ask(self) -> Probe:
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=5)
        try:
            connection.request("GET", "/version", headers={"Connection": "close"})
            answer = connection.getresponse()
            body, status = answer.read(), answer.status
            version = json.loads(body)["version"] if status == 200 else ""
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            status, version = 0, ""
        finally:
            connection.close()
        return Probe(time.time(), status, version)


def measure() -> list[Figure]:
    """Deploy releases that answer well by themselves and badly through the proxy, so that only `verify` fails."""
    seen = []
    with own_sandbox.running() as sandbox:
        _, old = own_sandbox.serves(sandbox)
        for number in range(1, REPETITIONS + 1):
            own_sandbox.release(sandbox, f"3.{number}.0", "errors-behind-proxy")
            seen.append(_once(sandbox, old))
    note = (
        f"release with the fault errors-behind-proxy; a client on new connections, every {SPACING * 1000:.0f} ms; "
        "from the event that ends the step `verify` to\nthe first of the unbroken good answers of the old version; "
        f"longest time between two answers meanwhile {max(one.spacing for one in seen) * 1000:.0f} ms"
    )
    return [
        # Every one of them has to hold, so the worst is what is compared.
        Figure(PART, "failed verification to old version serving", max(one.back for one in seen), "s", "maximum", BOUND,
               tuple(one.back for one in seen), note),
        median(PART, "client's first to last bad answer", [one.bad for one in seen], "s"),
        median(PART, "client's first bad answer to old version serving", [one.whole for one in seen], "s"),
    ]  # fmt: skip


def _once(sandbox: Sandbox, old: str) -> Seen:
    client = Client(sandbox.url)
    client.start()
    try:
        done = sandbox.process(*own_sandbox.UPDATE, "--json")
    finally:
        probes = client.end()
    own_sandbox.must(done, 4, "the update to a bad release")
    return read([json.loads(line) for line in done.stdout.splitlines()], probes, old)


def read(events: list[dict[str, Any]], probes: list[Probe], old: str) -> Seen:
    """What a rollback looked like.

    Args:
        events: of the run, as `pyrunbook run --json` prints them.
        probes: in the order of time, from before the switch until after the run.
        old: the version that served before.

    Raises:
        NotMeasured: the step `verify` did not fail, the client saw nothing bad, or the old version is not back.
    """
    failed = [
        e for e in events if e["event"] == "step_ended" and e["step"] == "verify" and e.get("outcome") == "failed"
    ]
    if not failed:
        raise NotMeasured("the step verify did not fail")
    ended = datetime.fromisoformat(failed[0]["time"]).timestamp()
    bad = [index for index, probe in enumerate(probes) if probe.status != 200 or probe.version != old]
    if not bad:
        raise NotMeasured("the client saw no bad answer, so the release was never switched to")
    first, last = bad[0], bad[-1]
    if last + 1 == len(probes):
        raise NotMeasured("the old version did not answer again")
    back = probes[last + 1].answered
    times = [probe.answered for probe in probes[first : last + 2]]
    return Seen(
        back=max(0.0, back - ended),
        bad=probes[last].answered - probes[first].answered,
        whole=back - probes[first].answered,
        spacing=max(later - earlier for earlier, later in itertools.pairwise(times)),
    )
