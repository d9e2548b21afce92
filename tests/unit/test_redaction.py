"""Nothing secret comes out of `redact`."""

from __future__ import annotations

import base64
import json
import string
import time
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyrunbook.redaction import MASK, TEXT_LIMIT, is_secret_name, redact, redact_text, secret_values

CANARY = "Kanarie7x9Qz"

SECRET_NAMES = [
    "password", "db_password", "dbPassword", "DBPASSWORD", "ansible_become_pass", "vault_token", "apiKey", "api-key",
    "client_secret", "clientsecret", "AWS_SECRET_ACCESS_KEY", "private_key", "tls.key", "credentials", "Authorization",
    "passphrase", "key", "ssh_private_key", "kubeconfig_token", "sessionCookie",
]  # fmt: skip
PLAIN_NAMES = [
    "release", "service_url", "monkey", "compass", "keyboard", "passed", "operator", "author", "bypass_lane",
    "key_mode", "tokenType", "secret-id.ttl",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)
    assert redact({name: CANARY}) == {name: MASK}
    assert CANARY not in json.dumps(redact({name: {"deep": [CANARY, {"x": CANARY}]}}))


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_plain_names_stay(name: str) -> None:
    assert redact({name: "1.1.0"}) == {name: "1.1.0"}


TEXTS = [
    "postgresql://me:{}@db:5432/x",
    "see https://{}@git.example.com/repo for more",
    "https://user:a/{}@host/path",
    "Authorization: Bearer {}",
    "sent header Bearer {}",
    "Authorization: Basic dXNlcjo{}",
    "got Basic dXNlcjo{}==",
    "password={}",
    "password = {}",
    "PGPASSWORD={} psql",
    "mysql --password {} -h db",
    "mysql --password={} -h db",
    "curl --api-key '{}' x",
    'curl --token "a {} b" x',
    'the answer was {{"password": "{}", "a": 1}}',
    'the answer was {{"db": {{"api_key":"a {} b"}}}}',
    'nested "{{\\"token\\": \\"{}\\"}}"',
    "token: correct horse {} staple",
    "client-key-data: {}",
    "vault_token: '{}'",
    "{{'secret': '{}'}}",
    "-----BEGIN RSA PRIVATE KEY-----\nMII{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\nMII{}\\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\ncut off {}",
    "$ANSIBLE_VAULT;1.1;AES256\n{}",
    "token == {}",
    "'token' => '{}'",
    "token := {}",
    "password:\n  first\n  {}",
    "token: |\n  first\n  {}",
    'password: "unterminated\n {}',
    '{{"password": "a\\"{}"}}',
    'said {{"password": "a\\"{}"}}',
    '{{"tokens": [\n  "one",\n  "{}"\n]}}',
    "AKIA{}ABCDEFGH",
    "ghp_{}",
    "hvs.{}",
    "eyJhbGciOi.{}.sig",
    "https://hooks.slack.com/services/T000/B000/{}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_shapes_in_free_text(text: str) -> None:
    canary = CANARY.upper() if text.startswith("AKIA") else CANARY
    planted = text.format(canary)
    for value in (planted, f"line before\n{planted}\nline after", [planted], {planted: 1}, json.dumps(planted)):
        assert canary not in json.dumps(redact(value)), value


@pytest.mark.parametrize(
    "text",
    [
        "20 of 20 answers 200, p95 4 ms, version 1.1.0",
        "https://example.com:8000/health?x=1 answered 500",
        "blue serves 1.0.4 at http://127.0.0.1:8101",
        "ALL PREREQUISITES PASS: yes",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "Basic authentication is off",
        "duplicate key: release",
        "expected a token:",
        "password of the operator is not needed",
        "service_certificates[0].key_mode: 640 is none of 0600, 0640",
        "token_type=bearer, private_key_bits: 2048",
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_text_after_a_secret_stays() -> None:
    assert redact_text("password=abc host=db") == f"password={MASK} host=db"
    assert redact_text('{"token": "abc", "n": 1}') == f'{{"token": "{MASK}", "n": 1}}'


def test_kubernetes_objects() -> None:
    secret = {"kind": "Secret", "metadata": {"name": "tls"}, "data": {"a": CANARY}, "stringData": {"b": CANARY}}
    environment = {"env": [{"name": "DB_PASSWORD", "value": CANARY}, {"name": "MODE", "value": "fast"}]}
    assert redact(secret)["metadata"] == {"name": "tls"}
    assert CANARY not in json.dumps(redact([secret, environment]))
    assert "fast" in json.dumps(redact(environment))


def test_kubeconfig_is_a_path_or_content() -> None:
    assert redact({"service_kubeconfig": "~/.kube/config"}) == {"service_kubeconfig": "~/.kube/config"}
    assert redact({"service_kubeconfig": f"apiVersion: v1\nusers: [{CANARY}]"}) == {"service_kubeconfig": MASK}
    assert redact({"kubeconfig": {"users": [CANARY]}}) == {"kubeconfig": MASK}


def test_vaulted_values() -> None:
    class EncryptedString(str):
        """Named as Ansible's."""

    class VaultedValue:
        """Named as Ansible's tag."""

    class Tagged(str):
        _ansible_tags_mapping: ClassVar[dict[type, object]] = {VaultedValue: object()}

    assert redact({"a": EncryptedString(CANARY), "b": [Tagged(CANARY)]}) == {"a": MASK, "b": [MASK]}
    assert redact({"a": {"__ansible_vault": CANARY}}) == {"a": {"__ansible_vault": MASK}}
    assert sorted(secret_values({"x": Tagged("one"), "y": {"password": ["two"]}, "z": "three"})) == ["one", "two"]


def test_known_secrets_are_masked_anywhere() -> None:
    inputs = {"db": {"password": "hunter22"}, "env": [{"name": "API_TOKEN", "value": "s3cr3t"}]}
    known = list(secret_values(inputs))
    assert sorted(known) == ["hunter22", "s3cr3t"]
    assert redact("login with hunter22 and s3cr3t failed", known) == f"login with {MASK} and {MASK} failed"


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ({"headers": {"Authorization": "Bearer abcdefgh1"}}, {"Bearer abcdefgh1", "abcdefgh1"}),
        ({"auth": "Basic " + base64.b64encode(b"me:word of mine").decode()}, {"word of mine"}),
        (["curl", "--token", "abcdefgh1", "-v"], {"abcdefgh1"}),
        (["x", "--api-key=abcdefgh1"], {"abcdefgh1"}),
        ("https://me:abc%40def1@host/x", {"abc%40def1", "abc@def1"}),
        ("/health?deep=1&token=abc%2Bdef1", {"abc%2Bdef1", "abc+def1"}),
        # What says where a secret is, or how it is used, stays: these words would be masked everywhere.
        (
            {"password_file": "/run/secrets/db", "ssl_key": "/etc/ssl/agent.pem", "token_url": "https://a.example"},
            set(),
        ),
        ({"auth": {"method": "approle", "mount": "approle", "role": "agent-factory"}}, set()),
        ({"valueFrom": {"secretKeyRef": {"name": "agent-factory", "key": "password"}}}, set()),
        ({"service_certificates": [{"name": "public", "secret": "agent-factory-tls", "key": "tls"}]}, set()),
        (["x", "--key-file", "agent.pem", "--secret-name", "agent-factory"], set()),
        ({"hostvars": {"a": {"password": "abcdefgh1"}}}, set()),
    ],
)
def test_what_is_known_as_a_secret(value: Any, secrets: set[str]) -> None:
    found = set(secret_values(value))
    assert secrets <= found
    assert secrets or not found


def test_a_vaulted_value_is_known_wherever_it_stands() -> None:
    class EncryptedString:
        """Named as Ansible's; no text, as that is none."""

        def __str__(self) -> str:
            return CANARY

    class Locked(EncryptedString):
        def __str__(self) -> str:
            raise ValueError("no vault password")

    Locked.__name__ = "EncryptedString"
    assert list(secret_values({"a": [EncryptedString()], "b": Locked()})) == [CANARY]
    assert list(secret_values({"service_certificates": [{"name": EncryptedString()}]})) == [CANARY]


@pytest.mark.parametrize("secret", [CANARY, "a b&c/d+e=f", 'quo"te\\s', "é" * 5])
def test_a_known_secret_is_masked_in_every_form(secret: str) -> None:
    data = secret.encode()
    coded = [base64.b64encode(b"u:" + b"x" * n + data + b"\n").decode() for n in range(3)]
    for form in (secret, quote(secret), quote_plus(secret), json.dumps(secret), data.hex(), *coded):
        assert MASK in redact_text(f"seen: {form} and more", [secret]), form
        assert secret not in redact_text(f"seen: {form} and more", [secret])


def test_lines_of_a_program_that_printed_a_key() -> None:
    key = ["-----BEGIN PRIVATE KEY-----", "MIIabc" * 10, CANARY * 5, "-----END PRIVATE KEY-----"]
    for lines in (["before", *key, "after"], ["before", *key[:-1]], [*key[2:], "after"], [*key, *key[1:]]):
        assert CANARY not in json.dumps(redact(lines)), lines
        assert CANARY not in redact_text("\n".join(lines)), lines
    assert redact(["a", "-----BEGIN CERTIFICATE-----", "MII", "-----END CERTIFICATE-----"])[2] == "MII"
    secret = "\n".join(key)
    assert CANARY not in redact_text(f"the middle of it: {key[2]}", [secret])


def test_arguments_of_a_command() -> None:
    assert redact(["vault", "--token", CANARY, "--verbose", "read"]) == ["vault", "--token", MASK, "--verbose", "read"]
    assert redact(["x", "--token", "--help"]) == ["x", "--token", "--help"]


def test_no_value_is_lost_or_breaks_the_database() -> None:
    value = {
        "n": 1,
        "f": 1.5,
        "nan": float("nan"),
        "b": True,
        "none": None,
        "t": (1, 2),
        "nul": "a\0b",
        "lone": "\udc80",
    }
    result = redact(value)
    assert result == {
        "n": 1, "f": 1.5, "nan": "nan", "b": True, "none": None, "t": [1, 2], "nul": "a\N{REPLACEMENT CHARACTER}b",
        "lone": "?",
    }  # fmt: skip
    json.dumps(result, allow_nan=False).encode()


@pytest.mark.parametrize("unit", ["a", "a.", "a-", "a://", "password", "token=", "x:", "-----BEGIN A-----", "'", "\\"])
def test_long_hostile_text_takes_no_time(unit: str) -> None:
    began = time.process_time()
    redact_text(unit * (200_000 // len(unit)))
    assert time.process_time() - began < 2


def test_long_text_is_cut_and_deep_data_ends() -> None:
    assert len(redact_text("x" * (TEXT_LIMIT + 500))) < TEXT_LIMIT + 100
    deep: Any = CANARY
    for _ in range(200):
        deep = [deep]
    assert CANARY not in json.dumps(redact(deep))


_WORDS = st.text(string.ascii_letters + string.digits + " _-.:=/@'\"{}\\\n", max_size=20)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3), max_leaves=8
)


def _plant(value: Any, secret: Any, path: list[int]) -> Any:
    """`value` with `secret` put in somewhere."""
    if path and isinstance(value, list) and value:
        index = path[0] % len(value)
        return [_plant(item, secret, path[1:]) if i == index else item for i, item in enumerate(value)]
    if path and isinstance(value, dict) and value:
        chosen = sorted(value)[path[0] % len(value)]
        return {key: _plant(item, secret, path[1:]) if key == chosen else item for key, item in value.items()}
    return [value, secret]


@given(_VALUES, st.sampled_from(SECRET_NAMES), _VALUES, st.lists(st.integers(0, 5), max_size=4))
def test_a_value_under_a_secret_name_never_comes_out(value: Any, name: str, inner: Any, path: list[int]) -> None:
    planted = _plant(value, {name: _plant(inner, f"{CANARY}", path)}, path)
    result = json.dumps(redact(planted))
    assert CANARY not in result


@given(_VALUES, _WORDS, _WORDS, st.lists(st.integers(0, 5), max_size=4))
def test_a_known_secret_never_comes_out(value: Any, before: str, after: str, path: list[int]) -> None:
    planted = _plant(value, {f"{before}{CANARY}": f"{after}{CANARY}{before}"}, path)
    assert CANARY not in json.dumps(redact(planted, [CANARY]))


@given(st.sampled_from([text for text in TEXTS if not text.startswith(("AKIA", "ghp_", "hvs", "eyJ"))]), _WORDS, _WORDS)
@example("password={}", "", "x@y")
def test_a_shaped_secret_never_comes_out_whatever_stands_around(text: str, before: str, after: str) -> None:
    planted = f"{before.rstrip()}\n{text.format(CANARY)}\n{after}"
    assert CANARY not in redact_text(planted)


@given(_VALUES)
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    once = redact(value)
    assert redact(once) == once
