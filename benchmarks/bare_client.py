"""What the API itself takes to answer a task's question, as a worker of Ansible would see it.

`python -m benchmarks.bare_client KUBECONFIG NAMESPACE LEASE TIMES` builds the client library's client, then forks as
often, and in each fork reads the Lease twice: over a new connection (with its TLS handshake), and again over that
one. Prints `[[first, second], …]` in seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time

from pyrunbook.kubernetes.client import connect, prepare


def ask(kubeconfig: str, namespace: str, lease: str) -> tuple[float, float]:
    """In a fork: seconds of the two reads."""
    cluster = connect(kubeconfig, None, namespace)
    times = [time.perf_counter()]
    for _ in range(2):
        if cluster.get("Lease", lease) is None:
            raise SystemExit(f"there is no Lease {lease}")
        times.append(time.perf_counter())
    return times[1] - times[0], times[2] - times[1]


def main(kubeconfig: str, namespace: str, lease: str, times: int) -> None:
    """Measure, and print."""
    prepare(kubeconfig)
    found = []
    for _ in range(times):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.write(writer, json.dumps(ask(kubeconfig, namespace, lease)).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            said = stream.read()
        os.waitpid(child, 0)
        found.append(json.loads(said))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
