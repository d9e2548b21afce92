"""Action plugin: have the certificate served again that was served before a rotation, and see it."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.certificate_action import Asked, CertificateAction


class ActionModule(CertificateAction):
    """Of `rotation`, the id of a run, this one by default.

    A rotation that is under way is brought to an end: forward where it was proven, back otherwise. With `undo` it goes
    back in any case, also where it has ended in success: the version that it replaced is deployed and proven again.
    """

    ARGUMENTS = {
        "name": {"type": "str", "required": True},
        "rotation": {"type": "str", "default": ""},
        "undo": {"type": "bool", "default": False},
    }
    CHANGES = False

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Settle, or undo."""
        from pyrunbook.pki import going_back

        wanted = asked.named(asked.arguments["name"])
        store = self.store(wanted)
        rotation = asked.arguments["rotation"] or self.run_id
        if self.check_mode:
            held = store.read()
            standing = held.standing
            if asked.arguments["undo"] and not standing.run:
                back = next((each.version for each in held.retired if each.run == rotation), "")
                return {"changed": bool(back), "detail": f"would deploy {back} again in place of {standing.current}"}
            return {"changed": bool(standing.run), "detail": f"would bring to an end: {standing.seen}"}
        if asked.arguments["undo"]:
            done = going_back.undo(wanted, store, asked.issuers, rotation, self.run_id)
        else:
            done = going_back.settle(wanted, store, rotation)
        # What was only discarded is not kept, so this run leaves nothing that can be brought back.
        undoable = any(each.run == self.run_id for each in store.read().retired)
        evidence = {**done.evidence, "undoable": undoable}
        return {"changed": done.changed, "serial": done.serial, "detail": done.detail, "evidence": evidence}
