"""Callback plugin: writes the journal as a play happens, under the CLI and under plain ansible-playbook."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from pyrunbook.errors import ExitCode, PyrunbookError, without_errno
from pyrunbook.plugins import selection
from pyrunbook.plugins.masking import Secrets
from pyrunbook.plugins.parent_death import die_with
from pyrunbook.plugins.plain_hosts import PlainHosts, said
from pyrunbook.plugins.step_progress import StepProgress, first_line, message
from pyrunbook.plugins.unread_inputs import unread
from pyrunbook.run_contract import (
    CHANGED,
    ENV_CLI_PID,
    ENV_EVENTS,
    ENV_JOURNAL_BROKEN,
    ENV_MODE,
    ENV_PLACES,
    ENV_RUN_ID,
    ENV_RUNBOOK,
    MAYBE_CHANGED,
    Event,
    HostsStarted,
    Note,
    PlayRefused,
    RunEnded,
    RunLeft,
    RunStarted,
    ServiceEnded,
    ServiceStarted,
    StepEnded,
    StepStarted,
    Window,
    name_of,
)

DOCUMENTATION = """
name: pyrunbook_journal
type: notification
short_description: Writes pyrunbook's journal
description:
  - Records runs, steps, evidence and outcomes; each step is on disk before it begins.
  - Plays without the variable C(runbook_id) are left alone, unless the command line runs their playbook.
"""


def recording(method: Callable[..., None]) -> Callable[..., None]:
    """Have a failure of the journal end the run, not the callback.

    Ansible only warns about a callback that raises. Steps look at the variable set here and refuse to change
    anything more, so a journal that breaks in the middle sends the play into its rollback.
    """

    @wraps(method)
    def guarded(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            said = without_errno(str(error))
            os.environ[ENV_JOURNAL_BROKEN] = next(iter(said.splitlines()), "") or type(error).__name__
            self._display.error(f"The journal cannot be written: {said}")
            if self.plain:  # its tasks do not look
                sys.exit(int(ExitCode.NOT_PUT_BACK))

    return guarded


class CallbackModule(CallbackBase):
    """Turns Ansible's callbacks into the journal's records and the CLI's events."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "pyrunbook_journal"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        from pyrunbook import places

        gc.freeze()  # what Ansible has imported stays, so no collection has to look at it
        places.make_absolute()  # a direct ansible-playbook has no other door
        self.journal: Any = None
        self.run_id = ""
        self.play: Any = None
        self.steps: dict[str, StepProgress] = {}
        self.concluded: set[str] = set()
        self.failures: dict[str, tuple[str, str]] = {}
        self.plain = False
        self.plays: list[Any] = []
        self.plain_hosts = PlainHosts()
        self.secrets = Secrets()
        self.wanted: dict[str, str] = {}  # id and title of the steps that this play does where nothing fails
        self.begun: dict[str, set[str]] = {}
        # Taken out: a hook that starts an ansible-playbook of its own would hand it on, and the CLI is not its parent.
        self.cli = int(os.environ.pop(ENV_CLI_PID, 0))
        self.named = os.environ.pop(ENV_RUNBOOK, "")
        if self.cli:
            die_with(self.cli)

    # --- the run ---------------------------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Keep its plays, for what is to be known before the first of them."""
        self.plays = list(playbook.get_plays())

    @recording
    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Begin the run at its first play; add the services of the batch."""
        self.play = play
        named = (play.get_vars() or {}).get("runbook_id")
        if self.journal is None:  # the play that begins a run decides for all of it
            self.named = self.named or selection.guarded(play)
            self.plain = bool(self.named) and not named
        runbook = self.named if self.plain else named
        if not runbook:
            return
        variables = play.get_variable_manager()
        services = {host.name: self._variables(host.name) for host in variables._inventory.get_hosts(play.hosts)}
        for values in services.values():
            self._hide(values)
        if self.plain:
            self._begin_plain(str(runbook), variables, list(services))
            return
        steps = selection.parts(play)
        self.wanted = {part.id: part.title for part in steps if part.selected and not part.rescues}
        if self.journal is None:
            self._begin(str(runbook), variables)
        self._end_steps()  # of the services before, where they are updated one after the other
        problem = selection.left_out(play, steps) or self._unread(variables, list(services), steps)
        if not problem and (self.cli or not sys.stdin.isatty()):
            problem = selection.question(play)
        if problem:
            self._refuse(problem, list(services))
        from pyrunbook.plugins.before_forks import prepare

        prepare(play, list(services.values()))
        platforms = {service: str(values.get("service_platform", "unknown")) for service, values in services.items()}
        with self.journal.together():
            for service, platform in platforms.items():
                self.journal.add_service(self.run_id, service, platform)
                self.begun.setdefault(service, set())
        for service, platform in platforms.items():
            self._emit(ServiceStarted, service=service, platform=platform)

    def _begin_plain(self, runbook: str, variables: Any, hosts: list[str]) -> None:
        """Begin the run of a plain playbook, or the next play of it: its "services" are its hosts."""
        if self.journal is None:
            self._begin(runbook, variables)
            problem = selection.first_question(self.plays)
            if problem and (self.cli or not sys.stdin.isatty()):
                self._refuse(problem, hosts)
            if os.environ.get(ENV_MODE, "run") == "run" and (problem := selection.no_such_tag(self.plays)):
                self._refuse(problem, hosts)
            self._guard(runbook, variables, hosts)
        self._end_steps()
        new = [host for host in hosts if host not in self.plain_hosts.known]
        with self.journal.together():
            for host in new:
                self.journal.add_service(self.run_id, host, "")
        self.plain_hosts.known.update(new)
        if new:
            self._emit(HostsStarted, hosts=new)

    def _begin(self, runbook: str, variables: Any) -> None:
        try:
            self._record_start(runbook, variables)
        except PyrunbookError as error:
            self._display.error(f"{without_errno(str(error))}\nWhat cannot be recorded is not begun.")
            sys.exit(int(ExitCode.BAD_INPUT))  # Ansible only warns of what a callback raises, but for this

    def _record_start(self, runbook: str, variables: Any) -> None:
        import psutil

        from pyrunbook import places, running
        from pyrunbook.journal import Journal, RunStart, new_run_id
        from pyrunbook.plugins.guards import operator
        from pyrunbook.redaction import redact

        places.settle(Path(next(iter(_cli_option("args") or ()), "")))
        self._compare_places()
        self.journal = Journal.open()
        self.run_id = os.environ.get(ENV_RUN_ID) or new_run_id()
        mode: Any = os.environ.get(ENV_MODE, "run")
        if mode in ("resume", "recover"):
            runbook = self.journal.get(self.run_id).runbook
        inputs = dict(variables.extra_vars)
        if not self.cli:  # it has done so
            running.clear()
        self.secrets.of_environment()
        self._hide(inputs)
        self.secrets.mask_shown(self._display)
        # Under the CLI that is the process to ask whether the run lives: it puts back what its play left, and a play
        # does not outlive it.
        driver = psutil.Process(self.cli or None)
        self.journal.start_run(
            RunStart(
                id=self.run_id,
                runbook=runbook,
                operator=operator(),
                machine=os.uname().nodename,
                pid=driver.pid,
                process_started=driver.create_time(),
                inventory=", ".join(str(source) for source in variables._inventory._sources),
                inputs=redact(inputs),
                strategy=inputs.get("update_strategy"),
                only_steps=self._only_steps(),
                check_mode=bool(_cli_option("check")),
                mode=mode,
                project=places.project_in_use(),
                rollback_of=inputs.get("plan") if mode == "rollback" else None,
            )
        )
        # Workers inherit the environment: this is how a play knows its run.
        os.environ[ENV_RUN_ID] = self.run_id
        # Whatever ansible.cfg is in use: a module writes its arguments to the syslog of its machine otherwise.
        os.environ["ANSIBLE_NO_TARGET_SYSLOG"] = "true"
        # Workers end with ansible-playbook, however that ends, so that no step goes on by itself.
        os.register_at_fork(after_in_child=partial(die_with, os.getpid()))
        self._emit(RunStarted, runbook=runbook, mode=mode, check=bool(_cli_option("check")))

    def _only_steps(self) -> list[str] | None:
        if not selection.partial(self.play):
            return None
        return sorted(set(self.play.only_tags) if self.plain else set(self.play.only_tags) & {*self.wanted})

    def _hide(self, values: dict[str, Any]) -> None:
        """Mask the secrets among these variables in everything that is written or shown from now on."""
        self.secrets.of_variables(values, self.play.get_loader())
        if self.journal is not None:
            self.journal.hide(*self.secrets)

    def _unread(self, variables: Any, services: list[str], steps: list[selection.Part]) -> str:
        """Which input is misspelt; what brings a run to an end has the inputs that it was given."""
        given = dict(variables.extra_vars)
        if not given or not services or os.environ.get(ENV_MODE) in ("resume", "recover"):
            return ""
        variables._extra_vars = {}
        try:
            own = self._variables(services[0])
        finally:
            variables._extra_vars = given
        magic = ("hostvars", "groups", "vars")
        # What was named on the command line may be a playbook of a collection, or one that imports this one.
        playbooks = [Path(self.play.get_path().rpartition(":")[0])]
        known = {name: value for name, value in own.items() if name not in magic}
        for name, near in unread(given, known, playbooks, {step.path.parent for step in steps}).items():
            told = f"Neither this runbook nor its inventory uses the input {name}"
            if near:
                return f"{told}; did you mean {near}?\nNext: -e {near}=…"
            self._display.warning(told)
            self._emit(Note, text=told)
        return ""

    def _compare_places(self) -> None:
        """End the play where its command would look for this run elsewhere than it is recorded."""
        from pyrunbook import places

        if not (told := os.environ.get(ENV_PLACES)):
            return
        theirs, ours = json.loads(told), places.in_use()
        different = [f"{name}: {theirs[name]}, and here {ours[name]}" for name in ours if theirs[name] != ours[name]]
        if different:
            self._display.error(f"pyrunbook and its play do not use the same places; {'; '.join(different)}")
            sys.exit(int(ExitCode.BAD_INPUT))

    def _guard(self, runbook_id: str, variables: Any, begun: list[str]) -> None:
        """Refuse a run that the metadata of its runbook do not allow, before the first task of its first play.

        The window of each host of all plays, what has to be attested, and that no other run of it is going on there.
        A runbook without metadata allows everything. What puts back waits for no window, only for such a run.
        """
        from pyrunbook.plugins import plain_guard
        from pyrunbook.plugins.guards import unfinished

        mode = os.environ.get(ENV_MODE, "run")
        if mode not in ("run", "rollback"):
            return
        plays = self.plays or [self.play]
        check = bool(_cli_option("check"))
        try:
            hosts = plain_guard.allow(runbook_id, plays, variables, check_mode=check) if mode == "run" else {}
            claimed = [*hosts] or [host.name for _, host in plain_guard.hosts_of(plays, variables) if mode != "run"]
            claimed = [*dict.fromkeys(claimed)] if not check else []
            if claimed and (other := self.journal.claim(self.run_id, claimed, plain_guard.rivals(runbook_id))):
                raise unfinished(other)
        except PyrunbookError as error:
            self._refuse(str(error), begun, error.exit_code)
            return
        told: list[Any] = []
        for host, allowed in hosts.items():
            self.journal.add_service(self.run_id, host, "")
            self.journal.record_window(self.run_id, host, allowed.window, allowed.override)
            self._attest(host, allowed.attestations)
            if allowed.window not in told:
                told.append(allowed.window)
                self._emit(Window, service=host, decision=allowed.window, override=allowed.override)

    def _refuse(self, problem: str, services: list[str], code: ExitCode = ExitCode.BAD_INPUT) -> None:
        """End the play before its first task, and record why.

        The run that it was to bring to an end is as it was before.
        """
        from pyrunbook.journal import Outcome

        own = os.environ.get(ENV_MODE) not in ("resume", "recover")
        for service in services if own else ():
            self.journal.add_service(self.run_id, service, "unknown")
            self.journal.conclude(self.run_id, service, Outcome.REFUSED, problem)
        self._emit(PlayRefused, bad_input=code is ExitCode.BAD_INPUT, error=problem)
        if own:
            self._end_run(Outcome.REFUSED, problem)
        self._display.error(f"{problem}\nNothing was changed." if own else problem)
        sys.exit(int(code))

    @recording
    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End the last steps, and the run where every service has an outcome."""
        if self.journal is None:
            return
        from pyrunbook.journal import Outcome, worst

        gc.freeze()  # or Python looks at every object once more before it ends
        self._end_steps()
        run = self.journal.get(self.run_id)
        if not run.services:
            self._end_run(Outcome.FAILED, "no host matched")
            return
        if self.plain:
            self._end_plain(run, stats)
            return
        outcomes: list[Outcome] = []
        left_out = [told for service in run.services if (told := self._untold(service))]
        for service in run.services:
            outcome, cause = self._outcome(service, stats)
            if outcome is None:
                continue  # changed and not concluded: recovery decides
            if service.outcome is None:
                self.journal.conclude(self.run_id, service.service, outcome, cause)
            outcomes.append(outcome)
        if len(outcomes) < len(run.services):
            self._emit(RunLeft)
        else:
            causes = [cause for _, cause in self.failures.values() if cause]
            self._end_run(worst(outcomes), next(iter([*causes, *left_out]), None))
        if not os.environ.get(ENV_EVENTS):
            self._tell_not_begun({service.service for service in run.services})
        if left_out:
            self._display.error("\n".join(left_out))
            sys.exit(int(ExitCode.BAD_INPUT))  # Ansible itself saw nothing fail

    def _end_plain(self, run: Any, stats: Any) -> None:
        """Conclude the hosts of a plain playbook.

        Ansible knows what failed in the end: not what was rescued or ignored. Where a host has failed, every host that
        the run has changed stays open: nobody here knows how they hang together, and the command line sees to them.
        """
        from pyrunbook.journal import Outcome, worst

        recovers = run.mode == "recover"
        for host in () if recovers else self.plain_hosts.unchanged():
            self.journal.record_changed(self.run_id, host, False)
        failed = {host for host in self.plain_hosts.known if stats.failures.get(host) or stats.dark.get(host)}
        put_back_as = self.play.get_variable_manager().extra_vars.get("put_back_as")
        outcomes, left = [part.outcome for part in run.services if part.outcome], False
        for part in self.journal.get(self.run_id).services:
            host, cause = part.service, self.failures.get(part.service, ("", ""))[1]
            if part.outcome is not None:
                continue
            begun = host in self.plain_hosts.known
            if (recovers and not begun) or (part.changed and failed and (host in failed or not recovers)):
                left = True
                continue
            outcome = Outcome(put_back_as) if recovers else Outcome.SUCCEEDED
            if host in failed:
                outcome = Outcome.UNREACHABLE if stats.dark.get(host) else Outcome.FAILED
            elif failed and not begun:
                outcome = Outcome.FAILED
            self.journal.conclude(self.run_id, host, outcome, cause if host in failed else None)
            outcomes.append(outcome)
        for host in sorted({host for host, number in stats.rescued.items() if number} - failed):
            self._emit(Note, text=f"{host}: what failed was rescued")
        if left:
            self._emit(RunLeft)
            if not os.environ.get(ENV_EVENTS):
                self._display.display(f"What this run changed is as it was left. Next: pyrunbook recover {self.run_id}")
        else:
            causes = [self.failures[host][1] for host in self.failures if host in failed]
            self._end_run(worst(outcomes), next(iter(causes), None))

    def _tell_not_begun(self, begun: set[str]) -> None:
        """Name the services of later batches, where no CLI does."""
        hosts = self.play.get_variable_manager()._inventory.get_hosts(self.play.hosts, ignore_restrictions=True)
        missed = ",".join(host.name for host in hosts if host.name not in begun)
        if missed:
            self._display.display(
                f"Not begun: {missed}. Once the cause is gone: the same command with --limit {missed}"
            )

    def _untold(self, service: Any) -> str:
        """The steps that are missing of a service with which nothing went wrong; see `_missing`."""
        kind, cause = self.failures.get(service.service, ("", ""))
        return cause if kind == "left out" else "" if kind or service.outcome else self._missing(service.service)

    def _end_run(self, outcome: Any, cause: str | None) -> None:
        self.journal.end_run(self.run_id, outcome, cause)
        self._emit(RunEnded, outcome=str(outcome), cause=cause)

    def _outcome(self, service: Any, stats: Any) -> tuple[Any, str | None]:
        from pyrunbook.journal import Outcome

        if service.outcome is not None:
            return service.outcome, service.cause
        kind, cause = self.failures.get(service.service, ("", ""))
        if service.changed:
            return None, cause
        if kind == "unreachable" or stats.dark.get(service.service):
            return Outcome.UNREACHABLE, cause
        if kind == "preflight":
            return Outcome.REFUSED, cause
        if kind:
            return Outcome.FAILED, cause
        if missing := self._missing(service.service):
            return Outcome.FAILED, missing
        # Nothing failed and nothing was concluded: the runbook does not conclude.
        return Outcome.SUCCEEDED, None

    def _missing(self, host: str) -> str:
        """Which steps the runbook names and this run has not come to, in words; empty where there is none."""
        missing = [title for step, title in self.wanted.items() if step not in self.begun.get(host, ())]
        return f"not done, and nothing says why: {', '.join(missing)}" if missing else ""

    # --- steps -----------------------------------------------------------------------------------------------------

    @recording
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Announce a step; Ansible calls this in the main process before the worker of its first task is forked."""
        if self.journal is None or task.action in selection.VALIDATION:
            return
        self._enter(host.name, task)
        if self.plain and self.plain_hosts.touches(host.name, task, check_mode=self._checks(host.name, task)):
            self.journal.record_changed(self.run_id, host.name, True)

    def _checks(self, host: str, task: Any) -> bool:
        """Whether a task only says what it would do on a host: in a dry run one with `check_mode: false` does it."""
        if not isinstance(task.check_mode, str):
            return bool(task.check_mode)
        try:
            from ansible.module_utils.parsing.convert_bool import boolean
            from ansible.template import Templar

            templar = Templar(loader=self.play.get_loader(), variables=self._variables(host, task))
            return bool(boolean(templar.template(task.check_mode)))
        except Exception:  # of the loop's item, as an example: it may change something
            return False

    def _enter(self, host: str, task: Any) -> StepProgress | None:
        if not self.plain and host not in self.begun:  # of another play of the playbook, which names no runbook
            return None
        entered = selection.step_of(task, plain=self.plain)
        current = self.steps.get(host)
        if entered is None or (current is not None and current.entered.key == entered.key):
            return current
        self._hide(self._variables(host, task))  # those of the role, too
        step = StepProgress(entered, self._title(entered.title, host))
        ended = self.steps.pop(host, None)
        with self.journal.together():
            self._record_end(ended, host)
            self.journal.start_step(self.run_id, host, step.id, step.title)
        self.steps[host] = step
        self._tell_end(ended, host)
        self.begun.setdefault(host, set()).add(step.id)
        self._emit(StepStarted, service=host, step=step.id, title=step.title)
        return step

    def _title(self, raw: str, host: str) -> str:
        if "{{" not in raw:
            return str(raw)
        try:
            from ansible.template import Templar

            return str(Templar(loader=self.play.get_loader(), variables=self._variables(host)).template(raw))
        except Exception:  # a title is no reason to fail: the template itself says what it is about
            return str(raw)

    def _record_end(self, step: StepProgress | None, host: str) -> None:
        if step is not None:
            self.journal.end_step(self.run_id, host, step.id, step.outcome, step.detail, step.error)

    def _tell_end(self, step: StepProgress | None, host: str) -> None:
        if step is None:
            return
        self._emit(
            StepEnded,
            service=host,
            step=step.id,
            title=step.title,
            outcome=step.outcome,
            detail=step.detail,
            error=step.error,
            bad_input=step.bad_input,
            known=self._known(step, host),
            seconds=round(time.monotonic() - step.began, 3),
        )

    def _known(self, step: StepProgress, host: str) -> list[dict[str, Any]]:
        """The entries of the step's troubleshooting that its failure is about; told here where no CLI listens."""
        if not step.error or not step.entered.role:
            return []
        from pyrunbook.plugins.known_errors import known_errors

        try:
            variables = self._variables(host)
        except Exception:  # as for a title
            variables = {}
        known = known_errors(step.entered.path / "meta" / "step.yml", step.error, host, variables)
        if not os.environ.get(ENV_EVENTS):
            for entry in known:
                self._display.display(f"Known: {entry['cause']} {entry['solution']}")
                for command in entry["commands"]:
                    self._display.display(f"  {command}")
        return known

    def _variables(self, host: str, task: Any = None) -> dict[str, Any]:
        variables = self.play.get_variable_manager()
        host = variables._inventory.get_host(host)
        known: dict[str, Any] = variables.get_vars(play=self.play, host=host, task=task, include_hostvars=False)
        return known

    def _end_steps(self) -> None:
        ended, self.steps = self.steps, {}
        with self.journal.together():
            for host, step in ended.items():
                self._record_end(step, host)
        for host, step in ended.items():
            self._tell_end(step, host)

    # --- results ---------------------------------------------------------------------------------------------------

    @recording
    def v2_runner_on_ok(self, result: Any) -> None:
        """Take in what a task found."""
        self._take(result, "changed" if _data(result).get("changed") else "ok")

    @recording
    def v2_runner_on_skipped(self, result: Any) -> None:
        """A skipped task says nothing about its step."""
        self._take(result, "skipped")

    @recording
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Take in a failure: the first one of a service is the cause of its outcome."""
        self._take(result, "ok" if ignore_errors else "failed", ignored=ignore_errors)

    @recording
    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Take in that the machine of a service does not answer."""
        self._take(result, "unreachable")

    def _take(self, result: Any, outcome: str, *, ignored: bool = False) -> None:
        if self.journal is None:
            return
        host, data, task = str(result._host.get_name()), _data(result), result._task
        if host in self.concluded or (task.action in selection.VALIDATION and outcome != "failed"):
            return  # what comes after the conclusion only ends the play with the right exit code
        step = self._enter(host, task)
        if facts := data.get("ansible_facts"):
            self._hide(facts)
        changed = self.plain and self.plain_hosts.take(
            host, task, data, "failed" if ignored else outcome, check_mode=self._checks(host, task)
        )
        if changed and _cli_option("check"):
            self._emit(Note, text=f"{host}: changed in a dry run, by a task with check_mode: false")
        if step is None:
            return
        if data.get("finding"):  # the play goes on
            outcome = "failed"
        if data.get("conclusion"):  # the run was concluded; what fails with it is the play
            outcome = "ok"
        error = message(data) if outcome in ("failed", "unreachable") else None
        step.bad_input |= bool(data.get("bad_input")) or (error is not None and task.action in selection.VALIDATION)
        detail = "" if outcome == "skipped" else str(data.get("detail") or "")
        if self.plain:
            if changed:  # a detail of its own, by which the run is judged
                step.note("skipped", CHANGED if outcome == "changed" else MAYBE_CHANGED)
            detail = f"failed, and ignored: {first_line(message(data))}" if ignored else said(task, data)
        step.note(outcome, detail, error)
        if error is not None and (self.plain or host not in self.failures):
            kind = "unreachable" if outcome == "unreachable" else step.id
            self.failures[host] = ("preflight" if step.entered.role == "preflight" else kind, error)
        if not data.get("_ansible_no_log"):
            with self.journal.together():
                self._record(host, step, task, data)
            self._tell(host, data)

    def _record(self, host: str, step: StepProgress, task: Any, data: dict[str, Any]) -> None:
        if evidence := data.get("evidence"):
            self.journal.add_evidence(self.run_id, host, step.id, task.get_name().rpartition(" : ")[2], evidence)
        window = data.get("window")
        if isinstance(window, dict):
            self.journal.record_window(self.run_id, host, window, data.get("window_override"))
        self._attest(host, data.get("attestations") or [])
        plan = data.get("plan")
        if isinstance(plan, dict) and "checksum" in plan and not _cli_option("check"):
            self.journal.record_plan(self.run_id, host, plan["id"], plan["checksum"])
        if conclusion := data.get("conclusion"):
            if conclusion["outcome"] == "succeeded" and (missing := self._missing(host)):
                self.failures.setdefault(host, ("left out", missing))
                return  # whoever reads the journal finds the run in the middle, and puts it back
            self.concluded.add(host)
            self.journal.conclude(self.run_id, host, conclusion["outcome"], conclusion.get("cause"))
            self.failures.setdefault(host, ("concluded", conclusion.get("cause") or ""))

    def _tell(self, host: str, data: dict[str, Any]) -> None:
        """Emit what `_record` has recorded."""
        if isinstance(data.get("window"), dict):
            self._emit(Window, service=host, decision=data["window"], override=data.get("window_override"))
        if data.get("conclusion") and host in self.concluded:
            self._emit(ServiceEnded, service=host, **data["conclusion"])

    def _attest(self, host: str, entries: list[dict[str, str]]) -> None:
        from datetime import datetime

        for entry in entries:
            at = datetime.fromisoformat(entry["at"])
            self.journal.add_attestation(self.run_id, host, entry["name"], entry["by"], at)

    def _emit(self, kind: type[Event], **facts: Any) -> None:
        path = os.environ.get(ENV_EVENTS)
        if not path:
            return
        from pyrunbook.redaction import redact

        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        event = {"event": name_of(kind), "run": self.run_id, "time": stamp, **redact(facts, self.secrets)}
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")


def _cli_option(name: str) -> Any:
    from ansible import context

    return context.CLIARGS.get(name)


def _data(result: Any) -> dict[str, Any]:
    return result._result if isinstance(result._result, dict) else {}
