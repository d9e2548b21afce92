"""Action plugin: refuse whatever can be refused, then take the lock."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from pyrunbook import catalog, service, windows
from pyrunbook.errors import BadInput, PyrunbookError, Refused
from pyrunbook.kubernetes.target import other
from pyrunbook.platforms import Deployment
from pyrunbook.plugins import guards
from pyrunbook.plugins.role_inputs import role_inputs
from pyrunbook.plugins.rotation_begin import state_of
from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout import service_address, verification
from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.run_contract import ENV_MODE


class ActionModule(StepAction):
    """The step `preflight`: first the checks that need no service, then the lock, then the checks of the service.

    Where one of those refuses, the lock is freed again. The result has `window` and `attestations` for the journal, and
    `facts`: the variables that the later steps and the titles use.
    """

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Refuse, or say why the run may start."""
        asked = {name.removeprefix("preflight_"): value for name, value in inputs.items()}
        name = str(task_vars["inventory_hostname"])
        guards.require_journal(self.run_id, of_runbook="runbook_id" in task_vars)
        if guards.of_plain_playbook(self.run_id, name):
            yield {"detail": "guarded as the metadata say", "facts": {}}
            return
        runbooks = catalog.load()
        runbook = runbooks.get(asked["runbook"])
        runbooks.get(runbook.metadata.undone_by)
        selected = task_vars.get("ansible_run_tags") or []
        if "all" not in selected:
            runbook.refuse_selection(selected)
        self._check_inputs(runbook)
        self._check_inventory(name, complete=asked["colors"], recovery=asked["recovery"])
        facts: dict[str, Any] = {}
        if asked["certificates"]:
            yield self._look_at_certificates(facts, asked)
        ended = guards.ended_runs(self.run_id, name) if asked["exclusive"] else []
        recorded = guards.recorded(self.run_id, name)
        yield self._may_start(runbook, asked, facts.get("service_certificate_state", {}))
        if recorded:
            facts |= {"service_active_color": recorded.active, "service_preview_color": recorded.preview}
            facts["service_deployed"] = {"deployed": recorded.deployed}
        with self._lock() as taken:
            if asked["exclusive"]:
                certificates = (self.variable("service_certificates") or []) if asked["certificates"] else []
                secrets = [str(each["secret"]) for each in certificates if "secret" in each]
                for part in self.platform.lock(guards.operator(), runbook.id, ended, secrets):
                    taken.append(part["changed"])
                    yield part
            if asked["colors"]:
                yield from self._read_state(facts, recorded, recovery=asked["recovery"])
            if asked["colors"] and not asked["recovery"]:
                yield from self._check_service(facts, asked, resumed=recorded is not None)
        yield {"facts": facts}

    @contextmanager
    def _lock(self) -> Iterator[list[bool]]:
        """Free the lock when something is refused, unless an earlier attempt of this run had taken it."""
        taken: list[bool] = []
        try:
            yield taken
        except AnsibleConnectionFailure:
            raise  # the machine is away, and the lock on it
        except Exception as error:
            if any(taken) and not self.check_mode:
                try:
                    self.platform.unlock()
                except Exception as second:
                    if isinstance(error, PyrunbookError):
                        error.means = f"{error.means}\nThe lock could not be freed: {second}".strip()
            raise

    def _look_at_certificates(self, facts: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        """See which certificates are due: that decides whether the window holds."""
        given = {name: asked[name] for name in ("runbook", "window", "window_override")} | {"begin": True}
        with certificates_of(self) as service:
            state = state_of(service, {f"certificate_state_{name}": value for name, value in given.items()})
        facts["service_certificate_state"] = {key: state[key] for key in state if key not in ("detail", "evidence")}
        return {"detail": state["detail"], "evidence": state["evidence"]}

    def _may_start(self, runbook: catalog.Runbook, asked: dict[str, Any], due: dict[str, Any]) -> dict[str, Any]:
        """The window and the attestations, as the journal records them; a recovery needs neither.

        No window is needed where nothing is due, or where a certificate would expire before it opens.
        """
        evidence: dict[str, Any] = {"operator": guards.operator(), "machine": socket.gethostname(), "attested": []}
        if asked["recovery"]:
            return {"changed": False, "evidence": evidence}
        override = asked["window_override"] or due.get("window_override") or ""
        attested = guards.attestations(runbook, asked["attested"], required=not self.check_mode)
        given = {name: self.variable(name) for name in runbook.metadata.window.variables}
        schedule = runbook.schedule(given, spec=asked["window"])
        if not due.get("needs_window", True):
            schedule = windows.Schedule.read("always", needs=schedule.needs, reserve=schedule.reserve)
        decision = guards.decide_window(schedule, override)
        evidence["attested"] = [entry["name"] for entry in attested]
        return {
            "changed": False,
            "window": decision,
            "window_override": override or None,
            "attestations": attested,
            "detail": f"{len(attested)} prerequisites attested" if attested else "",
            "evidence": evidence,
        }

    def _read_state(
        self, facts: dict[str, Any], recorded: guards.Recorded | None, *, recovery: bool
    ) -> Iterator[dict[str, Any]]:
        """Read what is there, and tell the later steps."""
        read = self.platform.state(for_rollback=recovery)
        yield {**read, "evidence": {"state": read["state"]}}
        active = recorded.active if recorded else self.variable("service_active_color") or read["state"]["active"]
        preview = other(active) if active in service.COLORS else "none"
        facts |= {"service_state": read["state"], "service_active_color": active, "service_preview_color": preview}
        deployed = recorded.deployed if recorded else {}
        run = replace(self.platform.run, state=read["state"], active=active, preview=preview, deployed=deployed)
        self.platform.run = run
        if active not in service.COLORS and not recovery:
            raise Refused(
                f"No color of {self.variables['inventory_hostname']} serves, so there is nothing to go back to.",
                next_step="look at it (pyrunbook doctor), and start a color by hand",
            )

    def _check_service(
        self, facts: dict[str, Any], asked: dict[str, Any], *, resumed: bool
    ) -> Iterator[dict[str, Any]]:
        """Refuse what is wrong with the release, the color that serves, the checks and the service's address."""
        platform = self.platform
        known = {name: facts[name] for name in ("service_state", "service_active_color", "service_preview_color")}
        if asked["deploys"]:
            manifests = self.variable("deploy_green_manifests", **known) or []
            deployment = Deployment(
                release=asked["release"],
                parts=self.variable("backup_parts", **known) or [],
                stops=self.variable("update_strategy") == "controlled_stop",
                manifests=[manifests] if isinstance(manifests, str) else manifests,
                force_conflicts=bool(self.variable("deploy_green_force_conflicts")),
            )
            for part in platform.check_deployment(deployment):
                facts["service_release"] = part["release"]
                yield part
        yield from platform.check_reached(self.ready_check)
        serving = platform.known["colors"][platform.active]["release"] or ""
        self._check_checks(facts.get("service_release") or serving)
        if not resumed:
            checks, url = self._checks(serving), str(self.service.url)
            yield service_address.require_answer(url, platform.active, serving, checks, self.ready_check)

    def _checks(self, release: str) -> list[HttpCheck]:
        """The checks of the service, for the release that should answer."""
        return [HttpCheck.parse(check) for check in self.variable("service_checks", validate_release=release) or []]

    def _check_checks(self, release: str) -> None:
        """Refuse checks and hooks that would turn out to be wrong only after the switch."""
        named = ("validate_preview_hooks", "validate_service_hooks")
        scripts = [hook for name in named for hook in self.variable(name, validate_release=release) or []]
        verification.read(self.variable("service_checks", validate_release=release) or [], scripts)

    def _check_inventory(self, name: str, *, complete: bool, recovery: bool) -> None:
        """Read what the inventory says of the service; to put something back, only what is missing is refused."""
        if recovery and not (complete and service.missing(self.variables)):
            return
        said: dict[str, Any] = {key: None for key in self.variables if key.startswith(("service_", "update_"))}
        unresolved = {}
        for key in service.VARIABLES & set(self.variables):
            try:
                said[key] = self.variable(key)
            except AnsibleError as error:
                said[key] = "{{ }}"
                if key not in service.CHECKS:  # they name the release, which is not known yet
                    unresolved[key] = error.message
        sources = self.variables.get("ansible_inventory_sources") or []
        service.read(name, said, sources, complete=complete, unresolved=unresolved)

    def _check_inputs(self, runbook: catalog.Runbook) -> None:
        """Validate the inputs of the runbook and of all its steps, wherever they were given, before the first step."""
        given: dict[str, Any] = {}
        spec: dict[str, dict[str, Any]] = {}
        for name, option in _specified(runbook).items():
            if name not in self.variables:
                continue
            try:
                given[name] = self._templar.template(self.variables[name])
            except AnsibleError:  # it depends on what the run does not know yet; its step validates it
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
        # A recovery takes the inputs of the run that it brings to an end.
        if os.environ.get(ENV_MODE) != "recover":
            messages += [f"{name} is missing (-e {name}=…)" for name in runbook.needed if name not in self.variables]
        if messages:
            raise BadInput(
                f"inputs of {runbook.id}: {'; '.join(messages)}",
                means="Nothing was changed.",
                next_step=f"pyrunbook show {runbook.id}",
            )


def _specified(runbook: catalog.Runbook) -> dict[str, dict[str, Any]]:
    """The argument specs of the runbook and of its roles, by the name of the variable."""
    options: dict[str, dict[str, Any]] = {
        name: {"type": wanted.kind, "choices": wanted.choices, "elements": wanted.elements}
        for name, wanted in runbook.inputs.items()
    }
    for role in {step.role for step in runbook.playbook.imports}:
        options |= role_inputs(runbook.role_path(role))
    return options
