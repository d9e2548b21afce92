"""The sandbox's files, settings and generated configuration; no process is started."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from pyrunbook.cli.main import root as command
from pyrunbook.errors import BadInput, Refused
from pyrunbook.on_target import rotation_state
from pyrunbook.on_target.certificate_pair import PairInDirectory
from pyrunbook.pki.issuers import CertificateRequest
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.sandbox import agent_factory, configuration, content, credentials, layout, processes, state
from pyrunbook.sandbox.layout import Layout
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.state import SandboxSettings

SETTINGS = SandboxSettings("mark", 8000, 8099, 8101, 8102, "/run/x/supervisor.sock", 8443)


@pytest.fixture
def made(tmp_path: Path) -> Layout:
    """A sandbox's directory with its first content."""
    where = Layout(tmp_path)
    where.run.mkdir()
    where.settings.write_text(json.dumps(asdict(SETTINGS)))
    content.create(where, SETTINGS)
    return where


def test_the_directory_is_chosen_by_option_environment_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", "/srv/state")
    monkeypatch.delenv("PYRUNBOOK_SANDBOX", raising=False)
    assert layout.directory() == Path("/srv/state/sandbox")
    monkeypatch.setenv("PYRUNBOOK_SANDBOX", "/srv/x/../practice")
    assert layout.directory() == Path("/srv/practice")
    assert layout.directory("/a b") == Path("/a b")


@pytest.mark.parametrize("character", "{}%;\"'\\\n")
def test_a_directory_that_cannot_be_quoted_is_refused(character: str) -> None:
    with pytest.raises(BadInput, match="--directory"):
        layout.directory(f"/srv/a{character}b")


def test_a_socket_with_a_long_address_moves_to_a_private_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "x" * 90)
    near, far = Layout(Path("/srv/sandbox")), Layout(Path("/srv") / ("s" * 90))
    assert near.socket == Path("/srv/sandbox/run/supervisor.sock")
    assert far.socket.parent.name.startswith(f"pyrunbook-{os.getuid()}-")
    assert far.socket != Layout(Path("/srv") / ("t" * 90)).socket
    # supervisor binds a name with its pid appended, and the kernel takes 108 bytes with the final zero
    for where in (near, far, *(Layout(Path("/" + "d" * n)) for n in range(60, 100))):
        assert len(os.fsencode(where.socket)) + len(".4194304") < 104


def test_the_proxy_reads_its_upstream_from_a_file() -> None:
    where = Layout(Path("/srv/a sandbox"))
    config = json.loads(configuration.caddy(where, SETTINGS))
    servers = config["apps"]["http"]["servers"]
    handler = servers["public"]["routes"][0]["handle"][0]
    assert handler["upstreams"] == [{"dial": "{file./srv/a sandbox/proxy/upstream}"}]
    assert config["admin"] == {"disabled": True, "config": {"persist": False}}
    listens = [address for server in servers.values() for address in server["listen"]]
    assert listens == ["127.0.0.1:8000", "127.0.0.1:8099"]
    assert all(server["automatic_https"] == {"disable": True} for server in servers.values())


def test_the_proxy_always_closes_an_idle_connection_first() -> None:
    shipped = tomllib.loads(content._CONFIG)["http"]
    assert shipped == agent_factory.DEFAULTS
    assert configuration.PROXY_IDLE_SECONDS < shipped["linger_seconds"] < shipped["keepalive_seconds"]


def test_the_tls_proxy_forwards_like_the_other_and_reads_what_is_deployed() -> None:
    where = Layout(Path("/srv/a sandbox"))
    plain, config = (json.loads(make(where, SETTINGS)) for make in (configuration.caddy, configuration.caddy_tls))
    server = config["apps"]["http"]["servers"]["tls"]
    assert server["listen"] == ["fd/0"]
    assert server["routes"] == plain["apps"]["http"]["servers"]["public"]["routes"]
    current = "/srv/a sandbox/tls/public/current"
    pair = {"certificate": f"{current}/certificate.pem", "key": f"{current}/key.pem"}
    assert config["apps"]["tls"]["certificates"] == {"load_files": [pair]}
    assert config["admin"] == {"listen": "unix//run/x/tls.sock", "config": {"persist": False}}


def test_a_reload_reads_the_certificate_also_where_the_configuration_is_the_same() -> None:
    assert "--force" in configuration.reload_command(Layout(Path("/srv/sandbox")), SETTINGS)


def test_supervisor_starts_no_slot_by_itself() -> None:
    where = Layout(Path("/srv/a sandbox"))
    parser = configparser.RawConfigParser(delimiters=("=",), inline_comment_prefixes=(";", "#"))
    parser.read_string(configuration.supervisor(where, SETTINGS, Path("/opt/100% caddy/caddy")))
    for color, port in (("blue", 8101), ("green", 8102)):
        program = parser[f"program:agent-factory-{color}"]
        assert program["autostart"] == "false"
        assert shlex.split(program["command"]) == [
            f"/srv/a sandbox/slots/{color}/release/bin/agent-factory",
            *("--root", "/srv/a sandbox", "--color", color, "--listen", f"127.0.0.1:{port}"),
        ]
    assert parser["program:agent-factory-proxy"]["autostart"] == "true"
    assert parser["fcgi-program:agent-factory-tls"]["autostart"] == "true"
    assert parser["fcgi-program:agent-factory-tls"]["socket"] == "tcp://127.0.0.1:8443"
    assert shlex.split(parser["program:agent-factory-proxy"]["command"])[0] == "/opt/100%% caddy/caddy"
    assert parser["unix_http_server"] == {"file": SETTINGS.socket, "chmod": "0600"}


def test_processes_inherit_a_small_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "s.secret")
    environment = configuration.environment(SETTINGS)
    assert environment[configuration.ENV_MARK] == "mark"
    assert set(environment) <= {"HOME", "TMPDIR", "TZ", "PATH", "LANG", configuration.ENV_MARK}
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))


def test_state_without_a_sandbox(tmp_path: Path) -> None:
    found = state.read(tmp_path / "none")
    assert (found.running, found.active, found.colors, found.url) == (False, "none", {}, None)
    assert "no sandbox" in found.why_not


def test_state_of_a_stopped_sandbox(made: Layout) -> None:
    found = state.read(made.root).to_dict()
    assert found["running"] is False
    assert found["why_not"] == "supervisor does not run"
    assert found["active"] == "blue"
    assert found["versions"] == {"blue": "1.0.4", "green": None}
    assert found["candidate"] == "1.1.0"
    assert json.loads(json.dumps(found)) == found
    content.write_atomically(made.upstream, "127.0.0.1:8102\n")
    assert state.read(made.root).active == "green"
    content.write_atomically(made.upstream, "127.0.0.1:8099\n")
    assert state.read(made.root).active == "none"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"mark": "m"}', json.dumps(asdict(SETTINGS)).replace("8000", '"8000"')]
)
def test_unreadable_settings_are_named(made: Layout, text: str) -> None:
    made.settings.write_text(text)
    with pytest.raises(BadInput, match=r"sandbox\.json"):
        state.read(made.root)


def test_settings_of_a_version_without_tls_are_read(made: Layout) -> None:
    old = {name: value for name, value in json.loads(json.dumps(asdict(SETTINGS))).items() if name != "tls_port"}
    made.settings.write_text(json.dumps(old))
    found = state.read(made.root).to_dict()
    assert (found["tls_url"], found["tls_port"]) == (None, None)
    assert found["url"] == SETTINGS.url


class Issuing:
    """Hands out the pair that it was given, and counts."""

    def __init__(self, pair: credentials.SandboxPair) -> None:
        self.pair = pair
        self.made: list[str] = []

    def certificate(self, where: Layout) -> credentials.SandboxPair:
        self.made.append("certificate")
        return self.pair

    def signing_key(self, where: Layout) -> None:
        self.made.append("signing key")
        where.signing_keys.mkdir(parents=True)
        (where.signing_keys / "versions.json").touch()


@pytest.fixture(scope="module")
def issuing_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Issuing]:
    """Each with a pair of its own."""
    authority = LocalAuthority(tmp_path_factory.mktemp("pki") / "ca")

    def make() -> Issuing:
        issued = authority.issue(CertificateRequest(("localhost",), timedelta(days=1)))
        return Issuing(credentials.SandboxPair(issued.serial, issued.certificate_pem, issued.key.pem()))

    return make


def test_the_first_pair_is_deployed_once(made: Layout, issuing_of: Callable[[], Issuing]) -> None:
    issuing = issuing_of()
    credentials.create(made, issuing)
    credentials.create(made, issuing)
    assert issuing.made == ["signing key", "certificate"]
    current = made.certificate / "current"
    assert (current / "certificate.pem").read_bytes() == issuing.pair.certificate
    assert (current / "key.pem").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in repr(issuing.pair)
    standing = rotation_state.standing(str(made.certificate))
    assert (standing["rotation"]["run"], standing["rotation"]["step"]) == (credentials.RUN, "activated")


@pytest.mark.parametrize("step", rotation_state.FORWARD)
def test_an_up_that_was_killed_is_taken_up(made: Layout, issuing_of: Callable[[], Issuing], step: str) -> None:
    """Whatever the step at which it died, one whole pair is deployed afterwards."""
    issuing = issuing_of()
    credentials.create(made, issuing)
    directory = str(made.certificate)
    begun = rotation_state.rotation(directory)
    assert begun is not None
    if step in ("staging", "staged", "activating"):
        (made.certificate / "current").unlink()
    rotation_state.write(directory, {**begun, "step": step})
    again = issuing_of()
    credentials.create(made, again)
    wanted = again if step in ("staging", "staged", "activating") else issuing
    assert (made.certificate / "current" / "certificate.pem").read_bytes() == wanted.pair.certificate
    assert rotation_state.standing(directory)["can"] == ["go_on", "go_back"]


def test_an_up_that_was_killed_right_after_it_deployed_is_taken_up(
    made: Layout, issuing_of: Callable[[], Issuing]
) -> None:
    credentials.create(made, issuing_of())
    directory = str(made.certificate)
    begun = rotation_state.rotation(directory)
    assert begun is not None
    rotation_state.write(directory, {**begun, "step": "activating"})
    credentials.create(made, issuing_of())
    assert rotation_state.rotation(directory) == begun


def test_the_rotation_of_a_run_is_none_of_ups_business(made: Layout, issuing_of: Callable[[], Issuing]) -> None:
    pair = issuing_of().pair
    PairInDirectory(str(made.certificate)).stage("00decade", pair.serial, pair.certificate, pair.key)
    with pytest.raises(BadInput, match="00decade"):
        credentials.create(made, issuing_of())
    assert rotation_state.standing(str(made.certificate))["rotation"]["step"] == "staged"


def test_a_first_pair_counts_when_it_was_seen_served(made: Layout, issuing_of: Callable[[], Issuing]) -> None:
    credentials.create(made, issuing_of())
    assert credentials.look(made, "127.0.0.1:1")
    assert credentials.first_is_unproven(made)


def test_the_first_content_is_written_once(made: Layout) -> None:
    shutil.rmtree(made.releases / "1.1.0")
    content.create(made, SETTINGS)
    assert not (made.releases / "1.1.0").exists()
    assert made.slot("blue").readlink() == Path("../../releases/1.0.4")
    assert os.access(made.slot("blue") / "bin" / "agent-factory", os.X_OK)
    for template in (made.root / "data" / "templates").iterdir():
        assert tomllib.loads(template.read_text())["name"] == template.stem


def test_a_build_that_fails_leaves_nothing(made: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        content.make_release(made, "3.0.0")
    assert sorted(path.name for path in made.releases.iterdir()) == ["1.0.4", "1.1.0", "candidate"]
    assert state.candidate(made) == "1.1.0"


def test_a_release_in_use_is_not_replaced(made: Layout) -> None:
    with pytest.raises(Refused, match="in use by blue"):
        content.make_release(made, "1.0.4", replace=True)


def test_processes_of_others_are_never_ours(made: Layout) -> None:
    """Neither a process without the mark nor a recorded pid that another process has now is ended."""
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(argv, env={configuration.ENV_MARK: "mark"}) as marked,
        subprocess.Popen(argv, env={configuration.ENV_MARK: "another"}) as other,
    ):
        try:
            record = [{"pid": other.pid, "started": psutil.Process(other.pid).create_time() - 100, "name": "x"}]
            made.pids.write_text(json.dumps(record))
            assert [process.pid for process in processes.ours(made, SETTINGS)] == [marked.pid]
            assert processes.end(processes.ours(made, SETTINGS), grace=5) == []
            assert processes.ours(made, SETTINGS) == []
            assert other.poll() is None
        finally:
            marked.kill()
            other.kill()


def test_a_process_that_ignores_the_request_is_killed() -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        process = psutil.Process(stubborn.pid)
        assert processes.end([process], grace=0.2) == [process]


def test_the_lock_names_its_holder(made: Layout) -> None:
    with (
        processes.locked(made),
        pytest.raises(Refused, match=f"process {os.getpid()}"),
        processes.locked(made, wait=0.1),
    ):
        pass
    with processes.locked(made, wait=0.1):
        made.lock.unlink()  # `down --purge`
        with processes.locked(made, wait=0.1):
            pass


@pytest.mark.parametrize("url", ["127.0.0.1:80", "http://", "ftp://x"])
def test_the_load_takes_http_only(url: str) -> None:
    with pytest.raises(BadInput, match="--url"):
        Load(url)


def test_the_load_accepts_no_certificate_without_knowing_whom_to_trust(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--tls"):
        Load("https://127.0.0.1")
    with pytest.raises(BadInput, match=r"trust\.pem"):
        Load("https://127.0.0.1", trust_file=tmp_path / "trust.pem")
    (tmp_path / "trust.pem").write_text("nothing")
    with pytest.raises(BadInput, match=r"trust\.pem"):
        Load("https://127.0.0.1", trust_file=tmp_path / "trust.pem")


def test_help_and_completion_name_the_faults() -> None:
    text = CliRunner().invoke(command, ["sandbox", "release", "--help"]).output
    assert all(fault in text and meaning[:30] in text for fault, meaning in content.FAULTS.items())
    environment = {**os.environ, "_PYRUNBOOK_COMPLETE": "bash_complete", "COMP_CWORD": "5"}
    environment["COMP_WORDS"] = "pyrunbook sandbox release 2.0.0 --fault "
    program = Path(sys.executable).with_name("pyrunbook")
    result = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
    assert [line.partition(",")[2] for line in result.stdout.split()] == list(content.FAULTS)
