"""Certificates and signing keys from a real OpenBao over TLS; and everything that can be wrong with it, told apart.

One server for the whole file. The tests that seal or kill it come last, and leave it usable.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from openbao_under_test import POLICY, PROGRAM, OpenBao, serving

from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import revocation, signing_keys, vault_health
from pyrunbook.pki.check import check, require
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers.vault_pki import VaultPki
from pyrunbook.pki.secret import Secret
from pyrunbook.pki.signing_keys import TransitKeys
from pyrunbook.pki.vault import Vault
from pyrunbook.pki.vault_auth import AppRole, Kubernetes, Token
from pyrunbook.pki.vault_probe import VaultAddress, VaultFault, probe

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("openbao")]
NAME = "agent-factory.example.com"
REQUEST = CertificateRequest((NAME,), timedelta(days=10))


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with serving(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture
def own(bao: OpenBao) -> OpenBao:
    if not bao.own:
        pytest.skip("seals, stops or reconfigures the server: only done to one of our own")
    return bao


@pytest.fixture
def vault(bao: OpenBao) -> Iterator[Vault]:
    with bao.session() as session:
        yield session


@pytest.fixture
def issuer(bao: OpenBao, vault: Vault) -> VaultPki:
    return VaultPki(vault, "agent-factory", mount=bao.pki)


def kinds(found: list[vault_health.Diagnosis]) -> list[VaultFault]:
    return [each.kind for each in found if not each.ok]


def failing(action: Any) -> tuple[str, str]:
    """The kind of a failure, and its whole text, after a look that it says what to do."""
    with pytest.raises(NotIssued) as caught:
        action()
    assert caught.value.next_step
    return caught.value.kind, str(caught.value)


# --- issue, check, revoke --------------------------------------------------------------------------------------


def test_a_certificate_is_signed_for_a_key_that_stays_here(issuer: VaultPki, tmp_path: Path) -> None:
    sent: list[Any] = []
    original = issuer.vault._client.session.send

    def spy(request: Any, **options: Any) -> Any:
        sent.append(request.body)
        return original(request, **options)

    issuer.vault._client.session.send = spy
    issued = issuer.issue(REQUEST)
    findings = check(issued.certificate, issued.chain, issued.key, trust=issued.trust, dns_names=[NAME])
    assert "8 checks passed" in require(findings)
    text = b"".join(body for body in sent if body)
    assert b"CERTIFICATE REQUEST" in text
    assert b"PRIVATE" not in text
    facts = certificates.facts(issued.certificate)
    assert (facts.key, facts.dns_names, facts.serial) == ("ec-p256", (NAME,), issued.serial)
    assert facts.not_after - datetime.now(UTC) == pytest.approx(timedelta(days=10), abs=timedelta(minutes=2))


def test_an_rsa_key_where_it_is_wanted(issuer: VaultPki) -> None:
    issued = issuer.issue(CertificateRequest((NAME,), timedelta(days=1), key="rsa-2048"))
    assert certificates.facts(issued.certificate).key == "rsa-2048"


def test_an_intermediate_is_sent_and_its_root_is_not(bao: OpenBao, issuer: VaultPki) -> None:
    """A second authority, below the first one, as docs/pki/README.md recommends it."""
    request = bao.ask("POST", f"{bao.pki}/intermediate/generate/internal", {"common_name": "Below", "key_type": "ec"})
    signed = bao.ask(
        "POST", f"{bao.pki}/root/sign-intermediate",
        {"csr": request["data"]["csr"], "common_name": "Below", "ttl": "8760h"},
    )["data"]["certificate"]  # fmt: skip
    made = bao.ask("POST", f"{bao.pki}/intermediate/set-signed", {"certificate": signed})["data"]["imported_issuers"]
    bao.ask("POST", f"{bao.pki}/issuer/{made[0]}", {"leaf_not_after_behavior": "err", "issuer_name": "below"})
    bao.ask("POST", f"{bao.pki}/roles/below", bao.role(issuer_ref="below"))
    with bao.session(bao.root) as session:
        issued = VaultPki(session, "below", mount=bao.pki).issue(REQUEST)
    assert [certificates.facts(each).common_name for each in issued.chain] == ["Below"]
    assert [certificates.facts(each).common_name for each in issued.trust] == ["Test root"]
    require(check(issued.certificate, issued.chain, issued.key, trust=issued.trust, dns_names=[NAME]))


def test_revoked_and_seen_to_be_revoked(bao: OpenBao, issuer: VaultPki) -> None:
    issued = issuer.issue(REQUEST)
    good = revocation.check_ocsp(issuer, issued.certificate)
    assert good.status is revocation.RevocationStatus.GOOD
    hour = timedelta(hours=1)
    told = revocation.revoke(issuer, issued.certificate, replaced=datetime.now(UTC) - hour, overlap=hour, served=["0a"])
    assert told.told
    assert told.ocsp.status is revocation.RevocationStatus.REVOKED, "at once; the list follows when it is rebuilt"
    assert issuer.revoke(issued.serial) == told.at
    bao.ask("GET", f"{bao.pki}/crl/rotate")
    assert revocation.check_crl(issuer, issued.certificate).status is revocation.RevocationStatus.REVOKED
    assert failing(lambda: issuer.revoke("0102030405"))[0] == VaultFault.REJECTED.value


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CertificateRequest(("other.example.com",), timedelta(days=1)), "not allowed by this role"),
        (
            CertificateRequest((NAME,), timedelta(days=1), ip_names=("10.0.0.1",)),
            "IP Subject Alternative Names are not allowed",
        ),
    ],
)
def test_what_the_role_does_not_allow_is_said_in_its_words(
    issuer: VaultPki, request_: CertificateRequest, said: str
) -> None:
    kind, text = failing(lambda: issuer.issue(request_))
    assert kind == VaultFault.REJECTED.value
    assert said in text


def test_the_set_up_of_the_guide_works_as_it_is_written(own: OpenBao, tmp_path: Path) -> None:
    """All that docs/pki/README.md tells an administrator to type, in a namespace of its own."""
    namespace = f"guide-{secrets.token_hex(3)}"  # also where the test is run again
    own.ask("POST", f"sys/namespaces/{namespace}")
    place = replace(own.place, namespace=namespace)
    env = {"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "BAO_TOKEN": own.root,
           **dict(each.split("=") for each in place.environment().split())}  # fmt: skip
    (tmp_path / "docs" / "pki").mkdir(parents=True)
    for policy in POLICY.parent.glob("*.hcl"):
        (tmp_path / "docs" / "pki" / policy.name).write_text(policy.read_text())
    said = []
    for block in re.findall(r"```sh\n(.*?)```", (POLICY.parent / "README.md").read_text(encoding="utf-8"), re.S):
        done = subprocess.run(
            ["sh", "-e"],
            input=block.replace("/role-id\n", "/role-id; echo\n"),
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    role_id, wrapping = said[1].split()
    with Vault(place, AppRole(role_id, Secret(wrapping), wrapped=True)) as session:
        issuer = VaultPki(session, "agent-factory", trust_file=tmp_path / "root.pem")
        paths = vault_health.needed("pki", "agent-factory", transit="transit", key="agent-factory-templates")
        assert kinds(vault_health.examine(issuer, lifetime=timedelta(days=10), paths=paths)) == []
        issued = issuer.issue(REQUEST)
        require(check(issued.certificate, issued.chain, issued.key, trust=issued.trust, dns_names=[NAME]))
        assert [certificates.facts(each).common_name for each in issued.chain] == ["Example intermediate"]
        assert issuer.trust() == VaultPki(session, "agent-factory").trust(), "the engine knows the root, too"
        signing_keys.prove(TransitKeys(session, "agent-factory-templates"))


# --- who we are ------------------------------------------------------------------------------------------------


def app_role(bao: OpenBao, wrapped: bool = False, **options: Any) -> AppRole:
    role_id = bao.ask("GET", f"auth/{bao.approle}/role/pyrunbook/role-id")["data"]["role_id"]
    if not wrapped:
        secret = bao.ask("POST", f"auth/{bao.approle}/role/pyrunbook/secret-id", {})["data"]["secret_id"]
        return AppRole(role_id, Secret(secret), mount=bao.approle)
    with bao.session(bao.root) as session:
        client = session._client
        client.token = bao.root
        path = options.get("path", f"auth/{bao.approle}/role/pyrunbook/secret-id")
        answer = client.adapter.post(f"/v1/{path}", json=options.get("data", {}), wrap_ttl="60s")
        return AppRole(role_id, Secret(answer.json()["wrap_info"]["token"], "the wrapping"), True, bao.approle)


def test_an_app_role_logs_in_and_its_token_is_revoked_at_the_end(bao: OpenBao) -> None:
    with bao.session(app_role(bao)) as session:
        VaultPki(session, "agent-factory", mount=bao.pki).issue(REQUEST)
        token = session.token().reveal()
        assert session._ends - time.monotonic() == pytest.approx(600, abs=5)
        bao.ask("GET", "auth/token/lookup-self", token=token)
    with pytest.raises(OSError, match="403"):
        bao.ask("GET", "auth/token/lookup-self", token=token)


def test_a_token_that_was_given_is_left_alone(bao: OpenBao) -> None:
    token = bao.token()
    with bao.session(token) as session:
        session.read("auth/token/lookup-self")
    bao.ask("GET", "auth/token/lookup-self", token=token)


def test_a_wrapped_secret_id_is_opened_once(bao: OpenBao) -> None:
    role = app_role(bao, wrapped=True)
    with bao.session(role) as session:
        VaultPki(session, "agent-factory", mount=bao.pki).issue(REQUEST)
    with bao.session(role) as session:
        kind, text = failing(session.token)
    assert kind == VaultFault.WRAPPING_USED.value
    assert "somebody else has" in text


def test_a_wrapped_answer_of_something_else_is_not_opened(bao: OpenBao) -> None:
    role = app_role(bao, wrapped=True, path="sys/wrapping/wrap", data={"secret_id": "planted"})
    with bao.session(role) as session:
        kind, text = failing(session.token)
    assert kind == VaultFault.WRAPPING_USED.value
    assert "sys/wrapping/wrap" in text
    assert "it was not opened" in text
    bao.ask("POST", "sys/wrapping/lookup", {"token": role.secret_id.reveal()})


def test_a_wrong_secret_id_is_refused(bao: OpenBao) -> None:
    role = app_role(bao)
    with bao.session(AppRole(role.role_id, Secret("no-such-secret-id"), mount=bao.approle)) as session:
        kind, text = failing(session.token)
    assert kind == VaultFault.LOGIN_REFUSED.value
    assert "no-such-secret-id" not in text


def test_a_kubernetes_service_account(own: OpenBao, tmp_path: Path) -> None:
    """A stand-in for the cluster's TokenReview says who the token is of."""

    class Reviewer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = review["spec"]["token"] == jwt
            user = {"username": "system:serviceaccount:operations:pyrunbook", "uid": "1",
                    "groups": ["system:serviceaccounts"]}  # fmt: skip
            body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                               "status": {"authenticated": known, "user": user if known else {}}}).encode()  # fmt: skip
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    header = "eyJhbGciOiJSUzI1NiJ9"  # signed by nobody: the word of the reviewer counts
    claims = {"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:operations:pyrunbook",
              "kubernetes.io/serviceaccount/namespace": "operations",
              "kubernetes.io/serviceaccount/service-account.name": "pyrunbook",
              "kubernetes.io/serviceaccount/service-account.uid": "1"}  # fmt: skip
    import base64

    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    jwt = f"{header}.{encoded}.c2lnbmF0dXJl"
    (tmp_path / "token").write_text(jwt + "\n")
    mount = f"kubernetes-{own.suffix}"
    with HTTPServer(("127.0.0.1", 0), Reviewer) as cluster:
        threading.Thread(target=cluster.serve_forever, daemon=True).start()
        own.ask("POST", f"sys/auth/{mount}", {"type": "kubernetes"})
        own.ask("POST", f"auth/{mount}/config", {
            "kubernetes_host": f"http://127.0.0.1:{cluster.server_port}", "token_reviewer_jwt": jwt,
            "kubernetes_ca_cert": own.authority.trust_file.read_text(), "disable_local_ca_jwt": True,
        })  # fmt: skip
        role = {"bound_service_account_names": ["pyrunbook"], "bound_service_account_namespaces": ["operations"],
                "token_policies": [own.policy], "token_ttl": "5m"}  # fmt: skip
        own.ask("POST", f"auth/{mount}/role/pyrunbook", role)
        with own.session(Kubernetes("pyrunbook", tmp_path / "token", mount)) as session:
            VaultPki(session, "agent-factory", mount=own.pki).issue(REQUEST)
        with own.session(Kubernetes("other", tmp_path / "token", mount)) as session:
            assert failing(session.token)[0] == VaultFault.LOGIN_REFUSED.value
        cluster.shutdown()


def test_a_token_is_renewed_before_it_ends(bao: OpenBao) -> None:
    with bao.session(bao.token(ttl="40s", explicit_max_ttl="10m")) as session:
        session.read("auth/token/lookup-self")
        assert session._ends - time.monotonic() == pytest.approx(40, abs=5)
        session._ends -= 30  # as if half a minute had gone by
        session.read("auth/token/lookup-self")
        assert session._ends - time.monotonic() == pytest.approx(40, abs=5)


def test_a_login_whose_token_was_revoked_logs_in_again(bao: OpenBao) -> None:
    with bao.session(app_role(bao)) as session:
        first = session.token().reveal()
        bao.ask("POST", "auth/token/revoke", {"token": first})
        session.read("auth/token/lookup-self")
        assert session.token().reveal() != first


def test_a_token_that_has_ended_is_told_from_a_policy(bao: OpenBao) -> None:
    token = bao.token(ttl="1s", renewable=False)
    time.sleep(1.5)
    with bao.session(token) as session:
        kind, text = failing(lambda: VaultPki(session, "agent-factory", mount=bao.pki).issue(REQUEST))
    assert kind == VaultFault.TOKEN_INVALID.value
    assert token not in text
    with bao.session(bao.token()) as session:
        session.token()
        bao.ask("POST", "auth/token/revoke", {"token": session.token().reveal()})
        assert failing(lambda: session.read("sys/capabilities-self"))[0] == VaultFault.TOKEN_INVALID.value


# --- the policy that we ship, and the diagnosis ------------------------------------------------------------------


def needed(bao: OpenBao) -> dict[str, str]:
    return vault_health.needed(bao.pki, "agent-factory", transit=bao.transit, key="agent-factory-templates")


def test_a_healthy_server_is_found_healthy(bao: OpenBao, issuer: VaultPki) -> None:
    found = vault_health.examine(issuer, lifetime=timedelta(days=10), paths=needed(bao))
    assert kinds(found) == []
    assert len(found) == 5


def test_the_shipped_policy_allows_what_is_needed_and_no_more(bao: OpenBao, vault: Vault) -> None:
    answer = vault.write("sys/capabilities-self", {"paths": list(needed(bao))})
    assert {path: [capability] for path, capability in needed(bao).items()} == {
        path: answer[path] for path in needed(bao)
    }
    for path in (f"{bao.pki}/issue/agent-factory", f"{bao.pki}/root", f"{bao.pki}/sign-verbatim/agent-factory",
                 f"{bao.pki}/sign/below", f"{bao.transit}/export/signing-key/agent-factory-templates",
                 f"{bao.transit}/keys", "sys/policies/acl/x", "auth/token/create"):  # fmt: skip
        assert vault.write("sys/capabilities-self", {"paths": [path]})[path] == ["deny"], path


def test_a_policy_that_lacks_something_is_named_with_path_and_capability(bao: OpenBao) -> None:
    name = f"less-{bao.suffix}"
    text = f'path "{bao.pki}/roles/agent-factory" {{ capabilities = ["read"] }}'
    bao.ask("PUT", f"sys/policies/acl/{name}", {"policy": text})
    with bao.session(bao.token(name)) as session:
        issuer = VaultPki(session, "agent-factory", mount=bao.pki)
        found = vault_health.examine(issuer)
        assert kinds(found) == [VaultFault.PERMISSION_DENIED] * 2
        assert [re.findall(r"'(\w+)' on (\S+)", each.seen) for each in found if not each.ok] == [
            [("update", f"{bao.pki}/sign/agent-factory")],
            [("update", f"{bao.pki}/revoke")],
        ]
        kind, said = failing(lambda: issuer.issue(REQUEST))
    bao.ask("DELETE", f"sys/policies/acl/{name}")
    assert kind == VaultFault.PERMISSION_DENIED.value
    assert f"'update' on {bao.pki}/sign/agent-factory" in said


def test_a_wrong_mount_and_a_wrong_role_are_told_apart(bao: OpenBao) -> None:
    with bao.session(bao.root) as session:
        assert failing(lambda: VaultPki(session, "agent-factory", mount="nowhere").issue(REQUEST))[0] == "wrong mount"
        assert failing(lambda: VaultPki(session, "nobody", mount=bao.pki).issue(REQUEST))[0] == "wrong role"
        assert VaultFault.WRONG_MOUNT in kinds(
            vault_health.examine(VaultPki(session, "agent-factory", mount="nowhere"))
        )
        found = vault_health.examine(VaultPki(session, "nobody", mount=bao.pki))
        assert kinds(found) == [VaultFault.PERMISSION_DENIED, VaultFault.WRONG_ROLE]
        assert "root token" in found[1].seen


def test_a_token_that_ends_soon_and_a_role_that_signs_anything(bao: OpenBao) -> None:
    bao.ask("POST", f"{bao.pki}/roles/loose", bao.role(allow_any_name=True))
    with bao.session(bao.token("root", ttl="60s", renewable=False)) as session:
        found = vault_health.examine(VaultPki(session, "loose", mount=bao.pki))
        assert "signs any name" in next(each.seen for each in found if each.kind is VaultFault.REJECTED)
    with bao.session(bao.token(ttl="60s", renewable=False)) as session:
        found = vault_health.examine(VaultPki(session, "agent-factory", mount=bao.pki))
        assert kinds(found) == [VaultFault.TOKEN_ENDS]


def test_an_authority_that_ends_or_has_expired(bao: OpenBao) -> None:
    mount = f"short-{bao.suffix}"
    bao.ask("POST", f"sys/mounts/{mount}", {"type": "pki"})
    try:
        root = {"common_name": "Short", "ttl": "5s", "key_type": "ec", "not_before_duration": "0s"}
        bao.ask("POST", f"{mount}/root/generate/internal", root)
        began = time.monotonic()
        bao.ask("POST", f"{mount}/issuer/default", {"leaf_not_after_behavior": "err"})
        bao.ask("POST", f"{mount}/roles/agent-factory", bao.role())
        with bao.session(bao.token("root", renewable=True)) as session:
            issuer = VaultPki(session, "agent-factory", mount=mount)
            kind, text = failing(lambda: issuer.issue(REQUEST))
            assert kind == VaultFault.AUTHORITY_ENDS.value, text
            found = vault_health.examine(issuer, lifetime=timedelta(days=10))
            assert VaultFault.AUTHORITY_ENDS in kinds(found)
            time.sleep(max(0.0, 6.5 - (time.monotonic() - began)))
            found = vault_health.examine(issuer, lifetime=timedelta(days=10))
            assert VaultFault.AUTHORITY_EXPIRED in kinds(found)
            assert "Short" in found[-1].seen
            assert failing(lambda: issuer.issue(REQUEST))[0] in (
                VaultFault.AUTHORITY_ENDS.value,
                VaultFault.AUTHORITY_EXPIRED.value,
            )
    finally:
        bao.ask("DELETE", f"sys/mounts/{mount}")


def test_a_clock_that_is_off_is_found_on_either_side(bao: OpenBao, issuer: VaultPki) -> None:
    assert probe(bao.place, lambda: time.time() + 20).ok
    for offset, side in ((-120, "120 s ahead of"), (120, "120 s behind")):
        found = vault_health.examine(issuer, now=lambda offset=offset: time.time() + offset)  # type: ignore[misc]
        assert kinds(found) == [VaultFault.CLOCK_SKEW], "and the rest is looked at all the same"
        assert re.search(side.replace("120", r"1[12]\d"), found[0].seen), found[0].seen


def test_a_server_whose_certificate_is_not_trusted_gets_no_token(bao: OpenBao, tmp_path: Path) -> None:
    place = VaultAddress(bao.place.address.replace("127.0.0.1", "localhost") if bao.own else bao.place.address)
    assert probe(place).kind is VaultFault.NOT_TRUSTED
    with Vault(place, Token(Secret(bao.token()))) as session:
        kind, text = failing(session.token)
    assert kind == VaultFault.NOT_TRUSTED.value
    assert "no token was sent" in text


def test_the_environment_changes_nothing(bao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies, other authorities and tokens of the shell: a rotation asks the server of its inventory, as told."""
    token = bao.token()
    for name, value in {
        "https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "VAULT_TOKEN": "of-the-shell",
        "REQUESTS_CA_BUNDLE": os.devnull, "VAULT_NAMESPACE": "elsewhere", "VAULT_ADDR": "http://127.0.0.1:9",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with bao.session(token) as session:
        VaultPki(session, "agent-factory", mount=bao.pki).issue(REQUEST)


# --- the keys that sign templates --------------------------------------------------------------------------------


def test_signing_keys_rotate_and_old_signatures_stay_good_until_an_age(bao: OpenBao, vault: Vault) -> None:
    keys = TransitKeys(vault, "agent-factory-templates", bao.transit)
    text = b"a template"
    signature = keys.sign(text)
    first = signing_keys.version_of(signature)
    assert keys.rotate() == first + 1
    assert "one from before is still good" in signing_keys.prove(keys, (text, signature))
    assert signing_keys.forget(keys, keep=timedelta(days=90)) == []
    assert keys.verify(text, signature)
    assert signing_keys.forget(keys, keep=timedelta(0), now=datetime.now(UTC) + timedelta(seconds=5)) == [first]
    assert not keys.verify(text, signature)
    assert [each.number for each in keys.versions()] == [first + 1]
    with pytest.raises(NotIssued, match="from before the rotation is refused"):
        signing_keys.prove(keys, (text, signature))
    assert not keys.verify(b"another", keys.sign(text))


def test_a_signature_of_the_engine_can_be_verified_without_it(bao: OpenBao, vault: Vault) -> None:
    import base64

    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from pyrunbook.pki.keys import verifies

    keys = TransitKeys(vault, "agent-factory-templates", bao.transit)
    signature = keys.sign(b"a template")
    public = load_pem_public_key(keys.versions()[-1].public_key.encode())
    raw = base64.b64decode(signature.rpartition(":")[2])
    assert verifies(public, raw, b"a template")
    assert not verifies(public, raw, b"a temple")


# --- what is wrong with the server: last, because these stop it ---------------------------------------------------


def test_sealed_is_told_apart_and_over_when_it_is_unsealed(own: OpenBao) -> None:
    token = own.token()
    own.seal()
    try:
        assert probe(own.place).kind is VaultFault.SEALED
        with own.session(token) as session:
            issuer = VaultPki(session, "agent-factory", mount=own.pki)
            kind, text = failing(lambda: issuer.issue(REQUEST))
            assert kind == VaultFault.SEALED.value
            assert "bao operator unseal" in text
            found = vault_health.examine(issuer)
            assert kinds(found) == [VaultFault.SEALED]
            assert len(found) == 1, "nothing else can be asked"
    finally:
        own.unseal()
    with own.session(token) as session:
        VaultPki(session, "agent-factory", mount=own.pki).issue(REQUEST)


def test_killed_between_two_requests(own: OpenBao) -> None:
    with own.session(own.token()) as session:
        issuer = VaultPki(session, "agent-factory", mount=own.pki)
        issued = issuer.issue(REQUEST)
        own.kill()
        try:
            for action in (lambda: issuer.issue(REQUEST), lambda: issuer.revoke(issued.serial), issuer.crls):
                kind, text = failing(action)
                assert kind == VaultFault.UNREACHABLE.value
                assert "connection refused" in text
            assert kinds(vault_health.examine(issuer)) == [VaultFault.UNREACHABLE]
        finally:
            own.start()
            assert probe(own.place).kind is VaultFault.SEALED, "as after a restart of its machine"
            own.unseal()
        assert isinstance(issuer.issue(REQUEST), Issued)
        issuer.revoke(issued.serial)


def test_nothing_secret_is_in_what_the_server_wrote_down(own: OpenBao) -> None:
    log = (own.directory / "server.log").read_text()
    assert own.root not in log
    with contextlib.suppress(FileNotFoundError):
        assert "PRIVATE KEY" not in log
