"""No private key, token, secret id or passphrase in anything that rotations and incidents leave, show or pass on.

Looked for are the secrets that are planted, every key that was ever in a place for keys while a command ran, and
whatever looks like one. See `watch_under_test`; the first test here shows that it finds what it should.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import operation
import pytest
import yaml
from openbao_under_test import OpenBao
from sandbox_under_test import Sandbox
from watch_under_test import Watch

from pyrunbook.pki.keys import PrivateKey

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("certificate_secrets")]
SHIPPED = Path(__file__).resolve().parents[2] / "inventories" / "sandbox"


class Scene:
    """A sandbox whose certificates come from a real OpenBao or from its own authority, and directories to watch."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sandbox = Sandbox(directory / "home", directory / "sandbox")
        self.user, self.temporary, self.facts = (directory / name for name in ("user", "t", "facts"))
        self.private, self.log = directory / "private", directory / "log"
        for each in (self.user, self.temporary, self.facts, self.private, self.log, directory / "bao"):
            each.mkdir(mode=0o700)
        self.bao = OpenBao(directory / "bao")
        self.inventory = directory / "more.yml"
        self.secrets: dict[str, bytes] = {}

    def set_up(self) -> None:
        self.sandbox.start()
        self.bao.start()
        self.bao.initialize()
        self.bao.set_up()
        names = {"allowed_domains": ["localhost"], "allow_localhost": True, "allow_ip_sans": True}
        self.bao.ask("POST", f"{self.bao.pki}/roles/agent-factory", self.bao.role(**names))
        login = f"auth/{self.bao.approle}/role/pyrunbook"
        self.role_id = self.bao.ask("GET", f"{login}/role-id")["data"]["role_id"]
        self.secret_id = self.bao.ask("POST", f"{login}/secret-id")["data"]["secret_id"]
        self.write("secret-id", self.secret_id)
        self.secrets["the root token"] = self.bao.root.encode()
        told = self.sandbox_variables()
        (certificate,) = told["service_certificates"]
        certificate |= {"issuer": "{{ wanted_issuer | default('vault') }}"}
        certificate["reload"] = "{{ wanted_reload | default(usual_reload) }}"
        vault = {
            "kind": "vault_pki",
            "address": self.bao.place.address,
            "ca_file": str(self.bao.place.ca_file) if self.bao.place.ca_file else "",
            "mount": self.bao.pki,
            "role": "agent-factory",
            "auth": {
                "method": "approle",
                "mount": self.bao.approle,
                "role_id": self.role_id,
                "secret_id_file": "{{ wanted_secret_id | default('" + str(self.private / "secret-id") + "') }}",
            },
        }
        variables = {
            "usual_reload": told["usual_reload"],
            "service_certificates": [certificate],
            "certificate_issuers": {**told["certificate_issuers"], "vault": vault},
        }
        self.inventory.write_text(yaml.safe_dump({"services": {"hosts": {"agent-factory": variables}}}))

    def sandbox_variables(self) -> dict[str, Any]:
        """What the sandbox's inventory says, plain."""
        argv = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(SHIPPED), "--host", "agent-factory"]
        done = subprocess.run(argv, env=self.sandbox.env, capture_output=True, text=True, check=True, timeout=60)

        def plain(value: dict[str, Any]) -> Any:
            return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else value

        told: dict[str, Any] = json.loads(done.stdout, object_hook=plain)
        told["usual_reload"] = told["service_certificates"][0]["reload"]
        return told

    def write(self, name: str, secret: str) -> Path:
        """A secret in a file for its owner only; one to look for."""
        path = self.private / name
        path.touch(0o600)
        path.write_text(secret)
        self.secrets[name] = secret.encode()
        return path

    def watch(self, name: str) -> Watch:
        """All that commands may write to, without the places where keys are at home."""
        at_home = [self.sandbox.directory / one for one in ("tls", "pki", "signing")] + [
            self.private,
            self.bao.directory,
        ]
        watched = [
            self.sandbox.home, self.sandbox.directory, self.user, self.temporary, self.facts, self.log,
            self.directory / "ansible",
        ]  # fmt: skip
        return Watch(self.directory / name, watched, at_home, self.secrets)

    def environment(self, watch: Watch) -> dict[str, str]:
        return {
            **self.sandbox.env,
            **watch.environment,
            "HOME": str(self.user),
            "TMPDIR": str(self.temporary),
            "ANSIBLE_LOG_PATH": str(self.log / "ansible.log"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.facts),
        }

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pyrunbook", *arguments]

    @property
    def inventories(self) -> tuple[str, ...]:
        return ("-i", str(SHIPPED), "-i", str(self.inventory))

    def run(self, watch: Watch, *arguments: str, code: int = 0) -> str:
        """`pyrunbook ARGUMENTS`, which must exit with `code`; what it showed is looked at too."""
        done = subprocess.run(
            self.argv(*arguments), env=self.environment(watch), capture_output=True, text=True, timeout=180, check=False
        )
        watch.saw(f"output of {' '.join(arguments)}", (done.stdout + done.stderr).encode())
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def serial(self) -> str:
        """The certificate that is deployed."""
        return (self.sandbox.directory / "tls" / "public" / "current").resolve().name


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("s"))
    try:
        made.set_up()
        yield made
        made.bao.take_down()
    finally:
        made.bao.kill()
        made.sandbox.destroy()
        shutil.rmtree(made.private)


def nothing_seen(scene: Scene, watch: Watch) -> None:
    """Nothing was seen that must not be, all sorts of places were looked at, and no temporary file was left."""
    assert watch.found() == []
    assert {"process", "removed", "cmdline", "environ", "file", "output"} <= set(watch.kinds), watch.kinds
    assert [path.name for path in scene.temporary.iterdir()] == []
    assert [path.name for path in (scene.sandbox.home / "running").glob("*")] == []


# --- the watch itself -------------------------------------------------------------------------------------------------

LEAK = """\
import base64, os, pathlib, subprocess, sys, tempfile, time
canary, place = sys.stdin.read().split()
def leak(channel):
    if channel == "arguments":
        subprocess.run(["true", canary])
    elif channel == "environment":
        subprocess.run(["true"], env={"SECRET": canary})
    elif channel == "removed file":
        with tempfile.NamedTemporaryFile() as held:
            held.write(canary.encode())
            held.flush()
    elif channel == "removed directory":
        with tempfile.TemporaryDirectory() as held:
            (pathlib.Path(held) / "deeper").mkdir()
            (pathlib.Path(held) / "deeper" / "secret").write_text(canary)
    elif channel == "file, encoded":
        (pathlib.Path(place) / "left").write_bytes(base64.b64encode(b"xy" + canary.encode() + b"z"))
    elif channel == "own environment":
        waits = "import time; time.sleep(0.5)"
        os.execve(sys.executable, [sys.executable, "-c", waits], {**os.environ, "MINE": canary})
    elif channel == "a token by its looks":
        print("hvs." + "A1" * 30)
leak(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("channel", "seen"),
    [
        ("arguments", "process"),
        ("environment", "process"),
        ("removed file", "removed"),
        ("removed directory", "removed"),
        ("file, encoded", "file"),
        ("own environment", "environ"),
        ("a token by its looks", "output"),
        ("a key", "file"),
    ],
)
def test_the_watch_finds_what_is_leaked(tmp_path: Path, channel: str, seen: str) -> None:
    for name in ("watched", "home"):
        (tmp_path / name).mkdir()
    canary = secrets.token_urlsafe(24)
    key = PrivateKey.new().pem()
    with Watch(
        tmp_path / "watch", [tmp_path / "watched"], [tmp_path / "home"], {"the canary": canary.encode()}
    ) as watch:
        (tmp_path / "home" / "key.pem").write_bytes(key)
        if channel == "a key":  # as somebody may log it: a part, in something that is encoded once more
            time.sleep(0.3)
            (tmp_path / "home" / "key.pem").unlink()
            (tmp_path / "watched" / "log").write_bytes(base64.b64encode(key[20:]))
        done = subprocess.run(
            [sys.executable, "-c", LEAK, channel], env={**os.environ, **watch.environment},
            input=f"{canary} {tmp_path / 'watched'}", capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        watch.saw("output of it", done.stdout.encode())
    found = watch.found()
    assert found, channel
    assert any(f" in {seen}" in one for one in found), found
    assert canary not in str(found)


# --- whole operations -------------------------------------------------------------------------------------------------


def runs(scene: Scene) -> list[str]:
    """The ids of the runs, the last one first."""
    return [run["id"] for run in operation.runs(scene.sandbox)]


def test_rotations_from_a_vault(scene: Scene) -> None:
    """Generated with everything that Ansible prints, deployed, and taken back."""
    before = scene.serial
    with scene.watch("rotations") as watch:
        scene.run(watch, "certs", "generate", *scene.inventories, "-vvv", "--diff")
        scene.run(watch, "certs", "deploy", *scene.inventories)
        assert scene.serial != before
        scene.run(watch, "rollback", runs(scene)[0], *scene.inventories, "--yes")
        assert scene.serial == before
    nothing_seen(scene, watch)
    assert len({name.partition(",")[0] for name in watch.secrets if name.startswith("key ")}) >= 5


@pytest.mark.long
def test_a_rotation_that_is_put_back(scene: Scene) -> None:
    """The reload fails, after the new key has been deployed."""
    before = scene.serial
    inputs = json.dumps({"wanted_issuer": "local", "wanted_reload": ["/bin/false"]})
    with scene.watch("put-back") as watch:
        scene.run(watch, "certs", "rotate", "--force", *scene.inventories, "-e", inputs, "-v", code=4)
    assert scene.serial == before
    nothing_seen(scene, watch)


@pytest.mark.long
def test_a_login_that_is_refused(scene: Scene) -> None:
    """The messages of the server and of the library are shown; what was sent to it is not."""
    wrong = scene.write("wrong-secret-id", secrets.token_urlsafe(30))
    with scene.watch("login") as watch:
        inputs = json.dumps({"wanted_secret_id": str(wrong)})
        done = scene.run(watch, "certs", "rotate", "--force", *scene.inventories, "-e", inputs, "-vvv", code=4)
    assert "approle" in done.lower()
    nothing_seen(scene, watch)


def test_a_rotation_that_is_killed(scene: Scene) -> None:
    """With everything that belongs to it, in the middle; then recovered."""
    argv = scene.argv("certs", "rotate", "--force", *scene.inventories, "--json", "-e", "wanted_issuer=local")
    with scene.watch("killed") as watch:
        process = subprocess.Popen(
            argv, env=scene.environment(watch), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            assert process.stdout is not None
            told = b""
            for line in process.stdout:
                told += line
                if b'"step_started"' in line and b'"rotate_certs"' in line:
                    break
            rotation = scene.sandbox.directory / "tls" / "public" / "rotation.json"
            deadline = time.monotonic() + 60
            noted = ""
            while '"activat' not in noted and time.monotonic() < deadline:
                time.sleep(0.005)
                with contextlib.suppress(FileNotFoundError):
                    noted = rotation.read_text()
        finally:
            process.send_signal(signal.SIGKILL)
        told += process.stdout.read()
        process.wait(30)
        watch.saw("output of the one that was killed", told)
        told_of = scene.run(watch, "certs", "status", *scene.inventories, code=8)
        assert f"Next:     pyrunbook recover {runs(scene)[0]}" in told_of
        scene.run(watch, "recover", "--json")
    nothing_seen(scene, watch)


def test_an_incident(scene: Scene) -> None:
    """Diagnosis, a rotation on trial, the backup of all keys under a passphrase, the evidence, and out of it again."""
    passphrase = scene.write("passphrase", secrets.token_urlsafe(30))
    contacts = [{"level": "security", "role": "Security", "name": "Security", "reach": "+33 1 99 00 00 00"}]
    inputs = json.dumps({"backup_security_passphrase_file": str(passphrase), "runbook_contacts": contacts})
    with scene.watch("incident") as watch:
        scene.run(watch, "run", "incidents/security_failure", *scene.inventories, "-e", inputs, "-vvv")
        reason = ("-e", '{"secure_mode_reason": "the test is over"}')
        scene.run(watch, "run", "incidents/secure_mode_off", "--yes", *scene.inventories, *reason)
    assert list(scene.sandbox.home.rglob("*.age")), "there is a backup"
    nothing_seen(scene, watch)


def test_what_tells_of_all_this(scene: Scene) -> None:
    """Reports, the journal, the state of the certificates, the page with the values of this inventory."""
    recorded = runs(scene)
    with scene.watch("told") as watch:
        for run in recorded:
            scene.run(watch, "report", run, "--format", "json")
        scene.run(watch, "report", "latest")
        scene.run(watch, "certs", "status", "--json", *scene.inventories, code=8)  # of another issuer than is wanted
        scene.run(watch, "docs", "show", "maintenance/certificate_rotation")
    assert runs(scene) == recorded, "status is no run"
    nothing_seen(scene, watch)
