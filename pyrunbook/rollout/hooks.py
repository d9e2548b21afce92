"""Script hooks: an organisation's own check, as a program of theirs.

The exit code is the outcome: 0 pass, 75 (`EX_TEMPFAIL` of sysexits.h) no data, anything else fail. A program that
cannot be started, or is ended by a signal or by the timeout, is an error.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.redaction import redact_whole
from pyrunbook.rollout.checks import CheckResult
from pyrunbook.verdict import Verdict

NO_DATA_EXIT = 75
OUTPUT_LINES = 20
OUTPUT_BYTES = 1 << 16
"""How much of the end of a program's output is read."""
KEYS = {"name", "argv", "timeout", "environment", "directory"}


@dataclass(frozen=True)
class Hook:
    """A program to run.

    Attributes:
        name: what it is called on the page and in the journal.
        argv: the program and its arguments; no shell in between.
        timeout: seconds until it is ended, with all that it started.
        environment: added to the environment of the play.
    """

    name: str
    argv: tuple[str, ...]
    timeout: float = 300.0
    environment: dict[str, str] = field(default_factory=dict)
    directory: str | None = None

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Hook:
        """A hook from its data in an inventory or a role.

        Raises:
            BadInput: an unknown key, or `argv` is not a list of strings.
        """
        argv = data.get("argv")
        name = str(data.get("name") or (argv[0] if isinstance(argv, list) and argv else "?"))
        unknown = sorted(set(data) - KEYS)
        if unknown:
            raise BadInput(f"hook {name!r}: unknown key {', '.join(unknown)} (known: {', '.join(sorted(KEYS))})")
        if not isinstance(argv, list) or not argv:
            raise BadInput(f"hook {name!r}: argv must be a list: the program and its arguments")
        try:
            timeout = float(data.get("timeout", 300))
        except (TypeError, ValueError) as error:
            raise BadInput(f"hook {name!r}: timeout: {error}") from error
        if timeout <= 0:
            raise BadInput(f"hook {name!r}: timeout must be more than 0 seconds")
        return cls(
            name=name,
            argv=tuple(str(word) for word in argv),
            timeout=timeout,
            environment={str(key): str(value) for key, value in (data.get("environment") or {}).items()},
            directory=str(data["directory"]) if data.get("directory") else None,
        )


def check_startable(hook: Hook) -> None:
    """See that the program is there, before anything is changed.

    Raises:
        BadInput: no such program or directory.
    """
    directory = Path(hook.directory) if hook.directory else Path.cwd()
    if not directory.is_dir():
        raise BadInput(f"hook {hook.name!r}: {directory} is not a directory")
    program = hook.argv[0]
    places = [directory] if "/" in program else [Path(part) for part in os.get_exec_path()]
    candidates = [place / program for place in places]
    if not any(candidate.is_file() and os.access(candidate, os.X_OK) for candidate in candidates):
        raise BadInput(f"hook {hook.name!r}: {program} is not an executable file", next_step=f"chmod +x {program}")


def perform(hook: Hook, environment: dict[str, str] | None = None, secrets: Collection[str] = ()) -> CheckResult:
    """Run the program to its end, or to the timeout.

    Args:
        environment: facts about the run, as `PYRUNBOOK_*`; the hook's own come on top.
        secrets: values that are taken out of what it printed, before that is cut.

    Returns:
        The outcome, with the exit code and the last lines of its output as evidence.
    """
    # A file, not a pipe: a program that leaves something running in the background would keep a pipe open for ever.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                hook.argv,
                cwd=hook.directory,
                env={**os.environ, **(environment or {}), **hook.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return CheckResult(hook.name, Verdict.ERROR, f"{hook.argv[0]} did not start: {error.strerror}")
        timed_out = False
        try:
            process.wait(hook.timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            # Also what it left behind in its session, and also when this play is ended in the middle.
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        begin = max(0, output.seek(0, os.SEEK_END) - OUTPUT_BYTES)
        output.seek(begin)
        if begin:
            output.readline()  # half a line may be half a secret, which no mask would match
        lines = redact_whole(output.read().decode("utf-8", "replace"), secrets).splitlines()
    evidence = {"argv": list(hook.argv), "exit_code": process.returncode, "output": lines[-OUTPUT_LINES:]}
    last = next((line for line in reversed(lines) if line.strip()), "")
    said = f": {last.strip():.200}" if last else ""
    program, code = hook.argv[0], process.returncode
    if timed_out:
        verdict, words = Verdict.ERROR, f"{program} was ended after {hook.timeout:g} s{said}"
    elif code < 0:
        verdict, words = Verdict.ERROR, f"{program} was ended by signal {-code}"
    elif code == NO_DATA_EXIT:
        verdict, words = Verdict.NO_DATA, f"{program} had nothing to judge by{said}"
    elif code:
        verdict, words = Verdict.FAIL, f"{program} exited {code}{said}"
    else:
        verdict, words = Verdict.PASS, f"{program} passed"
    return CheckResult(hook.name, verdict, words, evidence)
