"""The inventories for Kubernetes, and the manifests that they name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyrunbook import windows
from pyrunbook.kubernetes.apply import read_manifests
from pyrunbook.kubernetes.kinds import MANAGED
from pyrunbook.kubernetes.target import COLORS

ROOT = Path(__file__).parents[2]


def variables(name: str) -> dict[str, Any]:
    path = ROOT / "inventories" / name / "group_vars" / "services.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize(("name", "strategy"), [("production", "controlled_stop"), ("staging", "zero_downtime")])
def test_an_inventory_says_what_an_update_needs(name: str, strategy: str) -> None:
    said = variables(name)
    assert (said["service_platform"], said["update_strategy"]) == ("kubernetes", strategy)
    assert set(said["service_colors"]) == set(COLORS)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    windows.decide(
        windows.Schedule.read(said["update_window"], exclusions=said.get("update_window_exclusions", [])), noon
    )
    assert [contact["level"] for contact in said["runbook_contacts"]] == ["L1", "L2", "L3", "L4", "security"]


def test_production_keeps_the_window_of_the_source_runbook() -> None:
    assert variables("production")["update_window"] == "Sun 02:00-04:00 UTC"


@pytest.mark.parametrize("color", COLORS)
def test_the_example_manifests_are_of_their_color(color: str) -> None:
    sources = read_manifests([ROOT / "docs/kubernetes/deployment/blue-green" / color])
    names = variables("production")["service_colors"]
    assert {s.obj["kind"] for s in sources} <= set(MANAGED)
    deployments = [s.obj["metadata"]["name"] for s in sources if s.obj["kind"] == "Deployment"]
    assert deployments == [names[color]["deployment"]]
    for source in sources:
        assert source.obj["metadata"]["labels"] == {"app": "agent-factory", "version": color}
