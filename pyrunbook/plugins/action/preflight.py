"""Action plugin: decide whether a run may start; everything that can be refused without touching the service."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from pyrunbook import catalog, service, windows
from pyrunbook.errors import BadInput, Refused
from pyrunbook.journal import Journal, Run
from pyrunbook.plugins.role_inputs import role_inputs
from pyrunbook.plugins.step_action import ENV_RUN_ID, StepAction
from pyrunbook.rollout import plan

DEPLOYED = ("Start the release", "Wait for the rollout")
"""The tasks of the role deploy_green whose evidence says what it has deployed."""
ENV_EVENTS = "PYRUNBOOK_EVENTS"
"""Set where the command `pyrunbook` has started the play."""
ENV_MODE = "PYRUNBOOK_MODE"
"""Why the play was started, see `execution.play.Request`."""

ENDED_RUNS = 100
"""How many of the last runs may have left a lock behind that the next one takes over."""


def operator() -> str:
    """Who runs this: `PYRUNBOOK_OPERATOR` (a team's controller sets it), or the person behind sudo, or the user."""
    named = os.environ.get("PYRUNBOOK_OPERATOR") or os.environ.get("SUDO_USER")
    try:
        return named or getpass.getuser()
    except (KeyError, OSError):  # a container's user, of whom nothing but the number is known
        return f"uid {os.getuid()}"


def _attesting(attested: list[str], missing: list[str]) -> str:
    """What to add to the command that was typed: `ansible-playbook` has no option of ours."""
    if os.environ.get(ENV_EVENTS):
        return " ".join(f"--attest {name}" for name in missing)
    return f"-e '{json.dumps({'preflight_attested': [*attested, *missing]})}'"


def _specified(runbook: catalog.Runbook) -> dict[str, dict[str, Any]]:
    """The argument specs of the runbook and of its roles, by the name of the variable."""
    options: dict[str, dict[str, Any]] = {
        name: {"type": wanted.kind, "choices": wanted.choices, "elements": wanted.elements}
        for name, wanted in runbook.inputs.items()
    }
    for role in {step.role for step in runbook.playbook.imports}:
        options |= role_inputs(runbook.role_home(role) / role)
    return options


class ActionModule(StepAction):
    """The window, earlier runs, attestations; on a resumed run also the plan of its first attempt.

    The result carries `window` and `attestations` for the journal; `recorded`: the colors of the run's plan where a
    plan exists already, and what was deployed; `ended`: the runs whose locks may be taken over.
    """

    ARGUMENTS = {
        "runbook": {"type": "str", "required": True},
        "service": {"type": "str", "required": True},
        "window": {"type": "str"},
        "window_exclusions": {"type": "list", "elements": "str", "default": []},
        "window_cutoff": {"type": "str"},
        "window_override": {"type": "str"},
        "attested": {"type": "list", "elements": "str", "default": []},
        "recovery": {"type": "bool", "default": False},
        "exclusive": {"type": "bool", "default": True},
        "colors": {"type": "bool", "default": False},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Refuse, or say why the run may start."""
        if not os.environ.get(ENV_RUN_ID):
            raise Refused(
                "This play writes no journal: the callback plugin pyrunbook_journal is not enabled.",
                means="Ansible did not read pyrunbook's ansible.cfg; it ignores one in a world-writable directory.",
                next_step="chmod o-w . and run from the directory of ansible.cfg, or use the pyrunbook command",
            )
        if "runbook_id" in task_vars:
            self._refuse_unrecorded()
        runbook = catalog.load().get(arguments["runbook"])
        catalog.load().get(runbook.metadata.undone_by)
        asked = task_vars.get("ansible_run_tags") or []
        if "all" not in asked:
            runbook.refuse_selection(asked)
        self._check_inputs(runbook, task_vars)
        self._check_service(arguments, task_vars)
        ended = self._ended(arguments["service"]) if arguments["exclusive"] else []
        recovery = arguments["recovery"]
        result: dict[str, Any] = {
            "changed": False,
            "operator": operator(),
            "machine": socket.gethostname(),
            "recorded": self._recorded(arguments["service"]),
            "ended": ended,
        }
        if not recovery:
            decision = self._window(runbook.metadata, arguments)
            result["window"] = decision
            result["window_override"] = arguments["window_override"] or None
            result["attestations"] = self._attestations(runbook, arguments["attested"])
        named = [entry["name"] for entry in result.get("attestations", [])]
        result["detail"] = f"{len(named)} prerequisites attested" if named else ""
        result["evidence"] = {"operator": result["operator"], "machine": result["machine"], "attested": named}
        return result

    def _check_service(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Read what the inventory says of the service; where something is put back, only what is missing counts."""
        complete = arguments["colors"]
        if arguments["recovery"] and not (complete and service.missing(task_vars)):
            return
        said: dict[str, Any] = {name: None for name in task_vars if name.startswith(("service_", "update_"))}
        unresolved = {}
        for name in service.VARIABLES & set(task_vars):
            try:
                said[name] = service.plain(self._templar.template(task_vars[name]))
            except AnsibleError as error:
                said[name] = "{{ }}"
                if name not in service.CHECKS:  # they name the release, which is not known yet
                    unresolved[name] = error.message
        sources = task_vars.get("ansible_inventory_sources") or []
        service.read(arguments["service"], said, sources, complete=complete, unresolved=unresolved)

    def _check_inputs(self, runbook: catalog.Runbook, task_vars: dict[str, Any]) -> None:
        """Validate what was given for the runbook and all its steps, wherever it was given, before the first step."""
        given: dict[str, Any] = {}
        spec: dict[str, dict[str, Any]] = {}
        for name, option in _specified(runbook).items():
            if name not in task_vars:
                continue
            try:
                given[name] = self._templar.template(task_vars[name])
            except AnsibleError:  # it depends on what the run has yet to find out; its step validates it
                continue
            spec[name] = {key: option[key] for key in ("type", "choices", "elements") if option.get(key) is not None}
        messages = [
            re.sub(
                r"^argument '(\w+)' is of type \w+ and we were unable to convert to (\w+):.*",
                r"\1 is not of type \2",
                told,
            )
            for told in ArgumentSpecValidator(spec).validate(given).error_messages
        ]
        # A recovery brings to an end what was given to the run that it is about.
        if os.environ.get(ENV_MODE) != "recover":
            messages += [f"{name} is missing (-e {name}=…)" for name in runbook.needed if name not in task_vars]
        if messages:
            raise BadInput(
                f"inputs of {runbook.id}: {'; '.join(messages)}",
                means="Nothing was changed.",
                next_step=f"pyrunbook show {runbook.id}",
            )

    def _refuse_unrecorded(self) -> None:
        """Refuse a play that has the id of a run, from its environment, but no callback that records it."""
        with Journal.open() as journal:
            try:
                known = not journal.get(self.run_id).finished
            except BadInput:
                known = False
        if not known:
            raise Refused(
                f"This play does not write the journal: it knows no run {self.run_id} that is going on.",
                means="The callback plugin pyrunbook_journal is not enabled, or PYRUNBOOK_RUN_ID is set by hand.",
                next_step="unset PYRUNBOOK_RUN_ID and ANSIBLE_CALLBACKS_ENABLED, and use pyrunbook's ansible.cfg",
            )

    def _ended(self, service: str) -> list[str]:
        """The last runs of the service that have come to an end: what they left locked is no lock.

        Of two runs that begin at once, each finds the other one unfinished. The one that began first goes on, and then
        the lock decides; a run that has changed something is never passed over.

        Raises:
            Refused: an earlier run has not come to its end.
        """
        with Journal.open() as journal:
            others = [run for run in journal.unfinished(service) if run.id != self.run_id and not run.check_mode]
            earlier = [run for run in others if run.changed or self._began_before(journal, run)]
            ended = [run.id for run in journal.history(ENDED_RUNS, service=service) if run.finished]
        if earlier:
            run = earlier[0]
            raise Refused(
                f"Run {run.id} of {service} ({run.runbook}, by {run.operator} on {run.machine}, begun "
                f"{run.started:%Y-%m-%d %H:%M:%S} UTC) has not been brought to an end.",
                means="It ended, and what was there before could not be put back."
                if run.ended
                else "It is still running, or it died and left things as they were in the middle.",
                next_step=f"wait for it, or: pyrunbook recover {run.id}",
            )
        return ended

    def _began_before(self, journal: Journal, other: Run) -> bool:
        own = journal.get(self.run_id)
        return (other.started, other.id) < (own.started, own.id)

    def _recorded(self, service: str) -> dict[str, Any] | None:
        """Of a run that was begun before: the colors of its plan, and what it has deployed; `{}` before it had."""
        path = plan.path_of(self.run_id, service)
        if not path.exists():
            return None
        recorded = plan.read(path)
        with Journal.open() as journal:
            known = journal.get(self.run_id).service(service)
        deployed = [e.value for e in known.evidence if e.name in DEPLOYED] if known else []
        return {"active": recorded.active, "preview": recorded.preview, "deployed": deployed[-1] if deployed else {}}

    def _window(self, metadata: catalog.Metadata, arguments: dict[str, Any]) -> dict[str, Any]:
        declared = metadata.window
        spec = arguments["window"] or declared.spec or (None if declared.required else "always")
        cutoff = arguments["window_cutoff"]
        decision = windows.decide(
            spec,
            datetime.now(UTC),
            exclusions=[*declared.exclusions, *arguments["window_exclusions"]],
            cutoff=windows.parse_duration(cutoff) if cutoff else declared.cutoff,
            needs=metadata.estimate,
            reserve=metadata.reserve,
        )
        result = {"window": spec, **decision.as_dict()}
        if not decision.open and not arguments["window_override"]:
            raise Refused(
                f"The window {spec or ''} is {decision.reason}.".replace("  ", " "),
                means="Nothing was changed.",
                next_step="add --wait to wait for it, or --no-window --reason TEXT in an emergency"
                if os.environ.get(ENV_EVENTS)
                else "start it when the window is open, or add -e preflight_window_override=REASON in an emergency",
                evidence={"window": result},
            )
        return result

    def _attestations(self, runbook: catalog.Runbook, attested: list[str]) -> list[dict[str, str]]:
        asked = {p.id: p for p in runbook.metadata.prerequisites if p.check == "attested"}
        unknown = sorted(set(attested) - set(asked))
        if unknown:
            raise BadInput(
                f"{runbook.id} asks for no attestation {', '.join(unknown)} (it asks for: {', '.join(asked) or 'none'})"
            )
        missing = [name for name in asked if name not in attested]
        if missing and not self.check_mode:
            listed = "\n".join(f"  {name}: {asked[name].text}" for name in missing)
            raise Refused(
                f"Nobody has attested {', '.join(missing)}:\n{listed}",
                next_step=f"make sure that it is so, then add {_attesting(attested, missing)}",
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return [{"name": name, "by": operator(), "at": now} for name in asked if name in attested]
