"""A Kubernetes API for the tests: the one that PYRUNBOOK_TEST_KUBECONFIG names, or the stand-in.

Every test has a namespace of its own, which is deleted afterwards.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_api import Api
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.generic_resource import GenericGlobalResource, create_api_info
from secrets_under_test import authority, pair_in
from standin import StandIn

from pyrunbook.kubernetes import client as connection
from pyrunbook.kubernetes.tls_secret import SecretPair
from pyrunbook.pki.issuers.local_ca import LocalAuthority

ENV_KUBECONFIG = "PYRUNBOOK_TEST_KUBECONFIG"


class Namespace(GenericGlobalResource):
    _api_info = create_api_info("", "v1", "Namespace", "namespaces")


class Node(GenericGlobalResource):
    _api_info = create_api_info("", "v1", "Node", "nodes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if item.get_closest_marker("real_api") and not os.environ.get(ENV_KUBECONFIG):
                reason = item.get_closest_marker("real_api").kwargs["reason"]
                item.add_marker(pytest.mark.skip(reason=f"needs {ENV_KUBECONFIG}: {reason}"))


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn | None]:
    if os.environ.get(ENV_KUBECONFIG):
        yield None
        return
    with StandIn(tmp_path_factory.mktemp("standin")) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(standin: StandIn | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all tests, as it is on a real API."""
    if standin is None:
        return Path(os.environ[ENV_KUBECONFIG])
    return standin.kubeconfig(tmp_path_factory.mktemp("kubeconfig") / "config")


@pytest.fixture
def api(standin: StandIn | None, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A fresh namespace and no client from another test; on the stand-in without faults, at its usual pace."""
    monkeypatch.setattr(connection, "_prepared", {})
    namespace = f"pyrunbook-{uuid.uuid4().hex[:8]}"
    client = Client(config=KubeConfig.from_file(kubeconfig))
    client.create(Namespace({"metadata": {"name": namespace}}))
    yield Api(kubeconfig, namespace, standin, tmp_path)
    if standin is not None:
        standin.heal()
        standin.requests.clear()
        standin.controllers.pace = type(standin.controllers.pace)()
    client.delete(Namespace, namespace)


@pytest.fixture
def standin_api(api: Api) -> Api:
    """As `api`, for tests that put faults on requests or need users of their own, which only the stand-in has."""
    if api.standin is None:
        pytest.skip("puts faults on requests, which a real API cannot")
    return api


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    """An authority of its own."""
    return authority(tmp_path_factory.mktemp("state") / "ca")


@pytest.fixture
def pair(api: Api) -> SecretPair:
    """The pair in the Secret of the service; nothing is there yet."""
    return pair_in(api.cluster())


@pytest.fixture
def kubelet_api(api: Api) -> Api:
    """As `api`, for tests whose pods must fail as a kubelet makes them fail."""
    if api.standin is None:
        found = list(Client(config=KubeConfig.from_file(api.kubeconfig)).list(Node))
        runtimes = [n["status"]["nodeInfo"].get("containerRuntimeVersion", "") for n in found]
        if not any(r.startswith(("containerd", "cri-o", "docker")) for r in runtimes):
            pytest.skip("this API has no kubelet that pulls images and runs containers")
    return api
