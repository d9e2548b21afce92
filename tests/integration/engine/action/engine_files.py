"""The steps of the synthetic runbook: files below `root`/data, recorded, written, verified, tidied and restored."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, ClassVar

from pyrunbook.errors import FailedAndNotPutBack
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    ARGUMENTS: ClassVar = {
        "root": {"type": "path", "required": True},
        "state": {"choices": ["recorded", "written", "verified", "tidied", "restored"], "required": True},
        "name": {"type": "str"},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        data = Path(arguments["root"]) / "data"
        plan = data.parent / "state" / f"plan-{self.run_id}.json"
        now = {path.name: path.read_text() for path in data.iterdir()}
        wanted = dict(now)
        match arguments["state"]:
            case "recorded":
                if not plan.exists():
                    plan.write_text(json.dumps(now))
                checksum = hashlib.sha256(plan.read_bytes()).hexdigest()
                return {"changed": True, "plan": {"id": self.run_id, "checksum": checksum}}
            case "written":
                wanted[arguments["name"]] = "new"
            case "verified":
                if (now.get("first"), now.get("second")) != ("new", "new") or "bad" in now:
                    raise FailedAndNotPutBack(f"the files are not what was written: {now}")
            case "tidied":
                wanted.pop("old", None)
            case "restored":
                wanted = json.loads(plan.read_text()) if plan.exists() else now
        time.sleep(0.2)  # long enough to be killed in
        for name in now.keys() - wanted.keys():
            (data / name).unlink()
        for name in wanted:
            (data / name).write_text(wanted[name])
        return {"changed": wanted != now, "evidence": {"files": sorted(wanted)}}
