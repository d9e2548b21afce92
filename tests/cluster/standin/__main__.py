"""Serve a stand-in until SIGTERM or SIGINT, for benchmarks and for looking around with kubectl."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from . import StandIn

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    # Blocked before the first thread starts, so that every thread inherits it and this one alone takes the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with StandIn(directory) as standin:
        print(standin.kubeconfig(directory / "kubeconfig"), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
