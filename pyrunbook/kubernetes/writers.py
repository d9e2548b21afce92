"""Who else writes an object: the manager that wrote it last, and the GitOps program that tracks it."""

from __future__ import annotations

from pyrunbook.kubernetes.client import FIELD_MANAGER
from pyrunbook.kubernetes.kinds import Manifest

_CLUSTER_OWN = frozenset({FIELD_MANAGER, "kube-controller-manager", "kube-apiserver", "kubelet"})
_TRACKED = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""The labels and annotations by which they know what is theirs; the value names their application."""


def tracked_by(obj: Manifest) -> str:
    """`Argo CD, shop`: which GitOps program says that the object is its own; empty when none does."""
    metadata = obj.get("metadata") or {}
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    for key, program in _TRACKED.items():
        if marks.get(key):
            return f"{program}, {str(marks[key]).split(':')[0]}"
    return ""


def written_by(obj: Manifest) -> str:
    """` by argocd-controller (Argo CD, shop)`: who wrote the object last besides us and the cluster; else empty."""
    entries = (obj.get("metadata") or {}).get("managedFields") or []
    others = [e for e in entries if e.get("manager") not in _CLUSTER_OWN and not e.get("subresource")]
    last = max(others, key=lambda e: str(e.get("time") or ""), default=None)
    program = tracked_by(obj)
    if last is None:
        return f" by {program}" if program else ""
    return f" by {last['manager']}{f' ({program})' if program else ''}"
