"""A security incident on the sandbox, with a real OpenBao: contained whatever else is bad, and each bad thing named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openbao_under_test import POLICY, OpenBao
from operation import ROOT, gone, kill_ansible, playing, report, started, until_step
from sandbox_under_test import Sandbox

from pyrunbook.pki import backup
from pyrunbook.pki.age_lock import Passphrase
from pyrunbook.pki.secret import Secret

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("security_incident")]
FAILURE = ("run", "incidents/security_failure", "--yes")
OFF = ("run", "incidents/secure_mode_off", "--yes", "--attest", "security_team_agrees")
TRIAL = "trial.agent-factory.example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the file; each test leaves it signing."""
    directory = tmp_path_factory.mktemp("incident")
    made = Sandbox(directory / "home", directory / "sandbox")
    made.start()
    yield made
    made.destroy()


@pytest.fixture(autouse=True)
def signing(service: Sandbox) -> Iterator[None]:
    yield
    (service.directory / "security/secure-mode.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    if not server.own:
        pytest.skip("seals and stops the server: only done to one of our own")
    try:
        server.start()
        server.initialize()
        server.set_up()
        server.ask("POST", f"{server.pki}/roles/agent-factory-trial", server.role(allowed_domains=[TRIAL]))
        server.ask("POST", f"{server.transit}/keys/agent-factory-trial", {"type": "rsa-2048"})
        text = POLICY.with_name("openbao-policy-trial.hcl").read_text()
        text = text.replace('"pki/', f'"{server.pki}/').replace('"transit/', f'"{server.transit}/')
        server.ask("PUT", "sys/policies/acl/trial", {"policy": text})
        yield server
    finally:
        server.kill()


def issuer(bao: OpenBao, directory: Path, token: str, **changes: Any) -> dict[str, Any]:
    """The entry of a Vault in `certificate_issuers`, its token in a file of its own."""
    file = directory / f"token-{len(list(directory.glob('token-*')))}"
    file.touch(0o600)
    file.write_text(token)
    return {
        "kind": "vault_pki", "address": bao.place.address, "ca_file": str(bao.place.ca_file), "mount": bao.pki,
        "role": "agent-factory", "auth": {"method": "token", "token_file": str(file)}, **changes,
    }  # fmt: skip


def inventory(service: Sandbox, directory: Path, **issuers: dict[str, Any]) -> str:
    """The sandbox's inventory with more issuers, and with a rotation on trial where one of them is `vault`."""
    local = {"kind": "local_ca", "directory": str(service.layout.authority)}
    given: dict[str, Any] = {"certificate_issuers": {"local": local, **issuers}}
    if "vault" in issuers:
        transit = issuers["vault"]["mount"].replace("pki", "transit", 1)
        given["service_rotation_test"] = {
            "certificates": [{"issuer": "vault", "role": "agent-factory-trial", "dns_names": [TRIAL]}],
            "signing_keys": [
                {"name": "trial", "kind": "transit", "issuer": "vault", "key": "agent-factory-trial", "mount": transit}
            ],
        }
    made = directory / "inventory"
    shutil.copytree(ROOT / "inventories/sandbox", made)
    (made / "host_vars").mkdir()
    (made / "host_vars/agent-factory.yml").write_text(json.dumps(given))
    return str(made)


def incident(service: Sandbox, *args: str, code: int) -> subprocess.CompletedProcess[str]:
    done = service.run(*FAILURE, *args)
    assert done.returncode == code, f"exit {done.returncode}, wanted {code}\n{done.stdout}\n{done.stderr}"
    return done


def asked_to_sign(service: Sandbox) -> tuple[int, dict[str, Any]]:
    """Status and answer, over a new connection."""
    request = urllib.request.Request(f"{service.url}/sign", data=b"a template", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def step(run: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in run["services"][0]["steps"] if each["step"] == name][-1:]
    return dict(found)


def proof(run: dict[str, Any], name: str) -> Any:
    return [each["value"] for each in run["services"][0]["evidence"] if each["step"] == name][-1]


def test_all_is_well_but_the_incident(service: Sandbox, bao: OpenBao, tmp_path: Path) -> None:
    """Beside a lock that another run holds: it is not waited for, and not taken away."""
    lock = service.directory / "state" / "lock.json"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text('{"holder": "0ther0ne"}')
    vault = issuer(bao, tmp_path, bao.token(bao.policy, "trial"))
    keys = bao.ask("GET", f"{bao.transit}/keys/agent-factory-trial")["data"]["latest_version"]
    done = incident(service, "-i", inventory(service, tmp_path, vault=vault), "-e", "security_reason=drill", code=0)
    assert "call The security team" in done.stdout
    assert json.loads(lock.read_text()) == {"holder": "0ther0ne"}
    lock.unlink()
    status, answer = asked_to_sign(service)
    assert (status, answer["reason"]) == (503, "drill")
    run = report(service)
    # Rotated on trial, for real: the server has revoked what it issued, and the scratch key has a new version.
    trial = proof(run, "test_rotation")
    serial = trial["vault/agent-factory-trial"]["serial"]
    colons = ":".join(serial[i : i + 2] for i in range(0, len(serial), 2))
    assert bao.ask("GET", f"{bao.pki}/cert/{colons}")["data"]["revocation_time"] > 0
    assert bao.ask("GET", f"{bao.transit}/keys/agent-factory-trial")["data"]["latest_version"] == keys + 1
    # The backup opens, and holds the key that is deployed.
    made = proof(run, "backup_security")["backup"]
    assert made["verified"]
    passphrase = Passphrase(Secret.from_file(service.layout.backup_passphrase))
    backup.restore(Path(made["archive"]), passphrase, tmp_path / "restored")
    deployed = (service.layout.certificate / "current/key.pem").read_bytes()
    assert (tmp_path / "restored/certificate-public/key.pem").read_bytes() == deployed
    # Nothing secret is in the evidence.
    archive = Path(proof(run, "collect_evidence")["archive"])
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / archive.name[:-7], check=True)
    written = b"".join(path.read_bytes() for path in (tmp_path / archive.name[:-7]).rglob("*") if path.is_file())
    token = Path(vault["auth"]["token_file"]).read_bytes()
    body = deployed.splitlines()[1]
    for secret in (token, body, service.layout.backup_passphrase.read_bytes().strip()):
        assert secret not in written
        assert secret not in (service.home / "journal.db").read_bytes()


def test_what_is_wrong_is_told_apart(service: Sandbox, bao: OpenBao, tmp_path: Path) -> None:
    expired = bao.token(ttl="1s")
    bao.ask("POST", "sys/mounts/short", {"type": "pki"})
    bao.ask("POST", "short/root/generate/internal", {"common_name": "Short", "ttl": "1s", "key_type": "ec"})
    bao.ask("POST", "short/roles/agent-factory", bao.role())
    bao.ask("PUT", "sys/policies/acl/short", {"policy": 'path "short/*" { capabilities = ["read", "update"] }'})
    time.sleep(1.5)
    given = inventory(
        service, tmp_path,
        healthy=issuer(bao, tmp_path, bao.token()),
        policy=issuer(bao, tmp_path, bao.token("default")),
        expired=issuer(bao, tmp_path, expired),
        role=issuer(bao, tmp_path, bao.token("default"), role="nobody"),
        authority=issuer(bao, tmp_path, bao.token("short"), mount="short"),
        gone=issuer(bao, tmp_path, "none", address="https://127.0.0.1:9"),
        untrusted=issuer(bao, tmp_path, "none", ca_file="/etc/ssl/certs/ca-certificates.crt"),
    )  # fmt: skip
    done = incident(service, "--step", "diagnose_vault", "-i", given, code=4)
    run = report(service)
    found = {name: {each["kind"] for each in several} for name, several in proof(run, "diagnose_vault").items()}
    assert found["local"] == found["healthy"] == {"healthy"}
    assert found["policy"] >= {"permission denied"}
    assert found["expired"] >= {"token invalid"}
    assert found["authority"] >= {"authority expired"}
    assert found["gone"] == {"unreachable"}
    assert found["untrusted"] == {"TLS not trusted"}
    bad = [each for several in proof(run, "diagnose_vault").values() for each in several if each["kind"] != "healthy"]
    assert all(each["next_step"] for each in bad)
    assert "Next: " in done.stdout
    assert asked_to_sign(service)[0] == 200, "only the diagnosis was asked for"


def test_a_sealed_vault_keeps_nothing_from_being_done(service: Sandbox, bao: OpenBao, tmp_path: Path) -> None:
    given = inventory(service, tmp_path, vault=issuer(bao, tmp_path, bao.token(bao.policy, "trial")))
    bao.seal()
    try:
        done = incident(service, "-i", given, code=8)
    finally:
        bao.unseal()
    assert "secure mode is on; bad: diagnose_vault, test_rotation." in done.stdout
    run = report(service)
    assert run["outcome"] == "contained"
    outcomes = {name: step(run, name)["outcome"] for name in ("secure_mode", "diagnose_vault", "test_rotation")}
    assert outcomes == {"secure_mode": "changed", "diagnose_vault": "failed", "test_rotation": "failed"}
    assert "vault: sealed: " in step(run, "diagnose_vault")["error"]
    assert "bao operator unseal" in step(run, "diagnose_vault")["error"]
    assert proof(run, "backup_security")["backup"]["verified"]
    assert "diagnose_vault: vault: sealed" in run["services"][0]["cause"]
    assert asked_to_sign(service)[0] == 503


def test_a_backup_that_fails_is_no_success_and_a_killed_vault_is_told(
    service: Sandbox, bao: OpenBao, tmp_path: Path
) -> None:
    """And contacts that nobody can read keep the run from its end no more than the rest does."""
    given = inventory(service, tmp_path, vault=issuer(bao, tmp_path, bao.token()))
    inputs = {"backup_security_passphrase_file": "/nowhere", "runbook_contacts": {"security": "somebody"}}
    bao.kill()
    try:
        done = incident(service, "-i", given, "-e", json.dumps(inputs), code=8)
    finally:
        bao.start()
        bao.unseal()
    run = report(service)
    assert "vault: unreachable: " in step(run, "diagnose_vault")["error"]
    assert "No such file" in step(run, "backup_security")["error"]
    assert "No such file" in run["services"][0]["cause"]
    assert step(run, "escalate")["outcome"] == "failed"
    assert "runbook_contacts is not a list of contacts" in run["services"][0]["cause"]
    assert "bad: diagnose_vault, test_rotation, backup_security, escalate." in done.stdout
    assert step(run, "collect_evidence")["outcome"] == "changed"
    assert "Cause: " in done.stdout


def test_a_service_that_is_not_seen_in_secure_mode_is_not_contained(service: Sandbox, tmp_path: Path) -> None:
    elsewhere = ("-e", f"secure_mode_file={tmp_path}/elsewhere.json", "-e", "secure_mode_timeout=1")
    done = incident(service, *elsewhere, code=5)
    assert "NOT CONTAINED (exit 5)" in done.stdout
    assert "Next: pyrunbook run incidents/security_failure" in done.stdout
    assert "The security team" in done.stdout
    run = report(service)
    assert run["outcome"] == "not_contained"
    assert step(run, "collect_evidence")["outcome"] == "changed"
    assert asked_to_sign(service)[0] == 200


def test_secure_mode_is_left_by_one_way_alone(service: Sandbox) -> None:
    incident(service, "--step", "secure_mode", code=0)
    assert asked_to_sign(service)[0] == 503
    done = service.run(*OFF)
    assert done.returncode == 2, done.stdout
    assert "secure_mode_reason is missing" in done.stdout + done.stderr
    assert service.run("rollback", "latest", "--yes").returncode == 2
    assert asked_to_sign(service)[0] == 503
    key = service.layout.signing_keys / "1.key.pem"
    key.chmod(0o644)
    try:
        done = service.run(*OFF, "-e", "secure_mode_reason=INC-123")
        assert done.returncode == 4, done.stdout
        assert asked_to_sign(service)[0] == 503
    finally:
        key.chmod(0o600)
    assert "0600 is the most allowed" in done.stdout
    done = service.run(*OFF, "-e", "secure_mode_reason=INC-123")
    assert done.returncode == 0, done.stdout
    assert asked_to_sign(service)[0] == 200
    assert json.loads((service.directory / "security/secure-mode.json").read_text())["reason"] == "INC-123"


@pytest.mark.long
def test_a_run_that_died_is_done_again_and_one_that_was_ended_stays_contained(service: Sandbox) -> None:
    with started(service, *FAILURE) as process:
        run = until_step(process, "test_rotation")["run"]
        ours = playing(run)
        process.kill()
        kill_ansible(run) if playing(run) else None
        assert gone(run), ours
    assert asked_to_sign(service)[0] == 503
    done = service.run("recover")
    assert done.returncode == 0, done.stdout + done.stderr
    again = report(service, run)
    assert (again["outcome"], again["attempt"]) == ("succeeded", 2)
    assert proof(again, "backup_security")["backup"]["verified"]
    assert asked_to_sign(service)[0] == 503
    with started(service, *FAILURE) as process:
        run = until_step(process, "backup_security")["run"]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    assert report(service, run)["outcome"] == "canceled"
    assert asked_to_sign(service)[0] == 503
