"""The base of our action plugins: reads a step's inputs, service and platform; says errors in an operator's words."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from pyrunbook.errors import BadInput, FailedAndPutBack, PyrunbookError
from pyrunbook.platforms import Platform, Run, platform_of
from pyrunbook.plugins import target_program
from pyrunbook.plugins.role_inputs import role_inputs
from pyrunbook.redaction import secret_values
from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN, ENV_RUN_ID
from pyrunbook.service import STEP_VARIABLES, HostService, KubernetesService, of_step, plain

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster


class FailedOnTarget(FailedAndPutBack):
    """A program on the service's machine failed.

    Attributes:
        result: what it returned.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(str(result.get("msg") or "it failed without a message"), evidence=result.get("evidence"))
        self.result = result


class StepAction(ActionBase):
    """A task that does all the work of a step.

    Subclasses implement `act`. What it returns is the task's result; `detail` in it is shown to the operator and
    `evidence` goes to the journal. An operation of several parts yields a result for each of them: details are joined,
    evidence and other keys are merged, and a failure keeps what was done before it.
    """

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {}
    """Ansible argument spec, where an action takes arguments of its task in place of the role's inputs."""
    CHANGES: ClassVar[bool] = True
    """Whether the action can change the service. Such an action fails while the journal cannot be written,
    so that nothing happens that is not recorded; those that restore set this to `False`."""
    CONCLUDES: ClassVar[bool] = False
    """Whether the action ends the play: its failure fails the play, and is never taken for a finding."""
    TRANSFERS_FILES = False

    @abstractmethod
    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any] | Iterable[dict[str, Any]]:
        """Do it.

        Args:
            arguments: the role's inputs (`meta/argument_specs.yml`), which are the variables of these names; the task's
                where there are `ARGUMENTS`. Typed and defaulted by their specs.
            task_vars: the variables of the host.

        Raises:
            PyrunbookError: becomes the failure of the task.
        """

    @property
    def check_mode(self) -> bool:
        """Whether to report only what would change."""
        return bool(self._task.check_mode)

    @property
    def run_id(self) -> str:
        """The id of the run, `manual` when the play has none (a role under molecule)."""
        return os.environ.get(ENV_RUN_ID) or "manual"

    @cached_property
    def service(self) -> HostService | KubernetesService:
        """The service, as its inventory describes it.

        Raises:
            BadInput: with every mistake of the inventory that concerns a step.
        """
        return of_step(str(self.variables["inventory_hostname"]), {n: self.variable(n) for n in STEP_VARIABLES})

    @cached_property
    def platform(self) -> Platform[Any]:
        """What can be done with the service, on whichever platform it is."""
        deployed = (self.variable("service_deployed") or {}).get("deployed")
        run = Run(
            id=self.run_id,
            service=str(self.variables["inventory_hostname"]),
            check_mode=self.check_mode,
            on_target=lambda name, arguments: self.on_target(name, arguments, self.variables),
            shell=self._shell,
            active=self.variable("service_active_color") or "",
            preview=self.variable("service_preview_color") or "",
            state=self.variable("service_state"),
            release=self.variable("service_release") or "",
            deployed=deployed or {},
        )
        return platform_of(self.service, run)

    @cached_property
    def cluster(self) -> Cluster:
        """The connection to the namespace of a service on platform `kubernetes`.

        It reads no more of the inventory than it needs: a mistake in the colors must not stop a containment.
        """
        from pyrunbook.kubernetes.client import connect

        kubeconfig, context, namespace = (
            self.variable(f"service_{name}") or None for name in ("kubeconfig", "context", "namespace")
        )
        if not namespace:
            raise BadInput("platform kubernetes needs service_namespace: the kubeconfig may name another one")
        return connect(kubeconfig, context, namespace)

    @property
    def ready_check(self) -> HttpCheck:
        """What a color passes when it is ready (`service_ready_check`).

        Raises:
            BadInput: it is no check.
        """
        return HttpCheck.parse(self.variable("service_ready_check") or {"name": "ready", "path": "/ready"})

    def variable(self, name: str, **known: Any) -> Any:
        """A variable of the host as plain data, templated with others that are `known`; `None` where not defined."""
        return self._templated(name, self.variables[name], known) if name in self.variables else None

    def listed(self, name: str) -> list[dict[str, Any]]:
        """What the inventory describes in a list of mappings; empty where it is not defined.

        Raises:
            BadInput: the variable is something else.
        """
        found = self.variable(name) or []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise BadInput(f"{name} is not a list of mappings")
        return found

    def _templated(self, name: str, value: Any, known: dict[str, Any]) -> Any:
        """A value as plain data. What is secret in it, by itself or by its name, is remembered."""
        templar = self._templar
        if known:
            templar = templar.copy_with_new_env(available_variables={**self.variables, **known})
        found = templar.template(value)
        self._found_secrets.update(secret_values({name: found}))
        return plain(found)

    @property
    def secrets(self) -> list[str]:
        """What must not be shown: the secrets among the host's variables, and in what was templated of them."""
        return [*secret_values(self.variables), *self._found_secrets]

    def on_target(self, name: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Call a function such as `host_slot` on the service's machine, and return its result (`target_program.call`).

        Raises:
            FailedOnTarget: it failed.
            AnsibleConnectionFailure: the machine cannot be reached.
        """
        result = target_program.call(self, name.removeprefix("host_"), arguments, task_vars)
        if result.get("failed"):
            raise FailedOnTarget(result)
        return result

    def document(self, file: str, variable: str, content: dict[str, Any], **unless: dict[str, Any]) -> dict[str, Any]:
        """Keep a small JSON document where the service reads it.

        It reads no more of the inventory than it needs: a mistake in the colors must not stop a containment.

        Args:
            file: on platform `host`.
            variable: of the inventory, which names a ConfigMap (`config_map`) and its key (`file`) on `kubernetes`.
            content: the new document.
            unless: `unless` and `missing`, see the module `host_document`.

        Returns:
            `changed`, `before` and `now`.

        Raises:
            BadInput: the inventory does not say where.
            FailedOnTarget, ClusterError: it cannot be written.
        """
        if self.variable("service_platform") == "host":
            return self.on_target("host_document", {"path": file, "content": content, **unless}, self.variables)
        from pyrunbook.kubernetes.document import document

        place = self.variable(variable) or {}
        name, key = place.get("config_map"), place.get("file")
        if not name or not key:
            raise BadInput(
                f"{variable} does not name config_map and file, where the service reads it.",
                next_step=f"name them in the inventory (docs/pki/README.md, {variable})",
            )
        return document(self.cluster, name, key, content, **unless, check_mode=self.check_mode)

    @property
    def findings(self) -> list[dict[str, str]]:
        """Failures of earlier steps after which the play went on (`failures_are_findings`): `step` and `said`."""
        registered = (self.variables[name] for name in self.variables if name.startswith("__"))
        return [plain(it["finding"]) for it in registered if isinstance(it, Mapping) and it.get("finding")]

    @property
    def contained(self) -> bool:
        """Whether the step `secure_mode` has seen the service in secure mode."""
        return bool((self.variable("__secure_mode") or {}).get("contained"))

    def recorded(self, evidence: dict[str, Any]) -> dict[str, Any]:
        """Write evidence of one part of a step to the journal at once: the step may be killed before its next part.

        Returns:
            what the task's result still has to bring there: nothing, or all of it where it could not be written.
        """
        from pyrunbook.journal import Journal, JournalError
        from pyrunbook.plugins import selection

        include, name = selection.outermost_include(self._task), self._task.get_name().rpartition(" : ")[2]
        if include is None or self.check_mode:
            return evidence
        try:
            with Journal.open() as journal:
                journal.hide(*self.secrets)
                service = str(self.variables["inventory_hostname"])
                journal.add_evidence(self.run_id, service, selection.step_id(include), name, evidence)
        except JournalError:
            return evidence
        return {}

    def _shell(self, script: str) -> tuple[int, str]:
        done = self._low_level_execute_command(script)
        return int(done["rc"]), str(done["stderr"])

    def inventory_checks(self, value: Any, **others: Any) -> tuple[list[dict[str, Any]], str]:
        """The checks of the inventory that those of a rollback plan refer to, and why some cannot be read.

        A vault whose password is missing must not end a rollback, so these are no inputs. The value is as the inventory
        has it, with templates; the others are variables for them.
        """
        found: list[dict[str, Any]] = []
        why = ""
        for each in value if isinstance(value, list) else [value]:
            try:
                checks = self._templated("checks", each, others)
            except Exception as error:
                why = str(error).splitlines()[0]
                continue
            found += checks if isinstance(checks, list) else [checks] if checks else []
        return found, why

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible, in a forked worker.

        Where the play says so (`failures_are_findings`), a failure is a finding: the journal has it as a failure, and
        the play goes on. An incident must not stop halfway.
        """
        self.variables: dict[str, Any] = task_vars or {}
        self._found_secrets: set[str] = set()
        goes_on = not self.CONCLUDES and self.variable("failures_are_findings")
        try:
            result = self._perform(tmp, task_vars)
        except Exception as error:
            if not goes_on or isinstance(error, AnsibleConnectionFailure):
                raise
            said = str(error) if isinstance(error, AnsibleError) else f"{type(error).__name__}: {error}"
            result = {"failed": True, "msg": said}
        if goes_on and result.get("failed"):
            finding = {"step": self._task._role.get_name(include_role_fqcn=False), "said": result["msg"]}
            result.update(failed=False, finding=finding, _ansible_verbose_always=True)  # ansible-playbook shows it, too
        return result

    def _perform(self, tmp: Any, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        broken = os.environ.get(ENV_JOURNAL_BROKEN)
        if broken and self.CHANGES and not self.check_mode:
            result.update(failed=True, msg=f"The journal cannot be written ({broken}), so nothing more is changed.")
            return result
        _, arguments = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            if not self.ARGUMENTS and self._task._role is not None:
                arguments = self.inputs_of()
            done = self.act(arguments, self.variables)
            if isinstance(done, Mapping):
                result.update(done)
            else:
                for part in done:
                    _add(result, part)
        except PyrunbookError as error:
            if isinstance(error, FailedOnTarget):
                _add(result, error.result)
            bad_input = isinstance(error, BadInput)
            result.update(failed=True, msg=str(error), seen=error.seen, next_step=error.next_step, bad_input=bad_input)
            if error.evidence:
                result["evidence"] = {**result.get("evidence", {}), **error.evidence}
        return result

    def inputs_of(self, other: str = "") -> dict[str, Any]:
        """The inputs of the task's role, or of another one beside it, as Ansible's own validation would accept them.

        Raises:
            BadInput: in the words of that validation.
        """
        role = Path(self._task._role._role_path)
        spec = role_inputs(role.with_name(other) if other else role)
        given = {name: self.variable(name) for name in spec if name in self.variables}
        checked = ArgumentSpecValidator(spec).validate(given)
        if checked.error_messages:
            raise BadInput("\n".join(["Validation of arguments failed:", *checked.error_messages]))
        inputs: dict[str, Any] = checked.validated_parameters
        return inputs


def _add(result: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Take the result of one part of an operation into that of the task."""
    details = [detail for detail in (result.get("detail"), part.get("detail")) if detail]
    diffs = [*result.get("diff", []), *([part["diff"]] if part.get("diff") else [])]
    changed = bool(result.get("changed") or part.get("changed"))
    evidence = {**result.get("evidence", {}), **part.get("evidence", {})}
    result.update(part, changed=changed, detail=" · ".join(dict.fromkeys(details)), diff=diffs, evidence=evidence)
