"""Action plugin: back up the manifests of a service into one archive on this machine, proven by a restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Keeps the archive of the same id, so that a resumed run has the backup of its first attempt."""

    ARGUMENTS = {
        "id": {"type": "str", "required": True},
        "directory": {"type": "str", "default": ""},
    }
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Export, archive, restore into a scratch directory, compare."""
        from pyrunbook import places
        from pyrunbook.kubernetes import export

        chosen = arguments["directory"]
        directory = Path(chosen).expanduser() if chosen else places.home() / "backups" / target.service
        destination = directory / f"{arguments['id']}.tar.gz"
        if self.check_mode:
            count = sum(map(len, export.export(cluster, target).values()))
            return {"changed": not destination.exists(), "detail": f"would back up {count} manifests to {destination}"}
        places.private_directory(directory)
        summary = export.backup(cluster, target, destination)
        return {
            "changed": summary["created"],
            "backup": summary,
            "evidence": summary,
            "detail": f"{summary['files']} manifests, restored and compared",
        }
