"""A small Kubernetes API in this process, for tests where there is no real one.

What it is: an HTTPS server that keeps objects in memory and enforces what blue/green deployments live by. Optimistic
concurrency (409 on an old resourceVersion), whole-object PUT, JSON, merge and strategic patches, server-side apply with
field managers and conflicts, dry runs, label selectors, watches, generation and observedGeneration, a Deployment
controller with ReplicaSets, quotas and progress deadlines, Available=True at zero replicas, pods that a fake kubelet
makes ready after a while or not at all (told from their spec: an image at `*.invalid` cannot be pulled, a ConfigMap
that is missing, the commands `/does-not-exist` and `/takes-more-memory-than-it-may`, a readiness probe on TCP port 1),
EndpointSlices that follow pods and selectors, an autoscaler that keeps its minimum, garbage collection,
Leases, access reviews, tokens with RBAC rules.
It can fail on demand: status codes, resets, lost answers, slow ones, and a restart, after which it denies for a while
what it allows, as a real one does until it has read its roles (`StandIn.restart`).

What it is not: nothing listens at the pods' addresses. There is no admission, no schema validation beyond a few rules,
one API version of each kind, no finalizers but that of foreground deletion. A rolling update starts all new pods at
once. Lists are merged by `name` only. Real schemas know more; a test that needs more is marked `real_api`.

`PYTHONPATH=tests/cluster python -m standin DIRECTORY` serves until it is ended and writes `DIRECTORY/kubeconfig`.
"""

from .server import Fault, Request, StandIn, User

__all__ = ["Fault", "Request", "StandIn", "User"]
