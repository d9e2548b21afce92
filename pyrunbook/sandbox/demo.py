"""`make demo`: one guarded update of the sandbox under steady traffic, and what its clients noticed of it.

`python -m pyrunbook.sandbox.demo` starts the sandbox where it does not run, sends requests for as long as
`pyrunbook maintenance --window` takes, and exits with that command's code, or with 4 when it succeeded and a request
failed. Run again, it updates the other color. The sandbox stays up until `pyrunbook sandbox down`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from pyrunbook.errors import BadInput, ExitCode, PyrunbookError
from pyrunbook.sandbox import content, layout, processes, state
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.load_report import LoadReport
from pyrunbook.sandbox.state import SandboxState

RATE = 100.0
"""Requests a second."""
MARGIN = 1.0
"""Seconds of traffic before and after the update."""
ARGUMENTS = ("maintenance", "--window", "--inventory", "sandbox")
ATTESTED = ("oncall_available", "staging_validated")


def demo(directory: Path) -> int:
    """Update the sandbox in `directory` under traffic and print the summary.

    Returns:
        The exit code of the update; `ExitCode.PUT_BACK` when it succeeded although a request failed.

    Raises:
        SystemExit: the sandbox does not start; the reason is printed, the code is that of `sandbox up`.
        PyrunbookError: the sandbox has no address.
    """
    _start(directory)
    before = state.read(directory)
    if before.url is None:
        raise BadInput(f"the sandbox in {directory} has no address", next_step="pyrunbook sandbox down, then again")
    release = _choose_release(before)
    print(f"Sandbox at {before.url}: {_serves(before)}, {release} is next.")
    print(f"Traffic: {RATE:.0f} requests a second, GET and POST, on new and on kept-alive connections.\n")
    arguments = [*ARGUMENTS, *(word for name in ATTESTED for word in ("--attest", name))]
    print("$ pyrunbook", *arguments, flush=True)
    traffic = Load(before.url, RATE).start()
    time.sleep(MARGIN)
    try:
        code = _call([sys.executable, "-m", "pyrunbook", *arguments])
        time.sleep(MARGIN)
    finally:
        report = traffic.stop()
    print(f"\n{_serves(state.read(directory))} at {before.url}\n{report}")
    program = Path(os.path.relpath(Path(sys.executable).with_name("pyrunbook")))
    print(f"\nAgain, in the other direction: make demo\nTo stop all of it: {program} sandbox down")
    return _exit_code(code, report)


def _start(directory: Path) -> None:
    """`pyrunbook sandbox up`, which knows what the sandbox's first certificate is made with."""
    argv = [sys.executable, "-m", "pyrunbook", "sandbox", "up", "--directory", str(directory)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr)
        sys.exit(done.returncode)


def _exit_code(code: int, report: LoadReport) -> int:
    """The exit code of the update; 1 where clients noticed it, or where there was no traffic to prove it."""
    if code == ExitCode.SUCCEEDED and (report.failed or not report.succeeded):
        return ExitCode.PUT_BACK
    return code


def _choose_release(found: SandboxState) -> str:
    """The candidate; where that serves already, one of the sandbox's first two releases that does not."""
    serving = found.colors[found.active].version if found.active in found.colors else None
    if found.candidate and found.candidate != serving:
        return found.candidate
    chosen = content.FIRST_VERSION if serving == content.FIRST_CANDIDATE else content.FIRST_CANDIDATE
    where = layout.Layout(found.directory)
    with processes.locked(where):
        content.make_release(where, chosen)
    return chosen


def _serves(found: SandboxState) -> str:
    if found.active not in found.colors:
        return "no color serves"
    return f"{found.active} serves {found.colors[found.active].version}"


def _call(argv: list[str]) -> int:
    """Run a program on our terminal and wait for it, whatever signal arrives.

    Ctrl-C reaches the program by itself, because it is on our terminal; SIGTERM is handed on. What it does then is its
    to decide: an update that is interrupted puts back what was there.
    """
    with subprocess.Popen(argv) as program:

        def hand_on(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGTERM:
                program.send_signal(number)

        previous = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = program.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def main() -> None:
    """Run the demo on the default sandbox and exit."""
    try:
        code = demo(layout.directory())
    except PyrunbookError as error:
        print(f"Error: {error}", file=sys.stderr)
        code = error.exit_code
    sys.exit(int(code))


if __name__ == "__main__":
    main()
