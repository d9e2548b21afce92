"""Whole updates in several ways by turns: with pyrunbook, with a plain script, and with another checkout beside them.

What a user would type instead is the script, so our update is bounded by it, on the clock and in processor time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.figures import Figure, median, missing, ratio
from benchmarks.programs import Start

STRATEGIES = ("zero_downtime", "controlled_stop")
PAIRS = 5
"""How often each way is measured, after one update that warms the caches."""
RATIO_BOUND = 2.0
PROCESSOR_BOUND = 4.0
FIRST_BOUND = 1.5
"""Seconds from Enter to the first request to the API, or to the first change on the host."""


@dataclass(frozen=True)
class Checkout:
    """A checkout of pyrunbook whose updates are measured.

    Attributes:
        name: in the figures.
        root: the checkout.
        python: the interpreter that has it installed.
    """

    name: str
    root: Path
    python: Path

    @classmethod
    def at(cls, root: Path) -> Checkout:
        """Another checkout, with its own `.venv`."""
        return cls(f"the checkout {root.name}", root, root / ".venv" / "bin" / "python")

    def environment(self, base: Mapping[str, str], directory: Path) -> dict[str, str]:
        """`base` with the configuration of this checkout and a journal that no other version writes."""
        path = os.pathsep.join([str(self.python.parent), base["PATH"]])
        home = str(directory / f"home-{self.root.name}")
        return {**base, "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "PYRUNBOOK_HOME": home, "PATH": path}

    def argv(self, inventory: Path, strategy: str, **inputs: object) -> list[str]:
        """An update of the services of an inventory."""
        given = [f"update_strategy={strategy}", *(f"{name}={value}" for name, value in inputs.items())]
        extra = [word for one in given for word in ("-e", one)]
        update = ["run", "maintenance/production_update", "--window", "--yes", "-i", str(inventory)]
        return [str(self.python), "-m", "pyrunbook", *update, *extra]


OURS = Checkout("pyrunbook", ROOT, Path(sys.executable))
SCRIPT = "the script"


def by_turns(ways: Mapping[str, Callable[[], Start]], pairs: int = PAIRS) -> dict[str, list[Start]]:
    """Update in each of the ways, again and again; the first of each only warms the caches."""
    taken: dict[str, list[Start]] = {name: [] for name in ways}
    for number in range(pairs + 1):
        for name, update in ways.items():
            took = update()
            if number:
                taken[name].append(took)
    return taken


def judge(part: int, strategy: str, taken: Mapping[str, Sequence[Start]], first: str, note: str) -> list[Figure]:
    """The figures of one strategy on one platform.

    Args:
        part: of the figures.
        strategy: `update_strategy`.
        taken: what each way took: that of `OURS`, `SCRIPT`, and any other.
        first: what was watched for.
        note: what the script does, and what all of it ran on.
    """
    ours, script = taken[OURS.name], taken[SCRIPT]
    walls = {name: [one.wall for one in starts] for name, starts in taken.items()}
    processor = {name: [one.processor for one in starts] for name, starts in taken.items()}
    told = "\n".join(f"{name}: {' '.join(f'{second:.2f}' for second in seconds)} s" for name, seconds in walls.items())
    found = [
        ratio(part, f"{strategy}: update / script", walls[OURS.name], walls[SCRIPT], RATIO_BOUND, f"{note}\n{told}"),
        median(part, f"{strategy}: processor time of an update", processor[OURS.name], "s", PROCESSOR_BOUND),
        median(part, f"{strategy}: processor time of the script", [one.processor for one in script], "s"),
    ]
    moments = [one.first for one in ours if one.first is not None]
    name = f"{strategy}: Enter to {first}"
    if len(moments) == len(ours):
        found.append(median(part, name, moments, "s", FIRST_BOUND))
    else:
        found.append(missing(part, name, FIRST_BOUND, "s", "it was not seen in every update"))
    for other in taken:
        if other not in (OURS.name, SCRIPT):
            found.append(ratio(part, f"{strategy}: update / {other}", walls[OURS.name], walls[other], None))
            same = ratio(part, "the same, processor time", processor[OURS.name], processor[other], None)
            found.append(same)
            found.append(median(part, f"processor time of {other}", processor[other], "s"))
    return found
