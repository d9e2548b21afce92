"""Which cluster is meant, and what the operator reads when the kubeconfig is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes import kubeconfig


def document(**changes: Any) -> dict[str, Any]:
    return {
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.com:6443"}}],
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "agent-factory"}},
            {"name": "two", "context": {"cluster": "c", "user": "u"}},
        ],
        **changes,
    }


def written(path: Path, content: dict[str, Any] | str) -> str:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_the_current_context_or_the_named_one(tmp_path: Path) -> None:
    path = written(tmp_path / "config", document())
    single, proxy = kubeconfig.load(path, None)
    assert (single.context_name, single.namespace, proxy) == ("one", "agent-factory", None)
    assert kubeconfig.load(path, "two")[0].namespace == "default"


def test_an_unknown_context_lists_those_there_are(tmp_path: Path) -> None:
    path = written(tmp_path / "config", document())
    with pytest.raises(BadInput, match=r"no context 'three' \(contexts there: one, two\)"):
        kubeconfig.load(path, "three")


def test_no_current_context(tmp_path: Path) -> None:
    path = written(tmp_path / "config", document(**{"current-context": ""}))
    with pytest.raises(BadInput, match="has no current context"):
        kubeconfig.load(path, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [1\nb: s3cret", r"config:2 is not YAML"),
        ("- s3cret", "it holds list, not a mapping"),
        ("clusters: s3cret", "clusters must be a list of named entries"),
        ("clusters: [{name: c}]\ncontexts: []\ncurrent-context: one", "has no context 'one'"),
        (
            "contexts: [{name: one, context: {cluster: gone}}]\ncurrent-context: one",
            "names 'gone', which is not defined",
        ),
        ("contexts: [{name: one, context: {user: s3cret}}]", "is not a kubeconfig: ValidationError"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_shown(tmp_path: Path, content: str, words: str) -> None:
    path = written(tmp_path / "config", content)
    with pytest.raises(BadInput, match=words) as raised:
        kubeconfig.load(path, None)
    assert path in str(raised.value) and "s3cret" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_missing_and_an_unreadable_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="missing does not exist"):
        kubeconfig.load(str(tmp_path / "missing"), None)
    with pytest.raises(BadInput, match=f"{tmp_path} cannot be read: Is a directory"):
        kubeconfig.load(str(tmp_path), None)


def test_several_files_are_one_and_the_first_name_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path / "first", {"clusters": document()["clusters"], "current-context": "two"})
    other = document(clusters=[{"name": "c", "cluster": {"server": "https://never.example.com"}}])
    second = written(tmp_path / "second", other)
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    single, _ = kubeconfig.load(None, None)
    assert single.context_name == "two"
    assert single.cluster.server == "https://api.example.com:6443"


def test_file_names_are_relative_to_their_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "there"
    directory.mkdir()
    cluster = {"server": "https://api.example.com", "certificate-authority": "ca.pem", "proxy-url": "http://p:1"}
    path = written(directory / "config", document(clusters=[{"name": "c", "cluster": cluster}]))
    monkeypatch.chdir(tmp_path)
    single, proxy = kubeconfig.load(path, None)
    assert single.cluster.certificate_auth == str(directory / "ca.pem")
    assert proxy == "http://p:1"


def test_a_credential_plugin_of_v1_is_accepted(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "get-token", "interactiveMode": "Never"}
    path = written(tmp_path / "config", document(users=[{"name": "u", "user": {"exec": plugin}}]))
    user = kubeconfig.load(path, None)[0].user
    assert user and user.exec and user.exec.apiVersion.endswith("v1beta1")
    assert [e.name for e in user.exec.env or []] == ["KUBERNETES_EXEC_INFO"]


def test_what_the_library_would_ignore_is_refused(tmp_path: Path) -> None:
    cluster = {"server": "https://api.example.com", "tls-server-name": "other.example.com"}
    path = written(tmp_path / "config", document(clusters=[{"name": "c", "cluster": cluster}]))
    with pytest.raises(BadInput, match="tls-server-name"):
        kubeconfig.load(path, None)


def test_in_a_pod_a_context_makes_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("s3cret")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", str(account))
    assert kubeconfig.files(None) == []
    with pytest.raises(BadInput, match="running inside a pod"):
        kubeconfig.load(None, "one")
