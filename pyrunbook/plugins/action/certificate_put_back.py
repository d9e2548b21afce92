"""Action plugin: have the certificates served again that were served before a rotation, and see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleConnectionFailure

from pyrunbook.errors import FailedAndNotPutBack, PyrunbookError
from pyrunbook.plugins.service_certificates import ServiceCertificates, certificates_of
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.run_contract import ENV_MODE

if TYPE_CHECKING:
    from pyrunbook.pki.wanted import WantedCertificate


class ActionModule(StepAction):
    """Brings the rotations that `certificate_rotations` has found to an end; one that fails does not stop the others.

    A rotation that is under way ends forward where it was proven, back otherwise. With `undo` it goes back in any case,
    also where it has ended in success: the version that it replaced is deployed and proven again.

    The result has `outcome`, its `cause`, and `ended`, one line: what is served now.
    """

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Settle, or undo; the outcome is `rollback_failed` until all of them are."""
        found = self.variable("__rollback_certs")
        yield {"outcome": found["outcome"], "cause": found["cause"]}
        told, back, kept = list(found["stays"]), False, False
        failures: dict[str, PyrunbookError] = {}
        with certificates_of(self) as service:
            for name, rotation in found["rotations"].items():
                try:
                    done = self._put_back(service, service.named(name), rotation)
                except AnsibleConnectionFailure:
                    raise
                except Exception as error:
                    failures[name] = error if isinstance(error, PyrunbookError) else FailedAndNotPutBack(str(error))
                    continue
                kept = kept or done.pop("kept", False)
                proof = {name: done.get("evidence", {}), "undoable": kept}
                yield {**done, "evidence": self.recorded(proof)}
                told.append(f"{name}: {done['detail']}")
                # What was proven before its run died has gone forward; anything else has gone back.
                back = back or rotation["undo"] or done.get("serial") != rotation["new"]
        if failures:
            yield {"evidence": {name: error.evidence for name, error in failures.items()}}
            raise FailedAndNotPutBack("\n".join(str(error) for error in failures.values()))
        outcome = inputs["rollback_certs_outcome"]
        if not back and os.environ.get(ENV_MODE) == "recover" and told and not found["due"]:
            outcome = "succeeded"  # a rotation that died when all was proven
        elif not back and not told and outcome == "rolled_back":
            outcome = "refused" if found["refused"] else "failed"  # before anything was changed
        yield {"outcome": outcome, "ended": ", ".join(told) or "nothing was changed"}

    def _put_back(
        self, service: ServiceCertificates, wanted: WantedCertificate, rotation: dict[str, Any]
    ) -> dict[str, Any]:
        from pyrunbook.pki import going_back

        store, run = service.store(wanted), rotation["run"]
        if not self.check_mode:
            if rotation["undo"]:
                done = going_back.undo(wanted, store, service.issuers, run, self.run_id)
            else:
                done = going_back.settle(wanted, store, run)
            # A pair that was discarded is not kept, so nothing of this run can be brought back.
            try:
                kept = any(each.run == self.run_id for each in store.read().retired)
            except Exception:
                kept = True  # not known; it was put back all the same
            return {**done.as_result(), "kept": kept}
        held = store.read()
        standing = held.standing
        if rotation["undo"] and not standing.run:
            back = next((each.version for each in held.retired if each.run == run), "")
            return {"changed": bool(back), "detail": f"would deploy {back} again in place of {standing.current}"}
        return {"changed": bool(standing.run), "detail": f"would bring to an end: {standing.seen}"}
