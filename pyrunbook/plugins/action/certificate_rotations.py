"""Action plugin: find the rotations that a rollback brings to an end, and record what stands before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.plugins.rotation_begin import record, state_of
from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN


class ActionModule(StepAction):
    """The first half of the step `rollback_certs`; `certificate_put_back` reads its result.

    It has `rotations`: for each certificate the `run` to put back, whether to do so although it was proven (`undo`),
    and the version that this run has deployed (`new`); `stays`, a line for each certificate that is left alone; `due`,
    those that are due now; `outcome` and `cause`, in case this is the last step; and whether it was `refused`.
    """

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Find them, refuse what cannot be undone, and record what stands where this run did not rotate itself."""
        rotation, undo = inputs["rollback_certs_rotation"] or self.run_id, inputs["rollback_certs_undo"]
        failed = self.variable("ansible_failed_result") or {}
        cause = failed.get("msg") or inputs["rollback_certs_reason"]
        yield {"outcome": "rollback_failed", "cause": cause, "refused": bool(failed.get("refused"))}
        with certificates_of(self) as service:
            asked = {
                "certificate_state_phase": "rotate",
                "certificate_state_force": False,
                "certificate_state_runbook": "",
            }
            state = state_of(service, asked)
            yield {"detail": state["detail"], "evidence": state["evidence"]}
            found: dict[str, dict[str, Any]] = {}
            stays, past = [], []
            for name, one in state["certificates"].items():
                current, replaced = one["standing"]["current"], [r for r in one["retired"] if r["run"] == rotation]
                if one["standing"]["run"]:
                    # What another run has staged, to be deployed later, stays.
                    if one["standing"]["run"] in (rotation, self.run_id) or not one["staged"]:
                        found[name] = self._under_way(one["standing"], rotation, undo=undo)
                elif undo and replaced:
                    found[name] = {"run": rotation, "undo": True, "new": current}
                    if current not in [each["replaced_by"] for each in replaced]:
                        past.append((name, [each["run"] for each in one["retired"] if each["replaced_by"] == current]))
                elif replaced:
                    stays.append(f"{name}: {current} stays, it was proven")
            yield {"refused": True}
            if undo and rotation != self.run_id and not found:
                raise Refused(
                    f"Run {rotation} has replaced no certificate that is still kept and not revoked.",
                    means="Nothing was changed.",
                    next_step="pyrunbook certs status --json, which names the run that replaced each one; "
                    "or for new certificates: pyrunbook certs rotate --force",
                )
            if past:
                newest = next(iter(past[0][1]), "RUN")
                raise Refused(
                    f"Since run {rotation}, another run has deployed {', '.join(name for name, _ in past)}.",
                    means="Nothing was changed: to go back would undo that as well.",
                    next_step=f"undo that one first: pyrunbook rollback {newest}",
                )
            yield {"refused": bool(failed.get("refused")), "rotations": found, "stays": stays, "due": state["due"]}
            if rotation != self.run_id:
                if (broken := os.environ.get(ENV_JOURNAL_BROKEN)) and not self.check_mode:
                    raise Refused(f"The journal cannot be written ({broken}), so nothing more is changed.")
                yield record(service, {each.name: service.store(each).read() for each in service.wanted})

    def _under_way(self, standing: dict[str, Any], rotation: str, *, undo: bool) -> dict[str, Any]:
        """A rotation that has not ended, or an undo that died and is resumed."""
        resumed = undo and standing["run"] == self.run_id != rotation
        return {"run": rotation if resumed else standing["run"], "undo": resumed, "new": standing["new"]}
