"""Which cluster is meant: a kubeconfig file and a context in it, found as kubectl finds them.

Nothing here prints what a kubeconfig says about credentials; a parse error gives the line, never its text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import yaml
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from pyrunbook.errors import BadInput

_PATHS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
}
_EXEC_INFO = (
    '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","spec":{"interactive":false}}'
)


def files(kubeconfig: str | None) -> list[Path]:
    """The kubeconfig files that count: the one given, else `KUBECONFIG`, else `~/.kube/config`; empty in a pod."""
    if kubeconfig:
        return [Path(kubeconfig).expanduser()]
    from_environment = [Path(p).expanduser() for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    if from_environment:
        return from_environment
    default = Path("~/.kube/config").expanduser()
    return [] if not default.exists() and Path(SERVICE_ACCOUNT, "token").exists() else [default]


def load(kubeconfig: str | None, context: str | None) -> tuple[SingleConfig, str | None]:
    """Read the kubeconfig and choose the context.

    Args:
        kubeconfig: path of the file; `None` as kubectl resolves it.
        context: name of the context; `None` for the current one.

    Returns:
        the configuration, and the URL of the proxy that the cluster wants, if any.

    Raises:
        BadInput: a file cannot be read or understood, or there is no such context.
    """
    paths = files(kubeconfig)
    if not paths:
        return _in_cluster(context), None
    document = _merged(paths)
    names = ", ".join(str(p) for p in paths)
    try:
        config = KubeConfig.from_dict(document, fname=paths[0])
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else type(error).__name__
        raise BadInput(
            f"kubeconfig {names} is not a kubeconfig: {what}",
            next_step=f"check it with: kubectl --kubeconfig {names} config view",
        ) from None
    wanted = context or config.current_context
    known = ", ".join(sorted(config.contexts)) or "none"
    if not wanted:
        raise BadInput(
            f"kubeconfig {names} has no current context, and none was given (contexts there: {known})",
            next_step="set service_context in the inventory",
        )
    if wanted not in config.contexts:
        raise BadInput(
            f"kubeconfig {names} has no context {wanted!r} (contexts there: {known})",
            next_step="set service_context in the inventory to one of them",
        )
    try:
        single = config.get(wanted)
    except KeyError as error:
        raise BadInput(f"kubeconfig {names}: context {wanted!r} names {error}, which is not defined") from None
    assert single is not None  # noqa: S101  (a context by name is found or raises)
    raw = next(c["cluster"] for c in document["clusters"] if c["name"] == single.context.cluster)
    if raw.get("tls-server-name"):
        raise BadInput(
            f"kubeconfig {names}: cluster {single.context.cluster!r} sets tls-server-name, which is not supported",
            next_step="use a server name that its certificate has",
        )
    return single, raw.get("proxy-url")


def _in_cluster(context: str | None) -> SingleConfig:
    if context:
        raise BadInput(f"context {context!r} was given, but there is no kubeconfig (running inside a pod)")
    try:
        single = KubeConfig.from_service_account().get()
    except (ConfigError, KeyError, OSError) as error:
        raise BadInput(f"the pod's service account cannot be used: {error}") from error
    assert single is not None  # noqa: S101
    return single


def _merged(paths: list[Path]) -> dict[str, Any]:
    """All files as one; of a name that occurs twice the first counts, as with kubectl."""
    merged: dict[str, Any] = {"clusters": [], "contexts": [], "users": [], "current-context": None}
    several = len(paths) > 1
    for path in paths:
        if several and not path.exists():
            continue
        document = _read(path)
        merged["current-context"] = merged["current-context"] or document.get("current-context") or None
        for section in ("clusters", "contexts", "users"):
            entries = document.get(section) or []
            if not isinstance(entries, list) or not all(isinstance(e, dict) and "name" in e for e in entries):
                raise BadInput(f"kubeconfig {path}: {section} must be a list of named entries")
            taken = {entry["name"] for entry in merged[section]}
            merged[section] += [_absolute(section, e, path) for e in entries if e["name"] not in taken]
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise BadInput(
            f"kubeconfig {path} does not exist",
            next_step="set service_kubeconfig in the inventory, or KUBECONFIG",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(f"kubeconfig {path} cannot be read: {reason}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise BadInput(f"kubeconfig {path}{line} is not YAML: {getattr(error, 'problem', 'unreadable')}") from None
    if not isinstance(document, dict):
        raise BadInput(f"kubeconfig {path} is not a kubeconfig: it holds {type(document).__name__}, not a mapping")
    return document


def _absolute(section: str, entry: dict[str, Any], path: Path) -> dict[str, Any]:
    """The entry with its file names absolute, and its credential plugin in a version that lightkube accepts."""
    if section not in _PATHS:
        return entry
    key, names = _PATHS[section]
    body = dict(entry.get(key) or {})
    for name in names:
        if body.get(name):
            body[name] = str(path.absolute().parent / Path(body[name]).expanduser())
    plugin = body.get("exec")
    if isinstance(plugin, dict):
        # The answer's `status.token`, all that lightkube reads, is the same in v1 and v1beta1.
        environment = [*(plugin.get("env") or []), {"name": "KUBERNETES_EXEC_INFO", "value": _EXEC_INFO}]
        body["exec"] = {**plugin, "apiVersion": "client.authentication.k8s.io/v1beta1", "env": environment}
    return {**entry, key: body}
