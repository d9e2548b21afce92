"""Action plugin: send the traffic back to a color that still answers, by one shell command on the service's machine."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlsplit

from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout.checks import HttpCheck, perform

ANSWER_SECONDS = 2.0
SCRIPT = """\
cd {root} || exit 1
[ -d releases/{release} ] && [ ! -e slots/{color}/starting ] || exit 3
[ "$(basename "$(readlink slots/{color}/release)")" = {release} ] || exit 3
[ "$(cat {upstream})" = {address} ] && exit 4
umask 077
new=$(mktemp {upstream}.XXXXXX) || exit 1
trap 'rm -f "$new"' EXIT
printf '%s\\n' {address} > "$new" && chmod 644 "$new" || exit 1
sync "$new" 2>/dev/null
mv -f "$new" {upstream} && sync "$(dirname {upstream})" 2>/dev/null || :
[ "$(cat {upstream})" = {address} ]"""
"""POSIX sh, without a last newline, because Ansible appends ` && sleep 0`.

0: sent; 3: the slot may hold something else than the plan's release; 4: the traffic was there already.
As `pyrunbook.on_target.durable.write` does it: whole on disk before it takes the place of the old file."""
SENT, ALREADY_THERE = 0, 4


class ActionModule(StepAction):
    """The quick part of a rollback on platform `host`.

    Clients see the bad release until the traffic is back, and a module's Python takes longer to start than all the
    rest of the switch. Where this cannot be sure, it leaves everything to the module `host_put_back`, which comes next
    in any case: that restores and starts what is missing.
    """

    ARGUMENTS = {"service": {"type": "dict", "required": True}, "plan": {"type": "dict", "required": True}}
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Ask the color, and switch."""
        plan, service = arguments["plan"], arguments["service"]
        wanted, url = plan["ready"], urlsplit(plan["ready"]["url"])
        check = HttpCheck(
            "ready",
            f"{url.path}?{url.query}" if url.query else url.path,
            status=tuple(wanted.get("status") or [200]),
            timeout=ANSWER_SECONDS,
            ca_file=wanted.get("ca_file"),
        )
        ready = perform(check, f"{url.scheme}://{url.netloc}")
        if not ready.passed or not plan["release"]:
            return {"changed": False, "evidence": {"answers": ready.detail}}
        if self.check_mode:
            return {"changed": False, "detail": f"would send the traffic to {plan['active']} at once"}
        words = {
            "root": service["root"],
            "release": plan["release"],
            "color": plan["active"],
            "upstream": service["upstream_file"],
            "address": plan["upstream"],
        }
        done = self._low_level_execute_command(
            SCRIPT.format(**{key: shlex.quote(str(value)) for key, value in words.items()})
        )
        if done["rc"] == SENT:
            return {"changed": True, "detail": f"traffic sent to {plan['active']}, which still answers"}
        reason = "the traffic was there" if done["rc"] == ALREADY_THERE else done["stderr"].strip()
        return {"changed": False, "evidence": {"answers": ready.detail, "not_sent": reason or f"exit {done['rc']}"}}
