"""What an inventory says about certificates: read strictly, each mistake with its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyrunbook.errors import BadInput
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.issuers.vault_pki import VaultPki
from pyrunbook.pki.sources import Issuers, read_signing_keys
from pyrunbook.pki.wanted import WantedCertificate, read_certificates

HOST: dict[str, Any] = {
    "name": "public",
    "issuer": "local",
    "dns_names": ["a.example"],
    "ip_names": ["::1"],
    "lifetime": "90d",
    "renew_before": "20d",
    "addresses": ["a.example:443", "[::1]:8443"],
    "directory": "/srv/tls/public/",
}
CLUSTER = {k: v for k, v in HOST.items() if k != "directory"} | {"secret": "a-tls", "restart": "a-blue"}
VAULT = {
    "kind": "vault_pki",
    "address": "https://vault.example:8200",
    "role": "a",
    "auth": {"method": "approle", "role_id": "r", "secret_id_file": "/nonexistent/secret", "wrapped": True},
}


def read(entry: dict[str, Any], platform: str = "host") -> WantedCertificate:
    return read_certificates([entry], ["local", "vault"], platform)[0]


def test_a_certificate_on_a_machine() -> None:
    made = read(HOST | {"group": 33, "key_mode": "0640", "reload": ["caddy", "reload"], "server_name": "A.example"})
    assert (made.request.dns_names, made.request.lifetime) == (("a.example",), timedelta(days=90))
    assert (made.renew_before, made.overlap) == (timedelta(days=20), timedelta(hours=24))
    assert [str(each) for each in made.addresses] == ["a.example:443 (A.example)", "[::1]:8443 (A.example)"]
    assert (made.directory, made.owner, made.group, made.key_mode) == ("/srv/tls/public", "", "33", 0o640)
    assert made.reload == ("caddy", "reload")
    assert made.judged_by(["CN=x"]).issuers == ("CN=x",)


def test_clients_may_ask_for_what_a_wildcard_covers() -> None:
    made = read(HOST | {"dns_names": ["*.A.example"], "addresses": ["b.a.example:443", "[0::1]:1"]})
    assert [each.asked for each in made.addresses] == ["b.a.example", "0::1"]
    with pytest.raises(BadInput, match=r"ask for c\.b\.a\.example"):
        read(HOST | {"dns_names": ["*.a.example"], "addresses": ["c.b.a.example:443"]})


def test_a_certificate_in_a_cluster() -> None:
    made = read(CLUSTER, "kubernetes")
    assert (made.secret, made.restart) == ("a-tls", ("a-blue",))
    assert made.prove_within > read(HOST).prove_within, "a kubelet takes its time"
    assert read(CLUSTER | {"restart": ["x", "y"]}, "kubernetes").restart == ("x", "y")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lifetime": 90}, r"service_certificates\[0\].lifetime: expected a duration such as 90d"),
        ({"lifetime": "soon"}, r"service_certificates\[0\].lifetime: the duration"),
        ({"lifetime": "10s", "renew_before": None}, r"service_certificates\[0\]: a lifetime of"),
        ({"renew_before": "90d"}, r"service_certificates\[0\].renew_before: .* shorter than the lifetime"),
        ({"lifetme": "9d"}, r"service_certificates\[0\]: .*unknown field `lifetme`"),
        ({"name": "Public"}, r"service_certificates\[0\].name: 'Public' is not a name"),
        ({"name": "../x"}, r"is not a name"),
        (
            {"issuer": "acme"},
            r"service_certificates\[0\].issuer: 'acme' is not in certificate_issuers \(local, vault\)",
        ),
        ({"addresses": []}, r"service_certificates\[0\].addresses: nothing would prove"),
        ({"addresses": ["a.example"]}, r"service_certificates\[0\].addresses: .*host:port"),
        ({"addresses": "a:1"}, r"service_certificates\[0\].addresses: Expected `array`"),
        ({"dns_names": [], "ip_names": []}, r"a certificate needs a DNS name"),
        ({"server_name": "b.example"}, r"\[0\].addresses: clients of a.example:443 \(b.example\) ask for b.example"),
        ({"ip_names": ["::2"]}, r"clients of \[::1\]:8443 ask for ::1, which is none of the .* \(a.example, ::2\)"),
        ({"dns_names": ["*"]}, r"ask for a.example, which is none"),
        ({"dns_names": ["*.a.example"]}, r"ask for a.example, which is none"),
        ({"ip_names": ["a"]}, r"service_certificates\[0\].ip_names: 'a' is not an IP address"),
        ({"key": "rsa-1024"}, r"service_certificates\[0\]: unknown kind of key"),
        ({"key_mode": "0644"}, r"service_certificates\[0\].key_mode: '0644' is none of"),
        ({"key_mode": 384}, r"service_certificates\[0\].key_mode: Expected `str`"),
        ({"directory": "tls"}, r"platform host takes `directory`, absolute"),
        ({"directory": ""}, r"platform host takes `directory`"),
        ({"secret": "x"}, r"platform host takes `directory`, absolute, and neither `secret`"),
        ({"reload": "caddy reload"}, r"service_certificates\[0\].reload: Expected `array`"),
    ],
)
def test_a_mistake_is_told_with_its_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(HOST | change)


@pytest.mark.parametrize("change", [{"secret": ""}, {"directory": "/x"}, {"reload": ["x"]}, {"owner": "root"}])
def test_fields_of_the_other_platform_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="platform kubernetes takes `secret`"):
        read(CLUSTER | change, "kubernetes")


@pytest.mark.parametrize(("word", "change"), [("name", {"directory": "/y"}), ("directory", {"name": "other"})])
def test_two_certificates_have_two_names_and_two_places(word: str, change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=rf"service_certificates\[1\].{word}: .* another certificate too"):
        read_certificates([HOST, HOST | change], ["local"], "host")


# --- issuers ----------------------------------------------------------------------------------------------------------


def test_a_local_authority_stands_in_the_state_directory_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    with Issuers(
        {"local": {"kind": "local_ca"}, "own": {"kind": "local_ca", "directory": str(tmp_path / "x")}}
    ) as found:
        local, own = found.issuer("local"), found.issuer("own")
        assert found.issuer("local") is local
        assert isinstance(local, LocalAuthority)
        assert isinstance(own, LocalAuthority)
        assert local.trust_file == tmp_path / "home/pki/local/trust.pem"
        assert own.trust_file == tmp_path / "x/trust.pem"
        assert not found.logs_in_once("local")
        with pytest.raises(BadInput, match=r"certificate_issuers.local is no Vault"):
            found.vault("local")
    assert not (tmp_path / "home").exists(), "looking makes nothing"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "acme"}, r"certificate_issuers.x.kind: Invalid value 'acme'"),
        ({"kind": "local_ca", "dir": "/x"}, r"certificate_issuers.x: .*unknown field `dir`"),
        ({"kind": "vault_pki", "address": "https://v:1", "role": "a"}, r"certificate_issuers.x: .*`auth`"),
        ({}, r"certificate_issuers.x: .*kind"),
        ("local", r"certificate_issuers.x: Expected `object`"),
    ],
)
def test_a_malformed_issuer_is_refused_before_it_is_needed(entry: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Issuers({"x": entry})


def test_a_vault_is_opened_when_it_is_asked_for() -> None:
    pytest.importorskip("hvac")
    issuers = Issuers({"vault": VAULT, "plain": VAULT | {"address": "http://vault.example:8200"}})
    assert issuers.logs_in_once("vault")
    with pytest.raises(BadInput, match=r"certificate_issuers.vault.auth: .*nonexistent"):
        issuers.issuer("vault")
    with pytest.raises(BadInput, match=r"certificate_issuers.plain: .*plain http"):
        issuers.vault("plain")
    with pytest.raises(BadInput, match=r"there is no issuer 'other' in certificate_issuers \(vault, plain\)"):
        issuers.issuer("other")


# --- signing keys -----------------------------------------------------------------------------------------------------


def test_all_roles_of_a_vault_share_one_session(tmp_path: Path) -> None:
    pytest.importorskip("hvac")
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o600)
    with Issuers({"vault": VAULT | {"auth": {"method": "token", "token_file": str(token)}}}) as found:
        own, trial = found.issuer("vault"), found.issuer("vault", "trial")
        assert isinstance(own, VaultPki)
        assert isinstance(trial, VaultPki)
        assert (own.role, trial.role) == (VAULT["role"], "trial")
        assert own.vault is trial.vault


def test_signing_keys_as_files(tmp_path: Path) -> None:
    entry = {"name": "templates", "kind": "files", "directory": str(tmp_path / "keys"), "every": "30d"}
    (made,) = read_signing_keys([entry], Issuers({}))
    assert (made.name, made.every, made.keep) == ("templates", timedelta(days=30), timedelta(days=365))
    assert made.keys.versions() == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "files", "directory": "keys"}, "absolute"),
        ({"kind": "files", "directory": "/x", "key": "y"}, "neither `issuer` nor `key`"),
        ({"kind": "transit", "key": "y"}, "takes `issuer` and `key`"),
        ({"kind": "transit", "key": "y", "issuer": "none"}, r"service_signing_keys\[0\].issuer: there is no issuer"),
        ({"kind": "paper"}, r"service_signing_keys\[0\].kind: Invalid enum value 'paper'"),
    ],
)
def test_a_malformed_signing_key(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_signing_keys([{"name": "templates", **entry}], Issuers({}))
