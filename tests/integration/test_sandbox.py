"""The sandbox with real processes: what it starts, what it survives, what it leaves behind (nothing)."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from sandbox_under_test import Sandbox

from pyrunbook.on_target import rotation_state
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.signing_keys import SigningKeyFiles
from pyrunbook.sandbox import state
from pyrunbook.sandbox.content import FAULTS, write_atomically
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.processes import wait_gone

pytestmark = pytest.mark.integration

WAIT = 30.0


def until(look: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return found


def ask(url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body, over a new connection."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def deploy(sandbox: Sandbox, color: str, version: str) -> str:
    """Link a release into a slot and start it; return its address."""
    slot = sandbox.layout.slot(color)
    slot.unlink(missing_ok=True)
    slot.symlink_to(Path("..", "..", "releases", version))
    sandbox.supervisor.start(f"agent-factory-{color}")
    return sandbox.settings.addresses[color]


def ready(address: str) -> bool:
    with contextlib.suppress(OSError):
        return ask(f"http://{address}/ready")[0] == 200
    return False


def switch(sandbox: Sandbox, address: str) -> None:
    write_atomically(sandbox.layout.upstream, address + "\n")


def stop(sandbox: Sandbox, color: str) -> None:
    sandbox.supervisor._call("stopProcess", f"agent-factory-{color}", True)


def supervisorctl(sandbox: Sandbox, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(sandbox.layout.supervisor_config), *args]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_up_serves_and_down_leaves_nothing(new_sandbox: Sandbox) -> None:
    status = new_sandbox.run("sandbox", "status")
    assert status.returncode == 3
    assert "pyrunbook sandbox up" in status.stdout

    new_sandbox.up()
    found = new_sandbox.status()
    assert found["running"] is True
    assert found["active"] == "blue"
    assert found["candidate"] == "1.1.0"
    assert found["versions"] == {"blue": "1.0.4", "green": None}
    assert found["colors"]["blue"]["ready"] is True
    assert found["colors"]["green"]["running"] is False
    assert json.loads(ask(f"{found['url']}/version")[1]) == {"version": "1.0.4", "color": "blue"}
    status, body = ask(f"http://{found['maintenance_address']}/x")
    assert (status, b"maintenance" in body.lower()) == (503, True)
    for path in ("config/agent-factory.toml", "data/agents.db", "logs/blue.log", "releases/1.1.0/bin/agent-factory"):
        assert (new_sandbox.directory / path).is_file()
    assert new_sandbox.directory.stat().st_mode & 0o077 == 0
    # PIDs are recorded, and no secret of ours lives on in the environment of what runs
    running = new_sandbox.processes()
    recorded = {entry["pid"] for entry in json.loads(new_sandbox.layout.pids.read_text())}
    assert {process.pid for process in running} <= recorded
    assert not any("PYRUNBOOK_HOME" in process.environ() for process in running)

    settings = new_sandbox.settings
    down = new_sandbox.run("sandbox", "down")
    assert down.returncode == 0, down.stderr
    assert "by force" not in down.stdout
    assert wait_gone(running, 0)
    assert not any(map(listening, (settings.public_port, settings.blue_port, settings.maintenance_port)))
    assert not Path(settings.socket).exists()
    assert names(new_sandbox.layout.run) == ["complete", "lock", "sandbox.json"]
    assert new_sandbox.run("sandbox", "status").returncode == 3
    again = new_sandbox.run("sandbox", "down", "--purge")
    assert again.returncode == 0
    assert not new_sandbox.directory.exists()
    assert new_sandbox.run("sandbox", "down").returncode == 0


def test_nothing_leaks_a_secret_of_the_caller(new_sandbox: Sandbox) -> None:
    new_sandbox.env["VAULT_TOKEN"] = "s.not-for-daemons"
    new_sandbox.up()
    assert len(new_sandbox.processes()) >= 3
    assert not any("VAULT_TOKEN" in process.environ() for process in new_sandbox.processes())


def test_up_twice_changes_nothing(sandbox: Sandbox) -> None:
    before = {process.pid for process in sandbox.processes()}
    (sandbox.layout.root / "releases" / "1.1.0" / "VERSION").touch()
    result = sandbox.up()
    assert "already" in result.stdout
    assert {process.pid for process in sandbox.processes()} == before


def test_two_ups_at_once_start_one(new_sandbox: Sandbox) -> None:
    with ThreadPoolExecutor() as pool:
        said = [result.stdout for result in pool.map(lambda _: new_sandbox.up(), range(3))]
    assert sum("already" in text for text in said) == 2
    lines = [" ".join(process.cmdline()) for process in new_sandbox.processes()]
    assert sum("supervisord.conf" in line for line in lines) == 1
    assert sum("caddy.json" in line for line in lines) == 1


def test_up_on_another_port_is_refused_while_it_runs(sandbox: Sandbox) -> None:
    result = sandbox.run("sandbox", "up", "--port", "31999")
    assert result.returncode == 3
    assert "sandbox down" in result.stderr


def test_up_says_that_a_port_is_taken(new_sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = new_sandbox.run("sandbox", "up", "--port", str(port))
    assert result.returncode == 2
    assert f"port {port} is taken" in result.stderr
    assert new_sandbox.run("sandbox", "down", "--purge").returncode == 0
    assert not new_sandbox.directory.exists()
    new_sandbox.up("--port", str(port))
    assert new_sandbox.status()["url"].endswith(f":{port}")


def test_an_inner_port_taken_meanwhile_is_replaced(sandbox: Sandbox) -> None:
    sandbox.run("sandbox", "down")
    old = sandbox.settings
    with socket.create_server(("127.0.0.1", old.blue_port)):
        sandbox.up()
        assert sandbox.settings.blue_port != old.blue_port
        assert sandbox.url == old.url
        assert ask(f"{sandbox.url}/version")[0] == 200


def test_up_leaves_a_strange_directory_alone(new_sandbox: Sandbox) -> None:
    new_sandbox.directory.mkdir()
    (new_sandbox.directory / "thesis.tex").write_text("x")
    result = new_sandbox.run("sandbox", "up")
    assert result.returncode == 2
    assert "not a sandbox" in result.stderr
    assert new_sandbox.run("sandbox", "down", "--purge").returncode == 0
    assert names(new_sandbox.directory) == ["thesis.tex"]


def test_a_long_path_with_spaces(tmp_path: Path) -> None:
    deep = tmp_path / ("a long name " * 8)
    made = Sandbox(tmp_path / "home", deep / "sandbox")
    try:
        made.up()
        assert Path(made.settings.socket).parent != made.layout.run
        assert Path(made.settings.socket).parent.stat().st_mode & 0o077 == 0
        assert ask(f"{made.url}/version")[0] == 200
        until(lambda: "RUNNING" in supervisorctl(made, "status", "agent-factory-proxy").stdout, "supervisorctl")
        made.run("sandbox", "down")
        assert not Path(made.settings.socket).parent.exists()
    finally:
        made.destroy()


def test_a_failed_start_leaves_nothing_running(new_sandbox: Sandbox) -> None:
    new_sandbox.up()
    new_sandbox.run("sandbox", "down")
    log = new_sandbox.layout.root / "logs" / "supervisord.log"
    log.unlink()
    log.mkdir()  # supervisord cannot write its log
    result = new_sandbox.run("sandbox", "up")
    assert result.returncode == 4
    assert "supervisord did not start" in result.stderr
    assert new_sandbox.processes() == []


def test_up_after_supervisord_was_killed(sandbox: Sandbox) -> None:
    deploy(sandbox, "green", "1.1.0")
    until(lambda: ready(sandbox.settings.addresses["green"]), "green")
    old = sandbox.processes()
    os.kill(sandbox.status()["pids"]["supervisord"], signal.SIGKILL)
    until(lambda: not sandbox.status()["running"], "status to notice")
    sandbox.up()
    assert wait_gone(old, 0)
    found = sandbox.status()
    assert found["active"] == "blue"
    assert found["colors"]["blue"]["ready"]
    # green ran when supervisord died, so it runs again: a run that was under way finds it as it was
    until(lambda: sandbox.status()["colors"]["green"]["ready"], "green to be back")


def test_up_after_everything_was_killed(sandbox: Sandbox) -> None:
    deploy(sandbox, "green", "1.1.0")
    until(lambda: ready(sandbox.settings.addresses["green"]), "green")
    switch(sandbox, sandbox.settings.addresses["green"])
    old = sandbox.processes()
    for process in sorted(old, key=lambda process: "supervisord" not in " ".join(process.cmdline())):
        process.kill()
    assert wait_gone(old, 5)
    assert Path(sandbox.settings.socket).exists()  # as after a crash of the machine
    sandbox.up()
    found = sandbox.status()
    assert found["active"] == "green"
    assert found["colors"]["green"]["ready"]
    assert not found["colors"]["blue"]["running"]  # only what serves comes back


def test_down_after_supervisord_was_killed(sandbox: Sandbox) -> None:
    old = sandbox.processes()
    os.kill(sandbox.status()["pids"]["supervisord"], signal.SIGKILL)
    assert sandbox.run("sandbox", "down").returncode == 0
    assert wait_gone(old, 0)


def test_up_revives_a_stopped_color_that_should_serve(sandbox: Sandbox) -> None:
    stop(sandbox, "blue")
    assert not sandbox.status()["colors"]["blue"]["running"]
    assert "agent-factory-blue" in sandbox.up().stdout
    assert sandbox.status()["colors"]["blue"]["ready"]


def test_supervisor_restarts_what_is_killed(sandbox: Sandbox) -> None:
    found = sandbox.status()
    os.kill(found["colors"]["blue"]["pid"], signal.SIGKILL)
    os.kill(found["pids"]["proxy"], signal.SIGKILL)

    def served() -> bool:
        with contextlib.suppress(OSError):
            return ask(f"{sandbox.url}/version")[0] == 200
        return False

    until(served, "both to be back")


def trusting(sandbox: Sandbox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(sandbox.layout.trust_file))


def test_tls_serves_a_certificate_of_the_sandboxs_own_authority(sandbox: Sandbox) -> None:
    found = sandbox.status()
    for url in (found["tls_url"], f"https://localhost:{found['tls_port']}"):
        with urllib.request.urlopen(f"{url}/version", context=trusting(sandbox)) as answer:
            assert json.load(answer) == {"version": "1.0.4", "color": "blue"}
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"{found['tls_url']}/version")
    standing = rotation_state.standing(str(sandbox.layout.certificate))
    assert (standing["can"], standing["versions"]) == (["start"], [standing["current"]])  # proven, and concluded
    admin = sandbox.settings.admin_socket
    assert admin.stat().st_mode & 0o077 == 0
    sandbox.up()
    assert rotation_state.standing(str(sandbox.layout.certificate)) == standing


def test_the_switch_moves_tls_too(sandbox: Sandbox) -> None:
    green = deploy(sandbox, "green", "1.1.0")
    until(lambda: ready(green), "green")
    load = Load(sandbox.status()["tls_url"], rate=100, workers=0, trust_file=sandbox.layout.trust_file).start()
    for address in (green, sandbox.settings.addresses["blue"], green):
        time.sleep(0.4)
        switch(sandbox, address)
    time.sleep(0.4)
    report = load.stop()
    assert (report.failed, report.handshakes_failed) == (0, 0), str(report)
    assert set(report.seen) == {"1.0.4/blue", "1.1.0/green"}
    assert (report.handshakes, list(report.certificates.values())) == (report.sent, [report.sent])


def test_the_service_signs_behind_the_proxy(sandbox: Sandbox) -> None:
    status, answer = ask(f"{sandbox.url}/sign", b"template")
    assert status == 200
    signature = json.loads(answer)["signature"]
    keys = SigningKeyFiles(sandbox.layout.signing_keys)
    assert keys.verify(b"template", signature)
    assert not keys.verify(b"template.", signature)
    assert json.loads(ask(f"{sandbox.url}/security")[1])["signing_key"] == 1


def test_a_pair_that_cannot_be_served_takes_nothing_else_down(sandbox: Sandbox) -> None:
    (sandbox.layout.certificate / "current" / "key.pem").write_text("broken")
    sandbox.run("sandbox", "down")
    result = sandbox.up()
    assert "certs status" in result.stderr
    assert "127.0.0.1" in result.stderr
    assert ask(f"{sandbox.url}/version")[0] == 200


def test_a_first_certificate_that_is_not_served_is_no_start(sandbox: Sandbox) -> None:
    sandbox.run("sandbox", "down")
    certificate = sandbox.layout.certificate
    (certificate / "current").resolve().rename(certificate / "versions" / "abc")  # another than the proxy will serve
    (certificate / "current").unlink()
    (certificate / "current").symlink_to("versions/abc")
    first = {"run": "sandbox-up", "new": "abc", "previous": "", "step": "activated", "since": rotation_state.now()}
    rotation_state.write(str(certificate), first)
    result = sandbox.run("sandbox", "up")
    assert (result.returncode, "not abc" in result.stderr) == (4, True)
    assert sandbox.processes() == []


def make_old(sandbox: Sandbox) -> None:
    """Make a sandbox look like one of a version that served no TLS and signed nothing."""
    settings = json.loads(sandbox.layout.settings.read_text())
    del settings["tls_port"]
    sandbox.layout.settings.write_text(json.dumps(settings))
    for directory in ("tls", "pki", "signing"):
        shutil.rmtree(sandbox.directory / directory)
    program = sandbox.layout.releases / "1.0.4" / "bin" / "agent-factory"
    program.write_text(program.read_text().replace('"/sign", "/security"', '"/other"'))


def test_an_older_sandbox_gets_tls_when_it_is_started_again(sandbox: Sandbox) -> None:
    sandbox.run("sandbox", "down")
    make_old(sandbox)
    before = state.settings(sandbox.layout)
    result = sandbox.up()
    assert "pyrunbook sandbox release" in result.stderr  # what serves does not sign
    assert sandbox.settings.url == before.url
    assert sandbox.settings.addresses == before.addresses
    with urllib.request.urlopen(f"{sandbox.status()['tls_url']}/version", context=trusting(sandbox)) as answer:
        assert answer.status == 200
    assert sandbox.run("sandbox", "down").returncode == 0


def test_an_older_sandbox_that_runs_says_how_to_get_tls(sandbox: Sandbox) -> None:
    make_old(sandbox)
    pids = sandbox.status()["pids"]
    assert "serves no TLS" in sandbox.up().stderr
    found = sandbox.status()
    assert (found["tls_url"], found["running"], found["pids"]) == (None, True, pids)
    result = sandbox.run("sandbox", "load", "--tls", "--duration", "1")
    assert (result.returncode, "serves TLS" in result.stderr) == (2, True)


def test_the_load_counts_handshakes_that_failed(sandbox: Sandbox) -> None:
    argv = ("sandbox", "load", "--tls", "--duration", "1", "--rate", "50", "--json", "--fail-on-error")
    good = json.loads(sandbox.run(*argv).stdout)
    serial = rotation_state.linked(str(sandbox.layout.certificate))
    assert (good["sent"], good["handshakes"], good["handshakes_failed"]) == (50, 50, 0)
    assert {int(each, 16): count for each, count in good["certificates"].items()} == {int(serial, 16): 50}
    shutil.rmtree(sandbox.layout.authority)
    LocalAuthority(sandbox.layout.authority).create()  # another authority: clients accept nothing of the old one
    result = sandbox.run(*argv)
    bad = json.loads(result.stdout)
    assert (result.returncode, bad["failed"], bad["handshakes_failed"], bad["handshakes"]) == (4, 50, 50, 0)
    assert all(kind.startswith("TLS: ") for kind in bad["failures"])


def test_supervisorctl_reload_brings_back_the_serving_color(sandbox: Sandbox) -> None:
    deploy(sandbox, "green", "1.1.0")
    until(lambda: ready(sandbox.settings.addresses["green"]), "green")
    switch(sandbox, sandbox.settings.addresses["green"])
    pid = sandbox.status()["colors"]["green"]["pid"]
    assert "Restarted" in supervisorctl(sandbox, "reload").stdout
    until(lambda: sandbox.status()["colors"].get("green", {}).get("pid") not in (None, pid), "green to be back")
    until(lambda: ready(sandbox.settings.addresses["green"]), "green to be ready")
    assert not sandbox.status()["colors"]["blue"]["running"]


def test_the_switch_fails_no_request(sandbox: Sandbox) -> None:
    green = deploy(sandbox, "green", "1.1.0")
    until(lambda: ready(green), "green")
    blue = sandbox.settings.addresses["blue"]
    load = Load(sandbox.url, rate=200).start()
    for address in (green, blue) * 5:
        time.sleep(0.4)
        switch(sandbox, address)
    report = load.stop()
    assert report.failed == 0, str(report)
    assert report.sent > 400
    assert set(report.seen) == {"1.0.4/blue", "1.1.0/green"}


def test_stopping_the_drained_color_fails_no_request(sandbox: Sandbox) -> None:
    load = Load(sandbox.url, rate=200).start()
    colors = {"blue": "1.0.4", "green": "1.1.0"}
    active = "blue"
    for _ in range(4):
        preview = "green" if active == "blue" else "blue"
        address = deploy(sandbox, preview, colors[preview])
        until(lambda address=address: ready(address), preview)
        switch(sandbox, address)
        time.sleep(0.3)  # far shorter than the proxy keeps idle connections: the stop itself must be clean
        stop(sandbox, active)
        active = preview
    time.sleep(0.5)
    report = load.stop()
    assert report.failed == 0, str(report)
    assert set(report.seen) == {"1.0.4/blue", "1.1.0/green"}


def test_a_request_waits_for_a_color_that_is_just_coming(sandbox: Sandbox) -> None:
    """Connecting is tried again for POST too: nothing of the request has been sent by then."""
    stop(sandbox, "blue")
    timer = threading.Timer(0.7, lambda: sandbox.supervisor.start("agent-factory-blue"))
    timer.start()
    assert ask(f"{sandbox.url}/echo", b"hello") == (200, b"hello")
    timer.join()


def test_no_color_answers_503_with_retry_after(sandbox: Sandbox) -> None:
    switch(sandbox, sandbox.settings.maintenance_address)
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.settings.public_port, timeout=5)
    connection.request("POST", "/echo", b"x")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    connection.close()
    assert sandbox.status()["active"] == "none"
    assert "No color serves" in sandbox.up().stderr
    assert sandbox.status()["active"] == "none"


def test_sigterm_finishes_what_is_in_flight(sandbox: Sandbox) -> None:
    blue = sandbox.settings.addresses["blue"]
    answers: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: answers.append(ask(f"http://{blue}/work?ms=1500")))
    thread.start()
    idle = http.client.HTTPConnection(blue, timeout=5)
    idle.request("GET", "/health")
    assert idle.getresponse().read()
    until(lambda: b"requests_in_flight 1" in ask(f"http://{blue}/metrics")[1], "the request to be in flight")
    process = psutil.Process(sandbox.status()["colors"]["blue"]["pid"])
    began = time.monotonic()
    stopping = threading.Thread(target=stop, args=(sandbox, "blue"))
    stopping.start()
    until(lambda: not listening(sandbox.settings.blue_port), "it to stop accepting")
    assert process.is_running()
    time.sleep(0.5)
    idle.request("GET", "/ready")  # an idle kept-alive connection is still answered, and told to close
    last = idle.getresponse()
    assert (last.status, last.headers["Connection"]) == (503, "close")
    thread.join()
    stopping.join()
    assert answers == [(200, b'{"done": true}\n')]
    assert time.monotonic() - began < 3.5
    info = sandbox.supervisor._call("getProcessInfo", "agent-factory-blue")
    assert isinstance(info, dict)
    assert (info["statename"], info["exitstatus"]) == ("STOPPED", 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(sandbox: Sandbox, fault: str) -> None:
    made = sandbox.run("sandbox", "release", "2.0.0", "--fault", fault)
    assert made.returncode == 0, made.stderr
    assert sandbox.status()["candidate"] == "2.0.0"
    url = f"http://{deploy(sandbox, 'green', '2.0.0')}"
    if fault == "crash":
        until(lambda: sandbox.supervisor.programs()["agent-factory-green"].state == "BACKOFF", "a crash", 15)
        assert "giving up" in sandbox.layout.log("green").read_text()
        return
    until(lambda: listening(sandbox.settings.green_port), "green to listen")
    began = time.monotonic()
    health, ready_, version = (ask(f"{url}/{page}") for page in ("health", "ready", "version"))
    seconds = time.monotonic() - began
    posts = [ask(f"{url}/echo", b"x")[0] for _ in range(20 if fault != "slow" else 1)]
    switch(sandbox, sandbox.settings.addresses["green"])
    public = ask(f"{sandbox.url}/version")[0]
    assert health[0] == (500 if fault == "unhealthy" else 200)
    assert ready_[0] == (503 if fault == "never-ready" else 200)
    assert json.loads(version[1])["version"] == ("2.0.0-wrong" if fault == "wrong-version" else "2.0.0")
    assert posts.count(500) == (3 if fault == "echo-errors" else 0)
    assert (seconds > 3) == (fault == "slow")
    assert public == (500 if fault == "errors-behind-proxy" else 200)


def test_releases_do_not_change(sandbox: Sandbox) -> None:
    def release(*args: str) -> tuple[int, str]:
        result = sandbox.run("sandbox", "release", *args)
        return result.returncode, result.stdout + result.stderr

    assert release("1.2.0")[0] == 0
    assert release("1.0.4")[0] == 0
    assert sandbox.status()["candidate"] == "1.0.4"
    code, text = release("1.2.0", "--fault", "slow")
    assert (code, "--replace" in text) == (2, True)
    assert release("1.2.0", "--fault", "slow", "--replace")[0] == 0
    assert (sandbox.layout.releases / "1.2.0" / "FAULT").read_text() == "slow\n"
    code, text = release("1.0.4", "--replace")
    assert (code, "in use by blue" in text) == (3, True)
    for bad in ("../x", "", "candidate", "a b", ".hidden"):
        assert release("--", bad)[0] == 2
    assert release("1.3.0", "--fault", "gremlins")[0] == 2
    assert names(sandbox.layout.releases) == ["1.0.4", "1.1.0", "1.2.0", "candidate"]


def test_the_log_is_opened_again_for_rotation(sandbox: Sandbox) -> None:
    log = sandbox.layout.log("blue")
    log.rename(log.with_suffix(".1"))
    os.kill(sandbox.status()["colors"]["blue"]["pid"], signal.SIGHUP)
    until(log.exists, "a new log")
    ask(f"{sandbox.url}/version")
    until(lambda: "GET /version 200" in log.read_text(), "its line")  # written after the answer


def test_the_load_command_reports(sandbox: Sandbox, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = sandbox.run("sandbox", "load", "--duration", "1", "--rate", "100", "--report", str(report))
    assert result.returncode == 0, result.stderr
    found = json.loads(report.read_text())
    assert (found["sent"], found["failed"], found["succeeded"]) == (100, 0, 100)
    assert found["seen"] == {"1.0.4/blue": 100}
    switch(sandbox, sandbox.settings.maintenance_address)
    result = sandbox.run("sandbox", "load", "--duration", "0.5", "--fail-on-error", "--json")
    assert result.returncode == 4
    assert json.loads(result.stdout)["failures"] == {"answer 503": 25}


def test_the_load_command_ends_gently(sandbox: Sandbox) -> None:
    argv = [sys.executable, "-m", "pyrunbook", "sandbox", "load", "--json"]
    with subprocess.Popen(argv, env=sandbox.env, stdout=subprocess.PIPE, text=True) as process:
        until(lambda: "POST /echo" in sandbox.layout.log("blue").read_text(), "traffic")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert json.loads(output)["failed"] == 0


def test_a_load_sees_a_gap(sandbox: Sandbox) -> None:
    load = Load(sandbox.url, rate=100).start()
    time.sleep(0.5)
    stop(sandbox, "blue")
    time.sleep(0.5)
    sandbox.supervisor.start("agent-factory-blue")
    until(lambda: ready(sandbox.settings.addresses["blue"]), "blue")
    time.sleep(0.5)
    report = load.stop()
    assert report.longest_gap_ms > 450
    assert report.slowest_ms > 450  # held by the proxy until blue was back, counted from when each was due


def test_the_inventory(sandbox: Sandbox) -> None:
    def inventory() -> subprocess.CompletedProcess[str]:
        root = Path(__file__).resolve().parents[2]
        argv = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", "inventories/sandbox", "--list"]
        return subprocess.run(argv, cwd=root, env=sandbox.env, capture_output=True, text=True, check=False)

    host = json.loads(inventory().stdout)["_meta"]["hostvars"]["agent-factory"]
    plain = json.loads(json.dumps(host), object_hook=lambda value: value.get("__ansible_unsafe", value))
    assert plain["service_url"] == sandbox.url
    assert plain["service_root"] == str(sandbox.directory)
    assert plain["service_colors"]["green"]["address"] == sandbox.settings.addresses["green"]
    assert plain["update_window"] == plain["certificate_window"] == "always"
    (certificate,) = plain["service_certificates"]
    assert certificate["addresses"] == [f"127.0.0.1:{sandbox.settings.tls_port}"]
    assert plain["certificate_issuers"][certificate["issuer"]]["directory"] == str(sandbox.layout.authority)
    subprocess.run(certificate["reload"], env={}, capture_output=True, check=True)  # as it is: it works
    sandbox.run("sandbox", "down")
    result = inventory()
    assert result.returncode != 0
    assert "pyrunbook sandbox up" in result.stderr
