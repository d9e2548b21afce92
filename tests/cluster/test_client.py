"""The connection: retries, timeouts, and what the operator reads when it does not work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cluster_api import Api, deployment, service

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes import client
from pyrunbook.kubernetes.client import connect
from pyrunbook.kubernetes.errors import Conflict, Forbidden, Rejected, Unauthorized, Unreachable


@pytest.mark.parametrize("fault", [500, 503, 429, 401, 403, "proxy", "reset", "lost"])
def test_a_request_is_sent_again_until_it_is_answered(standin_api: Api, fault: int | str) -> None:
    standin_api.faults.fail(fault, resource="services", times=2)
    cluster = standin_api.cluster()
    cluster.apply({"kind": "Service", **service("agent-factory", {"version": "blue"})})
    found = cluster.get("Service", "agent-factory")
    assert found is not None and found["spec"]["selector"] == {"version": "blue"}


def test_a_lost_answer_to_a_create_is_a_conflict_that_says_it_exists(standin_api: Api) -> None:
    standin_api.faults.fail("lost", verb="create", resource="services")
    with pytest.raises(Conflict) as raised:
        standin_api.cluster().create({"kind": "Service", **service("agent-factory", {})})
    assert raised.value.exists


def test_a_failing_api_is_given_up_in_time_and_says_what_it_last_said(standin_api: Api) -> None:
    standin_api.faults.fail(500, times=1000)
    start = time.monotonic()
    with pytest.raises(Unreachable, match=r"within 1 s: get services agent-factory .*answered 500") as raised:
        standin_api.cluster(patience=1).get("Service", "agent-factory")
    assert time.monotonic() - start < 3
    assert raised.value.exit_code == 2


def test_a_slow_answer_ends_at_the_timeout_and_is_asked_for_again(
    standin_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", client.httpx2.Timeout(0.3))
    monkeypatch.setattr(client, "_prepared", {})
    standin_api.faults.fail("slow", verb="get", times=1, seconds=2)
    start = time.monotonic()
    assert standin_api.cluster().get("Service", "agent-factory") is None
    assert time.monotonic() - start < 1.5


def test_nobody_at_the_address(tmp_path: Path, standin_api: Api) -> None:
    document = yaml.safe_load(standin_api.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "nobody").write_text(yaml.safe_dump(document))
    with pytest.raises(Unreachable, match=r"https://127\.0\.0\.1:1"):
        connect(str(tmp_path / "nobody"), None, None, patience=0.5).get("Service", "x")


def test_a_certificate_of_another_authority_is_not_retried(tmp_path: Path, standin_api: Api) -> None:
    document = yaml.safe_load(standin_api.kubeconfig.read_text())
    del document["clusters"][0]["cluster"]["certificate-authority-data"]
    (tmp_path / "untrusted").write_text(yaml.safe_dump(document))
    start = time.monotonic()
    with pytest.raises(BadInput, match="is not trusted"):
        connect(str(tmp_path / "untrusted"), None, None).get("Service", "x")
    assert time.monotonic() - start < 3


def test_a_wrong_token_is_not_shown(tmp_path: Path, standin_api: Api) -> None:
    kubeconfig = standin_api.faults.kubeconfig(tmp_path / "wrong", token="s3cret-token")
    with pytest.raises(Unauthorized) as raised:
        connect(str(kubeconfig), None, None, patience=0.5).get("Service", "x")
    assert "401" in str(raised.value) and "s3cret" not in str(raised.value)


def test_a_missing_verb_is_named_with_its_resource_its_namespace_and_the_role(standin_api: Api) -> None:
    kubeconfig = standin_api.user([{"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}])
    cluster = connect(str(kubeconfig), None, standin_api.namespace, patience=0.5)
    with pytest.raises(Forbidden) as raised:
        cluster.list_all("Deployment")
    words = str(raised.value)
    assert "asked again for 0.5 s" in words and "auth can-i list deployments.apps" in words
    assert f"list on deployments.apps in namespace {standin_api.namespace}" in words
    assert "docs/kubernetes/role.yaml" in words


def test_what_the_api_finds_invalid_is_said_in_its_words(api: Api) -> None:
    with pytest.raises(Rejected, match="selector"):
        api.cluster().create(
            {
                "kind": "Deployment",
                "metadata": {"name": "x"},
                "spec": {
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {
                        "metadata": {"labels": {"a": "c"}},
                        "spec": {"containers": [{"name": "x", "image": "x"}]},
                    },
                },
            }
        )


def _in_a_child(check: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_client_made_before_a_fork_is_used_in_the_child_unless_it_has_connected(api: Api) -> None:
    client.prepare(str(api.kubeconfig), None)
    parent = api.cluster()
    assert _in_a_child(lambda: api.cluster().client is parent.client and parent.get("Service", "nobody") is None)
    assert parent.get("Service", "nobody") is None
    # A connection cannot be shared by two processes, so a child of a parent that has one builds its own client.
    assert _in_a_child(lambda: api.cluster().client is not parent.client)
    assert _in_a_child(lambda: api.cluster().get("Service", "nobody") is None)
    assert api.cluster().client is parent.client and parent.get("Service", "nobody") is None


def test_preparing_what_cannot_be_read_leaves_the_error_to_the_task(tmp_path: Path) -> None:
    client.prepare(str(tmp_path / "missing"), None)
    with pytest.raises(BadInput, match="missing does not exist"):
        connect(str(tmp_path / "missing"), None, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"env": [{"name": "PORT", "value": 8080}]}, "expected string"),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "duplicate entries"),
        ({"imagePolicy": "Always"}, "field not declared in schema"),
    ],
)
def test_a_manifest_that_does_not_fit_its_schema_is_refused_at_once(
    api: Api, change: dict[str, object], words: str
) -> None:
    """A server-side apply answers 500 to it, without a reason: a plain error of its typed conversion, not a Status."""
    start = time.monotonic()
    with pytest.raises(Rejected, match=words):
        api.cluster().apply(deployment("green", "1.1.0", **change), dry_run=True)
    assert time.monotonic() - start < 2, "asking again does not help"


def test_a_403_of_admission_is_not_a_missing_permission(standin_api: Api) -> None:
    """The namespace lifecycle, quotas, policies and webhooks answer 403 as the authorizer does."""
    store = standin_api.faults.store
    with store.lock:
        store.records[("namespaces", "", standin_api.namespace)].obj["status"]["phase"] = "Terminating"
    with pytest.raises(Rejected, match="because it is being terminated") as raised:
        standin_api.cluster().apply(deployment("green", "1.1.0"))
    assert "role.yaml" not in str(raised.value)


def test_an_api_that_was_restarted_denies_for_some_seconds_what_it_allows(standin_api: Api) -> None:
    kubeconfig = standin_api.user([{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "create"]}])
    cluster = connect(str(kubeconfig), None, standin_api.namespace)
    standin_api.faults.restart(away=0.2, blind=0.6)
    cluster.create({"kind": "Service", **service("agent-factory", {"version": "blue"})})
    assert standin_api.cluster().get("Service", "agent-factory")
    denied = [r for r in standin_api.faults.requests if r.code == 403]
    assert denied, "it was denied before it was allowed"


@pytest.mark.parametrize(
    "words",
    ['pods "x" is forbidden: not yet ready to handle request', 'pods "x" is forbidden: status unknown for quota: pods'],
)
def test_admission_that_has_not_read_its_own_objects_yet_is_asked_again(standin_api: Api, words: str) -> None:
    standin_api.faults.fail(403, resource="services", times=2, message=words)
    standin_api.cluster().create({"kind": "Service", **service("agent-factory", {"version": "blue"})})
    standin_api.faults.fail(403, resource="services", times=1000, message=words)
    with pytest.raises(Rejected, match="though the permission is there"):
        standin_api.cluster(patience=0.3).get("Service", "agent-factory")


def test_an_object_is_not_missing_because_a_proxy_says_404(standin_api: Api) -> None:
    """What is gone need not be drained, and may be created: only the API itself may say so, by a Status."""
    standin_api.faults.fail("proxy", times=1000)
    with pytest.raises(Unreachable, match="answered 404"):
        standin_api.cluster(patience=0.3).get("Service", "agent-factory")
