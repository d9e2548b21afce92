"""Action plugin: who is to be called now, from the runbook and the inventory."""

from __future__ import annotations

from typing import Any

from pyrunbook import catalog
from pyrunbook.errors import BadInput
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Calls nobody itself: the notification comes after the lock is free (role `conclude`)."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Name them, the first to be called first."""
        runbook = inputs["escalate_runbook"] or self.variable("runbook_id")
        contacts, channels = self.variable("runbook_contacts") or [], self.variable("runbook_channels") or {}
        if not isinstance(contacts, list) or not all(isinstance(each, dict) for each in contacts):
            raise _unreadable("runbook_contacts is not a list of contacts")
        if not isinstance(channels, dict):
            raise _unreadable("runbook_channels does not give each channel its name")
        levels = {str(each.get("level")): each for each in contacts}
        called, unknown = [], []
        for wanted in catalog.load().get(runbook).metadata.escalation:
            after = f" after {wanted.after}" if wanted.after else " now"
            if wanted.to in levels:
                person = levels[wanted.to]
                who = _text(person.get("name")) or _text(person.get("role")) or wanted.to
                called.append(
                    {"to": wanted.to, "who": who, "reach": str(person.get("reach", "")), "when": after.strip()}
                )
            elif wanted.to in channels:
                place = str(channels[wanted.to])
                called.append({"to": wanted.to, "who": place, "reach": "", "when": after.strip()})
            else:
                unknown.append(wanted.to)
        findings = self.findings
        evidence = {"call": called, "not_in_inventory": unknown, "findings": findings, "contained": self.contained}
        if not called:
            raise BadInput(
                f"the inventory names none of those whom {runbook} calls: {', '.join(unknown) or 'nobody'}",
                means="Nobody knows whom to call.",
                next_step="name them in runbook_contacts or runbook_channels",
            )
        people = [f"{each['who']} ({each['reach'] or each['to']}) {each['when']}" for each in called]
        detail = "call " + ", ".join(people) + (f"; not in the inventory: {', '.join(unknown)}" if unknown else "")
        return {
            "changed": False,
            "detail": detail,
            # For those who run ansible-playbook, which shows nothing else of a task that is well.
            "msg": detail,
            "_ansible_verbose_always": True,
            "evidence": evidence,
        }


def _unreadable(seen: str) -> BadInput:
    return BadInput(
        seen,
        means="Whom to call is not known.",
        next_step="call whom you know; then mend it in the inventory (docs/guides/pages.md)",
    )


def _text(value: Any) -> str:
    """A text of the inventory, which may be there in several languages."""
    return str(value.get("en") or next(iter(value.values()), "")) if isinstance(value, dict) else str(value or "")
