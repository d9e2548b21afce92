"""What may refuse a run before its service is touched: the journal, earlier runs, the window, attestations."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyrunbook import catalog, places, windows
from pyrunbook.errors import BadInput, Refused
from pyrunbook.journal import Journal, Run
from pyrunbook.rollout import plan
from pyrunbook.run_contract import ENV_EVENTS, ENV_RUN_ID

JOURNAL = f"{places.COLLECTION}.pyrunbook_journal"
"""The callback plugin that records runs."""
ENDED_RUNS = 100
"""How many of the last runs may have left a lock behind that the next one takes over."""


@dataclass(frozen=True)
class Recorded:
    """What the journal and the rollback plan know of a run that is resumed.

    Attributes:
        active: the color that served when it began.
        preview: the other one.
        deployed: what it has deployed; empty until then.
    """

    active: str
    preview: str
    deployed: dict[str, Any]


def operator() -> str:
    """Who runs this: `PYRUNBOOK_OPERATOR` (a team's controller sets it), or the person behind sudo, or the user."""
    named = os.environ.get("PYRUNBOOK_OPERATOR") or os.environ.get("SUDO_USER")
    try:
        return named or getpass.getuser()
    except (KeyError, OSError):  # a container's user, of whom nothing but the number is known
        return f"uid {os.getuid()}"


def require_journal(run_id: str, *, of_runbook: bool) -> None:
    """Refuse a play whose run is not recorded in the journal.

    Args:
        run_id: from the environment.
        of_runbook: whether the play is a runbook's, so that the journal must know the run.
    """
    if not os.environ.get(ENV_RUN_ID):
        raise Refused(
            f"This play writes no journal: the callback plugin {JOURNAL} is not enabled.",
            means="Nothing was changed. Ansible ignores the ansible.cfg of a world-writable directory (chmod o-w .).",
            next_step=f"export ANSIBLE_CALLBACKS_ENABLED={JOURNAL}, or in ansible.cfg, "
            f"under [defaults]: callbacks_enabled = {JOURNAL}",
        )
    if not of_runbook:
        return
    with Journal.open() as journal:
        try:
            known = not journal.get(run_id).finished
        except BadInput:
            known = False
    if not known:
        raise Refused(
            f"This play does not write the journal: it knows no run {run_id} that is going on.",
            means=f"The callback plugin {JOURNAL} is not enabled, or PYRUNBOOK_RUN_ID is set by hand.",
            next_step=f"unset PYRUNBOOK_RUN_ID; export ANSIBLE_CALLBACKS_ENABLED={JOURNAL}",
        )


def of_plain_playbook(run_id: str, host: str) -> bool:
    """Whether the run is one of a plain playbook, whose guards the journal's callback is: it has let the run begin."""
    with Journal.open() as journal:
        try:
            return journal.get(run_id).plain and journal.get(run_id).service(host) is not None
        except BadInput:
            return False


def ended_runs(run_id: str, service: str) -> list[str]:
    """The last runs of the service that have come to an end: a lock that one of them left behind counts as free.

    Of two runs that begin at once, each finds the other one unfinished. The one that began first goes on, and then
    the lock decides; a run that has changed something is never passed over.

    Raises:
        Refused: an earlier run has not come to its end.
    """
    with Journal.open() as journal:
        others = [run for run in journal.unfinished(service) if run.id != run_id and not run.check_mode]
        # A role that is used by itself has no run of its own to compare with.
        own = journal.get(run_id) if others else None
        earlier = [run for run in others if run.changed or (own and (run.started, run.id) < (own.started, own.id))]
        ended = [run.id for run in journal.history(ENDED_RUNS, service=service) if run.finished]
    if earlier:
        raise unfinished(earlier[0], service)
    return ended


def unfinished(run: Run, service: str = "") -> Refused:
    """That an earlier run has not come to its end."""
    return Refused(
        f"Run {run.id}{f' of {service}' if service else ''} ({run.runbook}, by {run.operator} on {run.machine}, begun "
        f"{run.started:%Y-%m-%d %H:%M:%S} UTC) has not been brought to an end.",
        means="It ended, and what was there before could not be put back."
        if run.ended
        else "It is still running, or it died and left things as they were in the middle.",
        next_step=f"wait for it, or: pyrunbook recover {run.id}",
    )


def recorded(run_id: str, service: str) -> Recorded | None:
    """What is on record of a run that is resumed; `None` for one that has no rollback plan yet."""
    path = plan.path_of(run_id, service)
    if not path.exists():
        return None
    kept = plan.read(path)
    with Journal.open() as journal:
        known = journal.get(run_id).service(service)
    # The evidence of the step deploy_green says so.
    evidence = [each.value for each in known.evidence if isinstance(each.value, dict)] if known else []
    deployed = [value["deployed"] for value in evidence if value.get("deployed")]
    return Recorded(kept.active, kept.preview, deployed[-1] if deployed else {})


def decide_window(schedule: windows.Schedule, override: str) -> dict[str, Any]:
    """Whether the window is open long enough, as the journal records it.

    Raises:
        Refused: it is closed, and no `override` says why the run may start all the same.
    """
    decision = windows.decide(schedule, datetime.now(UTC))
    window = schedule.window.spec if schedule.window else None
    result = {"window": window, **decision.as_dict()}
    if not decision.open and not override:
        raise Refused(
            f"The window {window or ''} is {decision.reason}.".replace("  ", " "),
            means="Nothing was changed.",
            next_step="add --wait to wait for it, or --no-window --reason TEXT in an emergency"
            if os.environ.get(ENV_EVENTS)
            else "start it when the window is open, or add -e preflight_window_override=REASON in an emergency",
            evidence={"window": result},
        )
    return result


def attestations(runbook: catalog.Runbook, attested: list[str], *, required: bool) -> list[dict[str, str]]:
    """The attestations of the operator, with name and time.

    Args:
        runbook: its prerequisites may ask for attestations.
        attested: names of prerequisites.
        required: whether every attestation that the runbook asks for must be given.

    Raises:
        BadInput: the runbook does not ask for one of them.
        Refused: one is missing.
    """
    asked = {p.id: p for p in runbook.metadata.prerequisites if p.check == "attested"}
    if unknown := sorted(set(attested) - set(asked)):
        raise BadInput(
            f"{runbook.id} asks for no attestation {', '.join(unknown)} (it asks for: {', '.join(asked) or 'none'})"
        )
    missing = [name for name in asked if name not in attested]
    if missing and required:
        listed = "\n".join(f"  {name}: {asked[name].text}" for name in missing)
        raise Refused(
            f"Nobody has attested {', '.join(missing)}:\n{listed}",
            next_step=f"make sure that it is so, then add {_attesting(attested, missing)}",
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [{"name": name, "by": operator(), "at": now} for name in asked if name in attested]


def _attesting(attested: list[str], missing: list[str]) -> str:
    """The option to add to the command: `ansible-playbook` has no --attest."""
    if os.environ.get(ENV_EVENTS):
        return " ".join(f"--attest {name}" for name in missing)
    return f"-e '{json.dumps({'preflight_attested': [*attested, *missing]})}'"
