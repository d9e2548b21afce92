"""Manifest files: read with file and line, and exported so that they can be applied again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes.apply import read_manifests
from pyrunbook.kubernetes.export import plain


def test_documents_of_files_and_directories_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("# a comment\nkind: ConfigMap\n---\n---\nkind: Service\n")
    (tmp_path / "a.json").write_text('{"kind": "List", "items": [{"kind": "Deployment"}]}')
    (tmp_path / "notes.txt").write_text("not a manifest")
    found = read_manifests([tmp_path])
    assert [(s.obj["kind"], s.at) for s in found] == [
        ("Deployment", f"{tmp_path}/a.json:1"),
        ("ConfigMap", f"{tmp_path}/b.yaml:2"),
        ("Service", f"{tmp_path}/b.yaml:5"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kind: ConfigMap\n data: [", r"x\.yaml:2 is not YAML"),
        ("kind: A\n---\njust text", r"x\.yaml:3: a manifest must be a mapping, this is str"),
        ("kind: List\nitems: [text]", r"x\.yaml:1: the items of a List must be manifests"),
        ("# nothing", "there is no manifest to apply"),
    ],
)
def test_what_is_no_manifest_is_said_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(BadInput, match=words):
        read_manifests([tmp_path / "x.yaml"])


def test_missing_and_empty_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="gone does not exist"):
        read_manifests([tmp_path / "gone"])
    with pytest.raises(BadInput, match="holds no manifest"):
        read_manifests([tmp_path])
    with pytest.raises(BadInput, match="no manifest to apply"):
        read_manifests([])


def test_an_export_has_nothing_that_the_cluster_set() -> None:
    live = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "x",
            "namespace": "n",
            "uid": "u",
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-01T00:00:00Z",
            "managedFields": [{}],
            "annotations": {"deployment.kubernetes.io/revision": "3"},
        },
        "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "selector": {"a": "b"}},
        "status": {"loadBalancer": {}},
    }
    assert plain(live) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x"},
        "spec": {"selector": {"a": "b"}},
    }
    assert live["metadata"]["uid"] == "u", "the live object is left as it was"


def test_a_headless_service_stays_headless() -> None:
    live = {"kind": "Service", "metadata": {"name": "x"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}
    assert plain(live)["spec"] == {"clusterIP": "None"}
