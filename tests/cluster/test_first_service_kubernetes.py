"""docs/guides/first_service.md, typed: a service on Kubernetes, with the example's manifests."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from by_hand import STOPPING, Shell
from cluster_api import Api
from first_service_guide import blocks, typed, write_variables
from test_runbook import Operator, install_what_is_shipped, operator, serving, shipped

__all__ = ["operator"]  # a fixture


def test_a_service_on_kubernetes_is_updated_and_put_back(api: Api, operator: Operator, tmp_path: Path) -> None:
    install_what_is_shipped(api)
    with Shell(STOPPING, {**operator.environment(), "PYRUNBOOK_CONTENT": ""}, tmp_path) as shell:
        _, start = blocks("Install it, and start a project", "bash")
        typed(shell, start)
        project = tmp_path / "runbooks"
        (permission,) = blocks("On Kubernetes", "bash")
        for file in re.findall(r"-f (\S+)", permission):
            assert (project / file).is_file()
        (variables,) = blocks("On Kubernetes", "yaml")
        for example, here in {
            "service_context: production": f"service_kubeconfig: {api.kubeconfig}",
            "service_namespace: agent-factory": f"service_namespace: {api.namespace}",
            "https://agent-factory.example.com": f"{operator.front.url}/service",
            "http://agent-factory-blue.example.com": f"{operator.front.url}/blue",
            "http://agent-factory-green.example.com": f"{operator.front.url}/green",
            "Sun 02:00-04:00 UTC": "always",
        }.items():
            assert example in variables
            variables = variables.replace(example, here)
        more = {"deploy_green_stable_seconds": 0, "drain_delay": 0}  # nobody waits here
        write_variables(project, variables + "".join(f"{name}: {value}\n" for name, value in more.items()))
        for color in ("blue", "green"):
            shutil.copytree(shipped(color), project / "deployment" / color)
        update, back = blocks("Look, then update", "bash")
        said = typed(shell, update)
        assert "✗" not in said and "Succeeded in" in said, said
        assert serving(api)[:2] == ("green", "1.1.0")
        assert "Succeeded in" in typed(shell, back)
        assert serving(api)[:2] == ("blue", "1.0.4")
