"""Serve the tests' stand-in Kubernetes API, with pods that take as long as real ones, until SIGTERM or SIGINT.

`python -m benchmarks.stand_in DIRECTORY` prints the path of the kubeconfig once it serves. A process of its own, so
that what it does is not done by the process that measures.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import benchmarks.figures  # noqa: F401  # puts the tests' directories on the path

from standin import StandIn  # isort: skip

READY = 1.5
"""Seconds from the creation of a pod until it is ready."""
TERMINATION = 0.5
"""Seconds from the deletion of a pod until it is gone."""


def main(directory: Path) -> None:
    """Serve."""
    # Blocked before the first thread starts, so that every thread inherits it and this one alone takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with StandIn(directory) as standin:
        standin.controllers.pace.ready = READY
        standin.controllers.pace.termination = TERMINATION
        print(standin.kubeconfig(directory / "kubeconfig"), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
