"""The HTTP side of the stand-in: TLS, tokens, RBAC, routing, patches, watches, and faults on demand."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from . import certificates, fields
from .controllers import Controllers
from .store import BY_PATH, RESOURCES, Obj, Refusal, Resource, Store, modified


@dataclass
class Fault:
    """What shall go wrong with the next requests that match.

    `action` is a status code (`message` is what it says), `reset` (the connection is closed unanswered, nothing was
    done), `lost` (it is done, but the answer is lost, and nobody answers for `seconds`: the process dies after it has
    written to etcd), `slow` (answered after `seconds`), `hold` (as `reset`, after `seconds`), `proxy` (a proxy before
    the API answers 404 in its own words, which are no Status), or `restart` (as `StandIn.restart`, away and blind for
    `seconds` each).
    """

    action: int | str
    verb: str | None = None
    resource: str | None = None
    times: int = 1
    seconds: float = 0.0
    message: str = "a fault that the test asked for"

    def matches(self, verb: str, resource: str) -> bool:
        return self.times > 0 and self.verb in (None, verb) and self.resource in (None, resource)


_OF_EVERYBODY = ("selfsubjectaccessreviews",)
"""What ClusterRole system:basic-user lets every user do."""


@dataclass
class User:
    """Who has a token, and what RBAC lets them do; `rules` of `None` lets them do everything."""

    name: str
    rules: list[Obj] | None = None

    def may(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        if self.rules is None or resource in _OF_EVERYBODY:
            return True
        return any(
            group in rule["apiGroups"]
            and resource in rule["resources"]
            and verb in rule["verbs"]
            and ("resourceNames" not in rule or name in rule["resourceNames"])
            for rule in self.rules
        )


@dataclass
class Request:
    """What was asked, for tests that count or compare."""

    user: str
    verb: str
    group: str
    resource: str
    name: str
    code: int = 0


@dataclass
class StandIn:
    """A running stand-in. Use as a context manager."""

    directory: Path
    store: Store = field(default_factory=Store)
    users: dict[str, User] = field(default_factory=lambda: {"admin-token": User("admin")})
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    away_until: float = 0.0
    blind_until: float = 0.0
    log_lines: Callable[[Obj], list[str]] = lambda pod: [f"{pod['metadata']['name']} started", "cannot open database"]

    def __enter__(self) -> StandIn:
        self.controllers = Controllers(self.store)
        authority, certificate = certificates.write(self.directory)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.standin = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is done by the thread of the connection, not by the one that accepts.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.authority = authority
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.controllers.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.controllers.stop()
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, path: Path, *, token: str = "admin-token", namespace: str = "default") -> Path:
        """Write a kubeconfig with one context, `standin`."""
        cluster = {
            "server": self.url,
            "certificate-authority-data": base64.b64encode(self.authority.read_bytes()).decode(),
        }
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "standin",
            "clusters": [{"name": "standin", "cluster": cluster}],
            "users": [{"name": "tester", "user": {"token": token}}],
            "contexts": [
                {"name": "standin", "context": {"cluster": "standin", "user": "tester", "namespace": namespace}}
            ],
        }
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)
        return path

    def fail(
        self,
        action: int | str,
        *,
        verb: str | None = None,
        resource: str | None = None,
        times: int = 1,
        seconds: float = 0.0,
        message: str = "a fault that the test asked for",
    ) -> None:
        """Put a fault on the next `times` matching requests."""
        with self.store.lock:
            self.faults.append(Fault(action, verb, resource, times, seconds, message))

    def restart(self, *, away: float = 0.0, blind: float = 0.0) -> None:
        """As a kube-apiserver that is restarted: nobody answers for `away` seconds; then it denies for `blind` seconds.

        The RBAC authorizer of a new process knows no role or binding until its informers have listed them. Until then
        it denies everything to everybody but group system:masters (users without rules, here), also the question what
        is allowed, in the words of a permission that is missing. Seen in 3 of 3 restarts of 1.36.2.
        """
        self.away_until = time.monotonic() + away
        self.blind_until = self.away_until + blind

    def heal(self) -> None:
        """End every fault."""
        with self.store.lock:
            self.faults.clear()
        self.away_until = self.blind_until = 0.0

    def take_fault(self, verb: str, resource: str) -> Fault | None:
        with self.store.lock:
            for fault in self.faults:
                if fault.matches(verb, resource):
                    fault.times -= 1
                    return fault
        return None


_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    409: "Conflict",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    standin: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


class _Dropped(Exception):
    """The connection is to be closed without an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    @property
    def standin(self) -> StandIn:
        return cast(_Server, self.server).standin

    def _serve(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(split.query).items()}
        try:
            self._answer(method, [unquote(p) for p in split.path.split("/") if p], query, body)
        except Refusal as refusal:
            self._status(refusal)
        except _Dropped:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, method: str, parts: list[str], query: dict[str, str], body: bytes) -> None:
        if time.monotonic() < self.standin.away_until:
            raise _Dropped
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        user = self.standin.users.get(token)
        if user is None:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if discovered := _discovery(parts):
            return self._json(200, discovered)
        call = _Call(self.standin, user, method, parts, query, body, self.headers)
        record = Request(user.name, call.verb, call.resource.group, call.path_resource, call.name or "")
        self.standin.requests.append(record)
        # A new process that knows no roles yet refuses before anything else can happen to the request.
        fault = None if call.blind else self.standin.take_fault(call.verb, call.path_resource)
        try:
            if fault and isinstance(fault.action, int):
                raise Refusal(fault.action, _REASONS.get(fault.action, "InternalError"), fault.message)
            if fault and fault.action == "proxy":
                record.code = 404
                return self._send(404, b"404 page not found\n", "text/plain")
            if fault and fault.action in ("slow", "hold"):
                time.sleep(fault.seconds)
            if fault and fault.action == "restart":
                self.standin.restart(away=fault.seconds, blind=fault.seconds)
            if fault and fault.action in ("reset", "hold", "restart"):
                raise _Dropped
            if call.verb == "watch":
                return self._watch(call)
            answer = call.perform()
            if fault and fault.action == "lost":
                if fault.seconds:
                    self.standin.restart(away=fault.seconds)
                raise _Dropped
        except Refusal as refusal:
            record.code = refusal.code
            raise
        record.code = 200
        if isinstance(answer, str):
            return self._send(200, answer.encode(), "text/plain")
        return self._json(201 if call.verb == "create" else 200, answer)

    def _watch(self, call: _Call) -> None:
        call.authorize()
        store = self.standin.store
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = time.monotonic() + float(call.query.get("timeoutSeconds", 30))
        with store.lock:
            start = call.query.get("resourceVersion")
            last = int(start) if start else store.version
            events = [] if start else [("ADDED", obj) for obj in call.listed()]
        while True:
            with store.lock:
                events += [
                    (e, o) for v, e, r, o in store.history if v > last and r == call.resource and call.matches(o)
                ]
                last = store.version
                if not events and time.monotonic() < end:
                    store.changed.wait(0.2)
            for event, obj in events:
                line = json.dumps({"type": event, "object": obj}).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            if events:
                self.wfile.flush()
            elif time.monotonic() >= end:
                break
            events = []
        self.wfile.write(b"0\r\n\r\n")

    def _status(self, refusal: Refusal) -> None:
        status = {
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": refusal.message,
            **({"reason": refusal.reason} if refusal.reason else {}),
            "details": {"causes": refusal.causes} if refusal.causes else {},
            "code": refusal.code,
        }
        self._json(refusal.code, status)

    def _json(self, code: int, obj: Any) -> None:
        self._send(code, json.dumps(obj).encode(), "application/json")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Call:
    """One request to one resource."""

    def __init__(
        self,
        standin: StandIn,
        user: User,
        method: str,
        parts: list[str],
        query: dict[str, str],
        body: bytes,
        headers: Any,
    ) -> None:
        self.store, self.user, self.query, self.body, self.standin = standin.store, user, query, body, standin
        self.content_type = (headers.get("Content-Type") or "").split(";")[0]
        agent = (headers.get("User-Agent") or "unknown").split("/")[0]
        self.manager = query.get("fieldManager") or agent
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        self.namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            self.namespace, rest = rest[1], rest[2:]
        resource = BY_PATH.get((group, version, rest[0] if rest else ""))
        if resource is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        self.resource: Resource = resource
        self.name = rest[1] if len(rest) > 1 else None
        self.subresource = rest[2] if len(rest) > 2 else ""
        self.path_resource = resource.plural + (f"/{self.subresource}" if self.subresource else "")
        if method == "GET":
            watching = query.get("watch") in ("true", "1")
            self.verb = "get" if self.name else "watch" if watching else "list"
        else:
            self.verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]

    @property
    def blind(self) -> bool:
        return self.user.rules is not None and time.monotonic() < self.standin.blind_until

    def authorize(self, verb: str | None = None) -> None:
        verb = verb or self.verb
        if self.blind or not self.user.may(verb, self.resource.group, self.path_resource, self.name or ""):
            full = f"{self.resource.plural}.{self.resource.group}" if self.resource.group else self.path_resource
            raise Refusal(
                403,
                "Forbidden",
                f'{full} "{self.name or ""}" is forbidden: User "{self.user.name}" cannot {verb} resource '
                f'"{self.path_resource}" in API group "{self.resource.group}" in the namespace "{self.namespace}"',
            )

    def perform(self) -> Any:
        self.authorize()
        with self.store.lock:
            before = copy.deepcopy(self.store.records) if self.query.get("dryRun") else None
            version, history = self.store.version, len(self.store.history)
            try:
                return copy.deepcopy(getattr(self, f"_{self.verb}")())
            finally:
                if before is not None:
                    self.store.records = before
                    self.store.version = version
                    del self.store.history[history:]

    def matches(self, obj: Obj) -> bool:
        metadata = obj["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        for term in filter(None, self.query.get("fieldSelector", "").split(",")):
            key, _, value = term.partition("=")
            if key == "metadata.name" and metadata["name"] != value.lstrip("="):
                return False
        labels = metadata.get("labels") or {}
        for term in filter(None, self.query.get("labelSelector", "").split(",")):
            key, equals, value = term.partition("=")
            value = value.lstrip("=")
            if (equals and labels.get(key) != value) or (not equals and key not in labels):
                return False
        return True

    def listed(self) -> list[Obj]:
        return [o for o in self.store.find(self.resource.plural, self.namespace or None) if self.matches(o)]

    def _get(self) -> Any:
        obj = self.store.get(self.resource, self.namespace, self._named()).obj
        if self.subresource == "log":
            statuses = obj["status"].get("containerStatuses") or []
            if not statuses or statuses[0]["state"].get("waiting", {}).get("reason") not in (None, "CrashLoopBackOff"):
                raise Refusal(400, "BadRequest", f'container in pod "{self.name}" is waiting to start')
            lines = self.standin.log_lines(obj)[-int(self.query.get("tailLines", 1000)) :]
            return "".join(f"{line}\n" for line in lines)
        if self.subresource == "scale":
            return _scale(obj)
        return obj

    def _list(self) -> Obj:
        items = [{k: v for k, v in o.items() if k not in ("apiVersion", "kind")} for o in self.listed()]
        return {
            "apiVersion": self.resource.api_version,
            "kind": f"{self.resource.kind}List",
            "metadata": {"resourceVersion": str(self.store.version)},
            "items": items,
        }

    def _create(self) -> Obj:
        obj = self._object()
        if self.resource.kind == "SelfSubjectAccessReview":
            asked = obj["spec"]["resourceAttributes"]
            resource = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
            allowed = self.user.may(asked["verb"], asked.get("group", ""), resource, asked.get("name", ""))
            return {**obj, "status": {"allowed": allowed}}
        if obj.get("metadata", {}).get("resourceVersion"):
            raise Refusal(400, "BadRequest", "resourceVersion should not be set on objects to be created")
        if self.namespace and obj["metadata"].setdefault("namespace", self.namespace) != self.namespace:
            raise Refusal(400, "BadRequest", "the namespace of the object does not match the request")
        return self.store.create(self.resource, obj, self.manager)

    def _update(self) -> Obj:
        if self.subresource == "scale":
            return self._rescale(int(self._object()["spec"]["replicas"]))
        return self.store.update(self.resource, self.namespace, self._named(), self._object(), self.manager)

    def _patch(self) -> Obj:
        name = self._named()
        kind = self.content_type
        if kind == "application/apply-patch+yaml":
            applied = self._object()
            if applied.get("metadata", {}).get("name") != name or applied.get("kind") != self.resource.kind:
                raise Refusal(400, "BadRequest", "the name or kind in the object does not match the request")
            if applied["metadata"].get("managedFields"):
                raise Refusal(400, "BadRequest", "metadata.managedFields must be nil")
            applied["metadata"].setdefault("namespace", self.namespace)
            if applied["metadata"]["namespace"] != self.namespace:
                raise Refusal(400, "BadRequest", "the namespace of the object does not match the request")
            if (self.resource.plural, self.namespace, name) not in self.store.records:
                self.authorize("create")
            force = self.query.get("force") == "true"
            return self.store.apply(self.resource, self.namespace, applied, self.manager, force)
        live = self.store.get(self.resource, self.namespace, name).obj
        given = self._object()
        if self.subresource == "scale":
            return self._rescale(int(given["spec"]["replicas"]))
        try:
            if kind == "application/json-patch+json":
                new = fields.json_patch(live, cast(list[Obj], given))
            elif kind == "application/merge-patch+json":
                new = fields.merge_patch(live, given)
            elif kind == "application/strategic-merge-patch+json":
                new = fields.strategic_patch(live, given)
            else:
                raise Refusal(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {kind}")
        except ValueError as error:
            raise Refusal(422, "Invalid", f"the server rejected our request: {error}") from None
        if new["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise modified(self.resource, name)
        return self.store.update(self.resource, self.namespace, name, new, self.manager)

    def _delete(self) -> Obj:
        options = json.loads(self.body) if self.body else {}
        propagation = self.query.get("propagationPolicy") or options.get("propagationPolicy") or "Background"
        return self.store.delete(self.resource, self.namespace, self._named(), propagation)

    def _rescale(self, replicas: int) -> Obj:
        new = copy.deepcopy(self.store.get(self.resource, self.namespace, self._named()).obj)
        new["spec"]["replicas"] = replicas
        return _scale(self.store.update(self.resource, self.namespace, self._named(), new, self.manager))

    def _object(self) -> Obj:
        try:
            obj = yaml.safe_load(self.body) if "yaml" in self.content_type else json.loads(self.body)
        except (ValueError, yaml.YAMLError) as error:
            raise Refusal(400, "BadRequest", f"cannot read the body: {error}") from None
        return cast(Obj, obj)

    def _named(self) -> str:
        if self.name is None:
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return self.name


def _scale(obj: Obj) -> Obj:
    metadata = {k: obj["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
    replicas = obj["spec"]["replicas"]
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": metadata,
        "spec": {"replicas": replicas},
        "status": {"replicas": obj.get("status", {}).get("replicas", 0)},
    }


def _discovery(parts: list[str]) -> Obj | str | None:
    """What clients such as kubectl ask before they act."""
    if parts == ["version"]:
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-standin"}
    if parts in (["readyz"], ["livez"], ["healthz"]):
        return "ok"
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    groups = sorted({(r.group, r.version) for r in RESOURCES if r.group})
    if parts == ["apis"]:
        entries = []
        for group, version in groups:
            shown = {"groupVersion": f"{group}/{version}", "version": version}
            entries.append({"name": group, "versions": [shown], "preferredVersion": shown})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": entries}
    asked = ("", parts[1]) if parts[:1] == ["api"] and len(parts) == 2 else None
    if parts[:1] == ["apis"] and len(parts) == 3:
        asked = (parts[1], parts[2])
    if asked is None or not any((r.group, r.version) == asked for r in RESOURCES):
        return None
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    resources = []
    for resource in (r for r in RESOURCES if (r.group, r.version) == asked):
        shown = {"singularName": resource.kind.lower(), "namespaced": resource.namespaced, "verbs": verbs}
        short = {"shortNames": [_SHORT[resource.plural]], "categories": ["all"]} if resource.plural in _SHORT else {}
        resources.append({"name": resource.plural, "kind": resource.kind, **shown, **short})
        if resource.kind == "Deployment":
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"]}
            resources.append({"name": "deployments/scale", "singularName": "", "namespaced": True, **scale})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{asked[0]}/{asked[1]}" if asked[0] else asked[1],
        "resources": resources,
    }


_SHORT = {
    "configmaps": "cm",
    "deployments": "deploy",
    "horizontalpodautoscalers": "hpa",
    "ingresses": "ing",
    "poddisruptionbudgets": "pdb",
    "pods": "po",
    "replicasets": "rs",
    "services": "svc",
}
