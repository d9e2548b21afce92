"""One ansible-playbook under ansible-runner: its directory, its environment, its end.

ansible-runner keeps the inputs in its directory, so that one is private (0700), used once and removed; the environment
and the results, which it would write there too, are left out. What ansible-runner forces (host key checking off, fact
caching) stays as the configuration says.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pexpect
from ansible_runner.runner import Runner

from pyrunbook import catalog, places, run_contract, running
from pyrunbook.catalog.metadata import ROLLBACK
from pyrunbook.execution import leftover_processes, password_prompts
from pyrunbook.execution.ansible_environment import ansible_environment
from pyrunbook.execution.events import Tail
from pyrunbook.project.ansible_cfg import configured
from pyrunbook.redaction import redact_whole

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# The first SIGINT is lost when it arrives while a worker is forked: Python ignores what is raised in its hooks there.
GRACE = (("SIGINT", 0.0), ("SIGINT", 2.0), ("SIGTERM", 5.0), ("SIGKILL", 10.0))
"""Signal to ansible-playbook, and how many seconds after the decision to end it."""
JOURNAL = "pyrunbook_journal"
"""The callback plugin that records runs, which Ansible finds in our own directory, whatever collections it finds."""
LONGEST_TEMPORARY = 75
"""Characters of a directory in which a socket still has room: 107 less `/pymp-xxxxxxxx/listener-xxxxxxxx`."""
FORKS = 100
"""How many services of a batch run at once at most, unless the configuration says otherwise."""
POLL = 0.1
"""Seconds between two checks whether the play is to be ended."""


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        playbook: the playbook's file.
        inventory: inventory sources.
        run_id: id of the run; the journal callback finds it in the environment.
        mode: `run`, `resume`, `recover` or `rollback`.
        limit: host pattern, or empty.
        extra_vars: extra variables; they go through a private file, never through argv.
        tags: only these steps, or empty.
        check: check mode.
        diff: show differences.
        verbosity: number of `-v`.
        timeout: seconds until the play is ended, or `None`.
        told: answers to the play's prompts (`vars_prompt`), by the regular expression of the prompt.
        undone_by: id of the runbook that puts back what a play of this one left in the middle; empty where none does.
        plain: the id of the runbook, where its playbook is a plain one, which does not name itself.
    """

    playbook: Path
    inventory: tuple[str, ...]
    run_id: str
    mode: str = "run"
    limit: str = ""
    extra_vars: dict[str, Any] = field(default_factory=dict)
    tags: str = ""
    check: bool = False
    diff: bool = False
    verbosity: int = 0
    timeout: float | None = None
    undone_by: str = ROLLBACK
    plain: str = ""
    told: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def undo(self) -> Path:
        """The playbook of `undone_by`."""
        return catalog.load().playbook(self.undone_by)


@dataclass(frozen=True)
class Ended:
    """How ansible-playbook ended.

    Attributes:
        status: ansible-runner's word: `successful`, `failed`, `canceled`, `timeout`.
        code: exit code of ansible-playbook; `None` when it was killed.
        output: the last lines that it printed, for a failure that no event tells.
        no_hosts: whether no host of the inventory matched.
        began: whether a task was begun, as ansible-runner saw it, whatever our own callback did.
    """

    status: str
    code: int | None
    output: tuple[str, ...]
    no_hosts: bool
    began: bool = False


def environment(request: Request, events: Path, sockets: Path) -> dict[str, str]:
    """The variables that the play gets beside our own environment.

    Args:
        request: what is run.
        events: the file that the journal callback appends events to.
        sockets: where ssh keeps the connections that the tasks of this play share. No other run uses them: each run
            closes its own at its end.
    """
    config = places.ansible_config().resolve()
    used = places.in_use()

    def setting(variable: str, name: str, default: str = "") -> str:
        return os.environ.get(variable) or configured(config, "defaults", name, default)

    keys = setting("ANSIBLE_HOST_KEY_CHECKING", "host_key_checking", "true")
    callbacks = setting("ANSIBLE_CALLBACKS_ENABLED", "callbacks_enabled")
    ours = ("", JOURNAL, f"{places.COLLECTION}.{JOURNAL}")  # by both names there would be two of it
    enabled = [name for each in callbacks.split(",") if (name := each.strip()) not in ours]
    # Not by the name of the collection: another one of that name may be found first, or none, and Ansible only warns.
    plugins = [str(places.collection() / "plugins/callback"), os.environ.get("ANSIBLE_CALLBACK_PLUGINS")]
    # From ansible-core 2.20 a play begins with a socket in the temporary directory, and "did not start" is all it says.
    short = {"TMPDIR": str(sockets)} if len(tempfile.gettempdir()) > LONGEST_TEMPORARY else {}
    own = {run_contract.ENV_RUNBOOK: request.plain} if request.plain else {}
    return (
        short
        | own
        | ansible_environment()
        | {
            "ANSIBLE_HOST_KEY_CHECKING": keys,
            # Whatever else is enabled: without the journal nothing may be changed.
            "ANSIBLE_CALLBACKS_ENABLED": ",".join(dict.fromkeys([*enabled, JOURNAL])),
            "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(filter(None, plugins)),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": os.environ.get("ANSIBLE_SSH_CONTROL_PATH_DIR") or str(sockets),
            "ANSIBLE_NOCOWS": "1",
            "ANSIBLE_AGNOSTIC_BECOME_PROMPT": "true",  # `password_prompts` knows this one
            # Ansible's own 5 would take a batch of 10 services in two goes.
            "ANSIBLE_FORKS": setting("ANSIBLE_FORKS", "forks", "5" if request.plain else str(FORKS)),
            # ansible-playbook stands beside our Python, whether its environment is activated or not.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            places.ENV_CONTENT: used["content"],
            places.ENV_HOME: used["state"],
            places.ENV_JOURNAL: places.journal_url(),
            run_contract.ENV_PLACES: json.dumps(used),
            run_contract.ENV_RUN_ID: request.run_id,
            run_contract.ENV_MODE: request.mode,
            run_contract.ENV_EVENTS: str(events),
            run_contract.ENV_CLI_PID: str(os.getpid()),
        }
    )


def command_line(request: Request) -> str:
    """Options of ansible-playbook that ansible-runner has no parameter for."""
    words = [*(["--check"] if request.check else []), *(["--diff"] if request.diff else [])]
    return " ".join(words)


@contextlib.contextmanager
def _private_directories(run_id: str) -> Iterator[tuple[Path, Path]]:
    """Two directories for one play, 0700; directories that killed runs left are removed first.

    The second is for sockets: their names must be short, which those of the first need not be.
    """
    leftover_processes.clear_directories()
    sockets = leftover_processes.sockets() / f"pyrunbook-{run_id}-{secrets.token_hex(4)}"
    with running.directory(run_id) as directory:
        sockets.mkdir(mode=0o700)
        try:
            yield directory, sockets
        finally:
            shutil.rmtree(sockets, ignore_errors=True)


def _without_environment(status: dict[str, Any], runner_config: Any) -> None:
    """Keep the whole environment, which ansible-runner writes down for debugging, off the disk.

    It has no option for that, so its file is made a link to memory of this process, and the link is removed.
    """
    written = Path(runner_config.artifact_dir, "command")
    if status["status"] == "starting" and hasattr(os, "memfd_create"):
        written.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written.symlink_to(f"/proc/self/fd/{os.memfd_create('command')}")
    elif status["status"] == "running":
        with contextlib.suppress(OSError):
            if written.is_symlink():
                os.close(int(written.readlink().name))
            written.unlink()


class _Gently:
    """Ends ansible-playbook: SIGINT first, so that it can end its workers; more only when that does not help."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._sent = 0

    def __call__(self, pid: int, **_: Any) -> None:
        """Called by ansible-runner again and again, once the play is to be ended and until it has."""
        now = time.monotonic()
        self._since = self._since or now
        while self._sent < len(GRACE) and now - self._since >= GRACE[self._sent][1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.Signals[GRACE[self._sent][0]])
            self._sent += 1


class _Terminal(pexpect.spawn):  # type: ignore[misc]
    """The terminal of a play. ansible-runner closes it once the play has ended, so its end is not waited for."""

    def _spawnpty(self, args: list[str], **kwargs: Any) -> Any:
        process = super()._spawnpty(args, **kwargs)
        process.delayafterclose = 0
        return process


@contextlib.contextmanager
def _ending_in_our_way() -> Iterator[None]:
    # ansible-runner kills the process group at once, which skips every clean-up and leaves workers behind.
    original = Runner.__dict__["handle_termination"]
    Runner.handle_termination = staticmethod(_Gently())
    pexpect.spawn, spawn = _Terminal, pexpect.spawn
    try:
        yield
    finally:
        Runner.handle_termination, pexpect.spawn = original, spawn


def perform(request: Request, on_event: Callable[[dict[str, Any]], None], canceled: Callable[[], bool]) -> Ended:
    """Run the playbook to its end, whatever that is; no process of it is left when this returns.

    The play of a plain playbook, whose tasks do not look for the journal, is ended where its first task begins and
    nothing records it.

    Args:
        request: what to run.
        on_event: gets each event of the journal callback, in order, on a thread of its own; and, with verbosity,
            `{"event": "output", "line": …}` for what ansible-playbook prints.
        canceled: asked every `POLL` seconds; `True` ends the play.
    """
    last: list[str] = []
    flags = {"no_hosts": False, "began": False}
    unrecorded = threading.Event()

    def heard(event: dict[str, Any]) -> bool:
        flags["no_hosts"] |= event.get("event") == "playbook_on_no_hosts_matched"
        if event.get("event") == "playbook_on_task_start" and not flags["began"]:
            flags["began"] = True
            if request.plain and not events.stat().st_size:  # the journal tells that it has begun before any task does
                unrecorded.set()
                text = f"Ansible has not loaded the callback {JOURNAL}, so the play is ended"
                on_event({"event": "note", "text": text})
        # The journal's callback masks what is secret; before it has begun, a file that cannot be read is quoted.
        for line in redact_whole(_ANSI.sub("", event.get("stdout") or "")).splitlines():
            last.append(line)
            if request.verbosity or request.diff:
                on_event({"event": "output", "line": line})
        del last[:-40]
        return False  # nothing is written to ansible-runner's own files

    with _private_directories(request.run_id) as (directory, sockets), _ending_in_our_way():
        events = directory / "events.jsonl"
        events.touch(mode=0o600)
        with Tail(events, lambda event: on_event(run_contract.checked(event))):
            runner = ansible_runner.interface.init_runner(
                private_data_dir=str(directory),
                # The play works where the operator does: a relative path means to both the same file.
                project_dir=str(Path.cwd()),
                playbook=str(request.playbook),
                inventory=list(request.inventory),
                limit=request.limit or None,
                extravars=request.extra_vars or None,
                tags=request.tags or None,
                cmdline=command_line(request) or None,
                verbosity=request.verbosity or None,
                envvars=environment(request, events, sockets),
                fact_cache_type="as configured",  # "jsonfile" would be forced on it
                settings={"pexpect_timeout": POLL, "job_timeout": request.timeout or 0, "suppress_output_file": True},
                quiet=True,
                status_handler=_without_environment,
                omit_event_data=True,  # it is told the tasks, but not their arguments and results
                event_handler=heard,
                cancel_callback=lambda: unrecorded.is_set() or canceled(),
            )
            # Not as its parameter `passwords`: that is written into the directory.
            told = (password_prompts.for_a_play() | request.told).items()
            runner.config.expect_passwords |= {re.compile(asked, re.MULTILINE): answer for asked, answer in told}
            try:
                runner.run()
            finally:
                leftover_processes.end(request.run_id)
        code = runner.rc if runner.rc is None or runner.rc >= 0 else None
        return Ended(status=str(runner.status), code=code, output=tuple(last), **flags)
