"""The backup of a service's manifests."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import yaml
from cluster_api import Api

from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.export import backup, export


def test_the_archive_holds_what_is_there_and_no_secret(api: Api, tmp_path: Path) -> None:
    target = api.two_colors(replicas=1, autoscaler=True)
    destination = tmp_path / "backups" / "7f3a0001.tar.gz"
    summary = backup(api.cluster(), target, destination)
    assert summary["created"] and summary["files"] == 6 and destination.stat().st_mode & 0o777 == 0o600
    with tarfile.open(destination) as archive:
        names = [n for n in archive.getnames() if n.endswith(".yaml")]
        stream = archive.extractfile("tree/manifests/blue/deployment-agent-factory-blue.yaml")
        assert stream is not None
        found = yaml.safe_load(stream.read())
    assert not [n for n in names if "secret" in n]
    assert found in export(api.cluster(), target)["blue"]


def test_the_backup_of_a_run_is_kept_and_a_damaged_one_is_not_trusted(api: Api, tmp_path: Path) -> None:
    target = api.two_colors(replicas=1)
    destination = tmp_path / "7f3a0001.tar.gz"
    first = backup(api.cluster(), target, destination)
    assert backup(api.cluster(), target, destination) == {**first, "created": False}
    destination.write_bytes(destination.read_bytes()[:-200])
    with pytest.raises(ClusterError, match="damaged"):
        backup(api.cluster(), target, destination)
