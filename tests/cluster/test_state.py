"""The live state of a service."""

from __future__ import annotations

import pytest
from cluster_api import Api, service

from pyrunbook.kubernetes import state
from pyrunbook.kubernetes.errors import ClusterError


def test_two_colors_are_read_as_the_contract_says(api: Api) -> None:
    target = api.two_colors(replicas=2)
    found = state.read(api.cluster(), target)
    endpoints = found["colors"]["blue"].pop("endpoints")
    assert len(endpoints) == 2 and all(e.endswith(":8000") for e in endpoints)
    assert {k: found[k] for k in ("active", "colors")} == {
        "active": "blue",
        "colors": {
            "blue": {"exists": True, "running": True, "replicas": 2, "ready": 2, "release": "1.0.4"},
            "green": {
                "exists": False,
                "running": False,
                "replicas": 0,
                "ready": 0,
                "release": None,
                "endpoints": [],
            },
        },
    }
    assert found["kubernetes"]["selector"] == {"app": "agent-factory", "version": "blue"}


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"app": "agent-factory"}, "has no key 'version'"),
        ({"app": "agent-factory", "version": "purple"}, "neither blue nor green"),
    ],
)
def test_an_unknown_active_color_is_an_error(api: Api, selector: dict[str, str], words: str) -> None:
    api.create(service("agent-factory", selector))
    with pytest.raises(ClusterError, match=words):
        state.read(api.cluster(), api.target)


def test_a_missing_service_is_an_error(api: Api) -> None:
    with pytest.raises(ClusterError, match="there is no Service agent-factory"):
        state.read(api.cluster(), api.target)


def test_the_release_is_the_tag_where_no_label_says_it() -> None:
    def with_image(image: str) -> dict[str, object]:
        return {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"image": image}]}}}}

    assert state.release_of(with_image("registry.example.com:5000/team/app:1.2.3")) == "1.2.3"
    assert state.release_of(with_image("registry.example.com:5000/team/app:1.2@sha256:00ff")) == "1.2"
    assert state.release_of(with_image("registry.example.com:5000/team/app")) is None


def test_a_rollback_may_start_where_no_color_serves(api: Api) -> None:
    assert state.read(api.cluster(), api.target, for_rollback=True)["active"] == "none"
    api.create(service("agent-factory", {"app": "agent-factory", "version": "purple"}))
    assert state.read(api.cluster(), api.target, for_rollback=True)["active"] == "none"
