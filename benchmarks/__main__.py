"""Measure, print the figures beside their bounds, and say by the exit code whether all are met.

Exit codes: 0 all that was asked for is measured and met · 1 a bound is missed, or a figure could not be measured · 2 an
option is wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks import (
    command_line,
    failed_requests,
    host_update,
    kubernetes_task,
    kubernetes_update,
    machine,
    pages,
    time_to_roll_back,
    updates,
    waves,
)
from benchmarks.figures import Figure, NotMeasured, missing, passes, table
from benchmarks.updates import Checkout
from pyrunbook.errors import PyrunbookError

PARTS: dict[int, ModuleType] = {
    part.PART: part
    for part in (
        failed_requests,
        time_to_roll_back,
        command_line,
        kubernetes_task,
        kubernetes_update,
        pages,
        host_update,
        waves,
    )
}
COMPARING = (kubernetes_update.PART, host_update.PART)
"""The parts that can measure another checkout beside this one."""


def options() -> argparse.ArgumentParser:
    """What can be asked for."""
    parts = ", ".join(f"{number} {part.NAME}" for number, part in PARTS.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what pyrunbook promises.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--only", type=int, action="append", choices=list(PARTS), metavar="N", help=f"may be repeated: {parts}"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="PATH",
        help="measure the updates of another checkout, with its own .venv, by turns with those of this one; "
        f"parts {' and '.join(str(number) for number in COMPARING)}, which are then all that is measured",
    )
    parser.add_argument(
        "--pairs", type=int, default=updates.PAIRS, metavar="N", help="how often each way to update is measured"
    )
    return parser


def measure(part: ModuleType, **given: object) -> list[Figure]:
    """The figures of a part; one that says why, where it could not be measured."""
    try:
        return list(part.measure(**given))
    except (NotMeasured, PyrunbookError, OSError, subprocess.SubprocessError) as error:
        return [missing(part.PART, part.NAME, None, "", str(error))]


def main(arguments: list[str]) -> int:
    """Run."""
    parser = options()
    asked = parser.parse_args(arguments)
    against = Checkout.at(asked.against.resolve()) if asked.against else None
    if against and not against.python.exists():
        parser.error(f"--against: there is no {against.python}")
    if against and not set(asked.only or COMPARING) <= set(COMPARING):
        parser.error(f"--against goes with --only {' or '.join(str(number) for number in COMPARING)}")
    if asked.pairs < 1:
        parser.error("--pairs: at least 1")
    before = machine.describe()
    print(machine.sentence(before), flush=True)
    figures: list[Figure] = []
    began = time.monotonic()
    for number in sorted(set(asked.only or (COMPARING if against else PARTS))):
        print(f"Measuring {number}, {PARTS[number].NAME} …", file=sys.stderr, flush=True)
        given = {"against": against, "pairs": asked.pairs} if number in COMPARING else {}
        figures += measure(PARTS[number], **given)
    after = machine.describe()
    print(f"\n{table(figures)}\n")
    loads = " ".join(f"{load:.2f}" for load in after["load_average"])
    print(f"Measured in {time.monotonic() - began:.0f} s; load average now {loads}.")
    good = passes(figures)
    print("All bounds are met." if good else "Not all bounds are met, or not all was measured: see above.")
    if asked.json:
        result = {
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": before,
            "load_average_after": after["load_average"],
            "met": good,
            "figures": [figure.to_dict() for figure in figures],
        }
        asked.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
