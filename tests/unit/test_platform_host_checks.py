"""What platform `host` refuses before anything is changed. The machine is a table of answers here."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pyrunbook.errors import BadInput, Refused
from pyrunbook.platforms import Deployment, Run
from pyrunbook.platforms.host import HostPlatform
from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.service import HostService, of_step

READY = HttpCheck("ready", "/ready")


@pytest.fixture
def blue() -> Iterator[str]:
    """A color that answers, and is not ready: that is enough to be reached."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Machine:
    """What the service's machine answers, and what it was asked."""

    def __init__(self, **obstacles: str) -> None:
        self.obstacles = [{"seen": seen, "next_step": step} for seen, step in obstacles.items()]
        self.asked: list[str] = []

    def __call__(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(name)
        assert name == "host_needs"
        assert arguments["parts"] == ["config"]
        assert arguments["host"] == "shop.test"
        return {"changed": False, "obstacles": self.obstacles}


def platform(machine: Machine, url: str = "http://127.0.0.1:1", active: str = "blue", **run: Any) -> HostPlatform:
    colors = {
        color: {"exists": True, "running": True, "ready": 1, "silence": "", "release": release, "endpoints": []}
        for color, release in (("blue", "1.0.4"), ("green", None))
    }
    state = {"active": active, "colors": colors, "candidate": "1.1.0", "releases": ["1.0.4", "1.1.0"]}
    service = of_step(
        "shop",
        {
            "service_platform": "host",
            "service_url": "http://user:word@shop.test",
            "service_root": "/srv/shop",
            "service_manager": "systemd",
            "service_maintenance_address": "127.0.0.1:9",
            "service_colors": {
                "blue": {"url": url, "address": "127.0.0.1:2", "unit": "shop@blue"},
                "green": {"url": "http://127.0.0.1:3", "address": "127.0.0.1:3", "unit": "shop@green"},
            },
        },
    )
    assert isinstance(service, HostService)
    given = {"id": "1", "service": "shop", "check_mode": False, "on_target": machine, "active": "blue", "state": state}
    known = Run.__dataclass_fields__
    given["shell"] = lambda script: (1, "")
    return HostPlatform(service, Run(**{key: value for key, value in {**given, **run}.items() if key in known}))


def chosen(it: HostPlatform, release: str = "") -> dict[str, Any]:
    return list(it.check_deployment(Deployment(release=release, parts=["config"])))[-1]


def test_the_release_is_the_one_asked_for_or_the_candidate() -> None:
    assert chosen(platform(Machine()))["release"] == "1.1.0"
    again = chosen(platform(Machine()), "1.0.4")
    assert (again["release"], again["detail"]) == ("1.0.4", "1.0.4 serves already and is deployed once more")
    assert chosen(platform(Machine()), "1.1.0")["detail"] == ""
    with pytest.raises(BadInput, match=r"There is no release 9 in /srv/shop/releases \(there is: 1.0.4, 1.1.0\)"):
        chosen(platform(Machine()), "9")


def test_a_resumed_run_goes_on_with_what_it_has_deployed_and_is_not_checked_again() -> None:
    machine = Machine(**{"no space": "make some"})
    resumed = platform(machine, active="green", deployed={"release": "1.0.4"})
    assert chosen(resumed, "1.1.0")["release"] == "1.0.4"
    assert machine.asked == []


def test_all_that_the_machine_lacks_is_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        chosen(platform(Machine(**{"no space": "make some", "no rights": "give them"})))
    assert str(refused.value) == "no space\nno rights\nNothing was changed.\nNext: make some; give them"


def test_a_color_that_only_one_side_reaches_is_refused(blue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrunbook.platforms.host.REACHED_SECONDS", 0.1)
    (reached,) = platform(Machine(), blue).check_reached(READY)
    assert reached["detail"] == "ready after 1 check"
    with pytest.raises(Refused, match=r"service_colors.blue.url\) is not reached from this machine"):
        list(platform(Machine()).check_reached(READY))
    silent = platform(Machine(), blue)
    silent.known["colors"]["blue"] |= {"ready": 0, "silence": "connection refused"}
    with pytest.raises(Refused, match=r"nothing accepts connections on 127.0.0.1:2 .*: connection refused"):
        list(silent.check_reached(READY))
