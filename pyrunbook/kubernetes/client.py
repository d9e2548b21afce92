"""The connection to one namespace of a cluster: retries, timeouts, and errors in the operator's words.

Every write that pyrunbook sends is conditional (a resourceVersion or a test), a server-side apply, or a
deletion, so that sending it twice does no harm; that is why every request may be retried.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx2
import msgspec
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.models.meta_v1 import Status
from lightkube.types import CascadeType, PatchType

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes import kubeconfig as kubeconfig_files
from pyrunbook.kubernetes.errors import (
    CERTIFICATES_ROLE_FILE,
    ROLE_FILE,
    ClusterError,
    Conflict,
    Forbidden,
    Missing,
    Rejected,
    Unauthorized,
    Unreachable,
)
from pyrunbook.kubernetes.kinds import RESOURCES, Manifest, api_version, resource_name

FIELD_MANAGER = "pyrunbook"
"""The name under which the API records which fields are ours."""
TIMEOUT = httpx2.Timeout(15.0, connect=5.0)
"""Seconds for one request: to connect, and between two pieces of an answer."""
PATIENCE = 20.0
"""Seconds during which an unanswered, failing or denied request is tried again."""
PATIENCE_TO_PUT_BACK = 60.0
"""The same for what leaves the service in the middle when it is given up: as long as an API takes to be restarted."""

_RACES = 5
_UNTYPED = ("failed to create typed patch object", "failed to create typed new object")
"""How a server-side apply says that an object does not fit its schema: with status 500, and for good."""
_UNREADY = ("not yet ready to handle request", "status unknown for quota")
"""How admission says, with status 403, that it has not read its own policies or quotas yet."""
T = TypeVar("T")
Heartbeat = Callable[[], None]
"""Renews the lock of the run, and raises when it is lost."""


@dataclass
class _Prepared:
    """A client that was built, and the process that has used it (connections do not survive a fork)."""

    client: Client
    config: SingleConfig
    used_by: int | None = None


_prepared: dict[tuple[object, ...], _Prepared] = {}


def prepare(kubeconfig: str | None = None, context: str | None = None) -> None:
    """Read the kubeconfig, build the TLS context and the client, without connecting.

    Called in the parent of Ansible's workers: a fork then finds all of that done. What is wrong with the
    kubeconfig is left for the task that needs it to say.
    """
    with suppress(BadInput):
        _client(kubeconfig, context)


def connect(
    kubeconfig: str | None, context: str | None, namespace: str | None, *, patience: float = PATIENCE
) -> Cluster:
    """The connection to a namespace; nothing is sent yet.

    Args:
        kubeconfig: path; `None` as kubectl resolves it, or the pod's service account.
        context: name; `None` for the current one.
        namespace: `None` for the context's.
        patience: seconds during which a failing request is tried again.

    Raises:
        BadInput: the kubeconfig is unreadable or has no such context.
    """
    prepared = _client(kubeconfig, context)
    return Cluster(prepared.client, prepared.config, namespace or prepared.config.namespace, patience)


def _client(kubeconfig: str | None, context: str | None) -> _Prepared:
    stamps = []
    for path in kubeconfig_files.files(kubeconfig):
        try:
            stat = path.stat()
            stamps.append((str(path), stat.st_mtime_ns, stat.st_size))
        except OSError:
            stamps.append((str(path), 0, 0))
    key = (*stamps, context)
    entry = _prepared.get(key)
    if entry is None or entry.used_by not in (None, os.getpid()):
        config, proxy = kubeconfig_files.load(kubeconfig, context)
        try:
            client = Client(config=config, timeout=TIMEOUT, field_manager=FIELD_MANAGER, proxy=proxy)
        except (ConfigError, OSError, ValueError, AssertionError, httpx2.InvalidURL) as error:
            raise BadInput(
                f"context {config.context_name!r} cannot be used: {type(error).__name__}: {error}",
                next_step="check the certificates, keys and user that the kubeconfig names",
            ) from None
        entry = _prepared[key] = _Prepared(client, config)
    return entry


def tries(count: int) -> Iterator[int]:
    """Count the tries of a write that another one may come before; each but the first begins with a short pause."""
    for attempt in range(count):
        time.sleep(0.05 * attempt)
        yield attempt


def no_heartbeat() -> None:
    """The heartbeat of a connection whose user holds no lock."""


@dataclass
class Cluster:
    """One namespace of a cluster. Objects are dicts as the API has them.

    Args:
        client: lightkube's client.
        config: what it was built from.
        namespace: the only namespace that this connection reads or writes.
        patience: seconds during which a failing request is tried again.
        heartbeat: called over and over while something is waited for.
    """

    client: Client = field(repr=False)
    config: SingleConfig = field(repr=False)
    namespace: str
    patience: float
    heartbeat: Heartbeat = no_heartbeat

    @property
    def _server(self) -> str:
        return str(self.config.cluster.server)

    @property
    def _context(self) -> str:
        return str(self.config.context_name)

    def within(self, seconds: float) -> Cluster:
        """The same connection with no more patience than this: for what is good to know and not worth a wait."""
        return replace(self, patience=min(self.patience, seconds))

    def at_least(self, seconds: float) -> Cluster:
        """The same connection with no less patience than this: for what must not be given up half-way."""
        return replace(self, patience=max(self.patience, seconds))

    def keeping(self, heartbeat: Heartbeat) -> Cluster:
        """The same connection with a heartbeat."""
        return replace(self, heartbeat=heartbeat)

    def get(self, kind: str, name: str) -> Manifest | None:
        """The object, or `None` when it is not there."""
        try:
            return dict(self._send("get", kind, name, lambda c: c.get(RESOURCES[kind], name, namespace=self.namespace)))
        except Missing:
            return None

    def list_all(self, kind: str, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        """All objects of the kind, or those that carry all of `labels`."""
        chosen: Any = dict(labels) if labels else None

        def read(client: Client) -> list[Manifest]:
            return [*client.list(RESOURCES[kind], namespace=self.namespace, labels=chosen)]

        # The items of a list carry neither of the two.
        about = {"apiVersion": api_version(kind), "kind": kind}
        return [{**item, **about} for item in self._send("list", kind, None, read)]

    def create(self, obj: Manifest) -> Manifest:
        """Create the object.

        Raises:
            Conflict: it exists already (`exists` is set); perhaps since a first try whose answer was lost.
        """
        kind = obj["kind"]
        resource = RESOURCES[kind](_plain(obj))
        place = None if kind == "SelfSubjectAccessReview" else self.namespace
        return dict(self._send("create", kind, _name(obj), lambda c: c.create(resource, namespace=place)))

    def replace(self, obj: Manifest) -> Manifest:
        """Put the object in place of what is there; its `resourceVersion` is the condition.

        Raises:
            Conflict: it has changed since it was read.
        """
        resource = RESOURCES[obj["kind"]](_plain(obj))
        return dict(
            self._send("update", obj["kind"], _name(obj), lambda c: c.replace(resource, namespace=self.namespace))
        )

    def apply(self, obj: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Server-side apply as field manager `pyrunbook`.

        Raises:
            Conflict: another manager owns a field that the object sets differently (see `causes`).
        """
        return self._patch(obj["kind"], _name(obj), _plain(obj), PatchType.APPLY, force=force, dry_run=dry_run)

    def merge_patch(self, kind: str, name: str, patch: Manifest) -> Manifest:
        """JSON merge patch (RFC 7386), without a condition."""
        for _ in tries(_RACES):
            with suppress(Conflict):  # a race inside the API: no condition was set
                return self._patch(kind, name, patch, PatchType.MERGE)
        return self._patch(kind, name, patch, PatchType.MERGE)

    def json_patch(self, kind: str, name: str, operations: list[Manifest]) -> Manifest:
        """JSON patch (RFC 6902).

        Raises:
            Rejected: a `test` in it does not hold.
        """
        return self._patch(kind, name, operations, PatchType.JSON)

    def delete(self, kind: str, name: str, *, propagation: str = "Background") -> bool:
        """Ask for the deletion of the object; `False` when it is not there.

        Args:
            propagation: `Background` or `Foreground` (the object goes after what it owns).
        """
        try:
            self._send(
                "delete",
                kind,
                name,
                lambda c: c.delete(RESOURCES[kind], name, namespace=self.namespace, cascade=CascadeType(propagation)),
            )
        except Missing:
            return False
        return True

    def pod_log(self, pod: str, container: str, lines: int) -> list[str]:
        """The last lines that a container wrote, without line ends."""
        return self._send(
            "get",
            "Pod",
            pod,
            lambda c: list(c.log(pod, namespace=self.namespace, container=container, tail_lines=lines, newlines=False)),
            subresource="log",
        )

    def _patch(self, kind: str, name: str, body: Any, patch_type: PatchType, **options: bool) -> Manifest:
        where: dict[str, Any] = {"namespace": self.namespace, "patch_type": patch_type, **options}
        return dict(self._send("patch", kind, name, lambda c: c.patch(RESOURCES[kind], name, body, **where)))

    def _send(self, verb: str, kind: str, name: str | None, call: Callable[[Any], T], *, subresource: str = "") -> T:
        """Send until there is an answer that counts, or patience ends."""
        for entry in _prepared.values():
            if entry.client is self.client:
                entry.used_by = os.getpid()
        resource = resource_name(kind) + (f"/{subresource}" if subresource else "")
        what = f"{verb} {resource}{f' {name}' if name else ''} in namespace {self.namespace}"
        deadline = time.monotonic() + self.patience
        pause = 0.1
        while True:
            try:
                return call(self.client)
            except (httpx2.HTTPError, msgspec.MsgspecError, KeyError, ConfigError) as error:
                last, retry_after, denied = self._temporary(error, what, verb, resource)
            wait = max(pause * random.uniform(0.8, 1.2), min(retry_after, 5.0))  # noqa: S311
            if time.monotonic() + wait > deadline:
                if denied:
                    raise denied
                raise Unreachable(
                    f"the API {self._server} did not do it within {self.patience:g} s: {what}; last: {last}",
                    means="the cluster cannot be reached or is failing",
                    next_step=f"kubectl --context {self._context} get --raw /readyz",
                )
            time.sleep(wait)
            pause = min(pause * 2, 2.0)

    def _temporary(self, error: Exception, what: str, verb: str, resource: str) -> tuple[str, float, Exception | None]:
        """For an error that may pass: what was seen, the seconds that the API asks to wait, and the error at the end.

        That an API denies (401, 403) may pass as well: one that was restarted does so for some seconds, until it has
        read users, roles, quotas and policies. That there is no such object is only believed of the API itself, not
        of a proxy before it.

        Raises:
            PyrunbookError: for one that will not pass by asking again.
        """
        if isinstance(error, httpx2.HTTPStatusError):
            status = error.status if isinstance(error, ApiError) else None
            code = error.response.status_code if error.response is not None else 500
            said = f": {status.message}" if status and status.message else ""
            last, retry_after = f"answered {code}{said}", _seconds(error.response)
            unready = any(words in said for words in _UNREADY)
            if code == 401 or (code == 403 and (unready or not _by_admission(said))):
                return last, retry_after, self._refused(what, verb, resource, code, status)
            # Reading, asking and deleting set no condition, so a conflict is a race inside the API.
            raced = code == 409 and (verb in ("get", "list", "delete") or resource.startswith("selfsubject"))
            foreign = code == 404 and not (status and status.reason)
            unfit = code == 500 and said.removeprefix(": ").startswith(_UNTYPED)
            if unfit or (code not in (408, 429) and code < 500 and not raced and not foreign):
                raise self._refused(what, verb, resource, code, status) from None
            return last, retry_after, None
        if isinstance(error, ConfigError):
            raise BadInput(f"the credentials of context {self._context!r} cannot be used: {error}") from None
        if isinstance(error, httpx2.HTTPError):
            if "CERTIFICATE_VERIFY" in str(error):
                raise BadInput(
                    f"the certificate of the API {self._server} is not trusted by context {self._context!r}",
                    next_step="check the server and certificate-authority that the kubeconfig names",
                ) from None
            return f"{type(error).__name__}{f': {error}' if str(error) else ''}", 0.0, None
        return f"the answer is not one of a Kubernetes API ({type(error).__name__})", 0.0, None

    def _refused(self, what: str, verb: str, resource: str, code: int, status: Status | None) -> Exception:
        """The error for an answer that does not change by asking again."""
        said = (status.message if status else "") or f"status {code}"
        if code == 401:
            return Unauthorized(
                f"the API {self._server} does not accept the credentials of context {self._context!r} (401), "
                f"asked again for {self.patience:g} s",
                next_step="log in again, or set service_kubeconfig and service_context to a user it knows",
            )
        if code == 403 and _by_admission(said):
            return Rejected(
                f"refused by the API, though the permission is there: {what}: {said}",
                means="a quota, an admission policy or the state of the namespace does not allow it",
                next_step=f"kubectl describe namespace {self.namespace}",
            )
        if code == 403:
            role = CERTIFICATES_ROLE_FILE if resource == "secrets" else ROLE_FILE
            return Forbidden(
                f"forbidden, asked again for {self.patience:g} s: {verb} on {resource} in namespace {self.namespace}: "
                f"{said}",
                means=f"the user of context {self._context!r} lacks verb {verb!r} on {resource}, "
                "or the API was restarted and has not read its roles yet",
                next_step=f"kubectl --namespace {self.namespace} auth can-i {verb} "
                f"{resource.replace('/', ' --subresource=')}; when that says no: "
                f"kubectl --namespace {self.namespace} apply -f {role} and bind the Role to that user",
            )
        if code == 404:
            return Missing(f"not there: {what}: {said}")
        if code == 409:
            details = status.details if status else None
            causes = [
                {"reason": c.reason or "", "message": c.message or "", "field": c.field or ""}
                for c in (details.causes if details and details.causes else [])
            ]
            exists = bool(status and status.reason == "AlreadyExists")
            return Conflict(f"conflict: {what}: {said}", causes=causes, exists=exists)
        if code in (400, 405, 413, 415, 422, 500):
            return Rejected(f"rejected by the API: {what}: {said}")
        return ClusterError(f"the API answered {code}: {what}: {said}")


def _plain(obj: Manifest) -> Manifest:
    """The object with its own `apiVersion`, as a new dict."""
    return {**obj, "apiVersion": api_version(obj["kind"])}


def _name(obj: Manifest) -> str:
    return str(obj.get("metadata", {}).get("name", ""))


def _by_admission(message: str) -> bool:
    """Whether a 403 is not an authorizer's (`… is forbidden: User "x" cannot patch resource …`) but admission's.

    Admission says `… is forbidden: exceeded quota …`, `… is forbidden: unable to create new content in namespace x
    because it is being terminated`, `admission webhook "x" denied the request`.
    """
    return "denied the request" in message or ("is forbidden: " in message and "is forbidden: User " not in message)


def _seconds(response: httpx2.Response | None) -> float:
    """The `Retry-After` of an answer, 0 when it has none."""
    try:
        return float(response.headers.get("Retry-After", 0)) if response is not None else 0.0
    except ValueError:
        return 0.0
