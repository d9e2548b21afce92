"""3: what the command line costs: beside ansible-playbook, and by itself."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox_under_test import Sandbox

from benchmarks import own_sandbox
from benchmarks.figures import Figure, ratio
from benchmarks.programs import Start, start

PART = 3
NAME = "command line"
PAIRS = 5
STARTS = 10
RUN_BOUND = 1.10
HELP_BOUND = 0.20
LIST_BOUND = 0.30
BIN = Path(sys.executable).parent


def measure() -> list[Figure]:
    """Update the sandbox by turns with `pyrunbook run` and ansible-playbook; start the commands that only print."""
    with own_sandbox.running() as sandbox:
        return [*_updates(sandbox), *_starts(sandbox)]


def _updates(sandbox: Sandbox) -> list[Figure]:
    ours: list[float] = []
    direct: list[float] = []
    pyrunbook = (sys.executable, "-m", "pyrunbook", *own_sandbox.UPDATE)
    own_sandbox.release(sandbox, "4.0.0")
    own_sandbox.timed(sandbox, own_sandbox.DIRECT, "ansible-playbook")  # caches are warm for both from here on
    for number in range(1, PAIRS + 1):
        # By turns in the order too: what the first of a pair leaves behind must not favor the same one each time.
        turns = [(pyrunbook, ours, "pyrunbook run"), (own_sandbox.DIRECT, direct, "ansible-playbook")]
        for place, (argv, seconds, what) in enumerate(turns if number % 2 else reversed(turns)):
            own_sandbox.release(sandbox, f"4.{number}.{place}")
            seconds.append(own_sandbox.timed(sandbox, argv, what))
    note = "update of the sandbox in seconds: pyrunbook {}; ansible-playbook {}".format(
        " ".join(f"{s:.2f}" for s in ours), " ".join(f"{s:.2f}" for s in direct)
    )
    return [ratio(PART, "pyrunbook run / ansible-playbook", ours, direct, RUN_BOUND, note)]


def _starts(sandbox: Sandbox) -> list[Figure]:
    programs = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "ansible-playbook --version": [str(BIN / "ansible-playbook"), "--version"],
        "pyrunbook --help": [str(BIN / "pyrunbook"), "--help"],
        "pyrunbook list": [str(BIN / "pyrunbook"), "list"],
    }
    bounds = {"pyrunbook --help": HELP_BOUND, "pyrunbook list": LIST_BOUND}
    starts: dict[str, list[Start]] = {name: [] for name in programs}
    for _ in range(STARTS + 1):
        for name, argv in programs.items():
            starts[name].append(start(argv, sandbox.env))
    found = []
    for name, all_of_it in starts.items():
        measured = all_of_it[1:]  # the first one warmed the caches
        walls = tuple(one.wall for one in measured)
        note = f"{min(one.processor for one in measured):.3f} s of processor time at least"
        if name in bounds:
            python, ansible = (min(one.wall for one in starts[other][1:]) for other in list(programs)[:2])
            note += (
                f"; {min(walls) / python:.1f} x python -c pass, {min(walls) / ansible:.2f} x ansible-playbook --version"
            )
        # The minimum is what it takes on an idle core; all above it is what else the machine did.
        found.append(Figure(PART, name, min(walls), "s", "minimum", bounds.get(name), walls, note))
    return found
