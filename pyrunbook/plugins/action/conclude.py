"""Action plugin: free the lock and record how a run ended; any failure ends the play here, as its last step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrunbook.journal import Outcome, next_step
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `conclude`: gives `conclusion` to the journal callback, which records it."""

    CHANGES = False
    CONCLUDES = True

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Free the lock, unless what was there could not be put back, and record the outcome."""
        end = inputs if inputs["conclude_incident"] == "none" else {**inputs, **self._of_incident(inputs)}
        outcome, cause = Outcome(end["conclude_outcome"]), end["conclude_cause"]
        if inputs["conclude_locked"] and outcome != Outcome.ROLLBACK_FAILED:
            yield self.platform.unlock()
        # The place of the notifications: they come after the lock is free, and never fail a run.
        then = "" if self.run_id == "manual" else next_step(outcome, self.run_id)
        result = {
            "changed": False,
            "detail": end["conclude_detail"],
            "conclusion": {"outcome": str(outcome), "cause": cause, "detail": end["conclude_detail"]},
            "evidence": {"outcome": str(outcome)},
            "next_step": then,
        }
        if outcome not in end["conclude_good"]:
            first = cause.strip().split("\n")[0]  # the step that failed has told the rest
            result |= {"failed": True, "msg": f"{outcome}: {first}" + (f"\nNext: {then}" if then else "")}
        yield result

    def _of_incident(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """How an incident's run ends: what counts is whether the service was seen in secure mode."""
        mode = "secure mode is on" if self.contained else "secure mode was NOT seen"
        tags = self.variable("ansible_run_tags")
        partly = ""
        if self.check_mode:
            partly = "this was a dry run"
        elif "all" not in tags:
            partly = f"only {', '.join(tags)} was done"
        if inputs["conclude_incident"] == "leave":
            cause = str((self.variable("ansible_failed_result") or {}).get("msg") or "")
            failed = Outcome.ROLLED_BACK if self.contained else Outcome.NOT_CONTAINED
            return {
                "conclude_outcome": failed if cause else Outcome.SUCCEEDED,
                "conclude_cause": cause,
                "conclude_detail": mode if cause and not self.check_mode else partly or "the service signs again",
            }
        findings = self.findings
        first_lines = [f"{each['step']}: {str(each['said']).partition(chr(10))[0]}" for each in findings]
        bad = f"; bad: {', '.join(each['step'] for each in findings)}" if findings else ""
        if partly:
            outcome = Outcome.FAILED if findings else Outcome.SUCCEEDED
        elif not self.contained:
            outcome = Outcome.NOT_CONTAINED
        else:
            outcome = Outcome.CONTAINED if findings else Outcome.SUCCEEDED
        good = [Outcome.SUCCEEDED]
        if self.variable("recovers"):
            ended_as = Outcome(inputs["conclude_outcome"])
            if self.contained and not partly:
                outcome = Outcome.CONTAINED if ended_as == Outcome.ROLLED_BACK else ended_as
            good += [Outcome.CONTAINED, Outcome.CANCELED, Outcome.TIMED_OUT, Outcome.UNREACHABLE]
        return {
            "conclude_outcome": outcome,
            "conclude_cause": "; ".join([each["said"] for each in findings] if partly else first_lines),
            "conclude_detail": partly or mode + bad,
            "conclude_good": good,
        }
