"""What a role has changed in a scenario's sandbox: files of the service and of pyrunbook, and which processes run.

Without `since` it returns the state. With it, a difference in check mode is a failure. With `again` a difference is one
too, and so is a task that has reported a change: a second run must change nothing, and say so.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from pyrunbook.sandbox.layout import COLORS, Layout
from pyrunbook.sandbox.state import settings
from pyrunbook.sandbox.supervision import Supervisor

LEFT_OUT = ("sandbox/logs", "sandbox/run", "sandbox/proxy/data", "home/journal", "home/run")
"""Written while nothing is asked for: logs, sockets, the proxy's own data, and the record of the run itself."""
CHANGED = "SCENARIO_CHANGED"
"""What the callback scenario_changes remembers: JSON, titles of the tasks of this play that have reported a change."""


def files(base: Path) -> dict[str, str]:
    """Path below `base` to kind, mode and content, of the sandbox and of pyrunbook's home."""
    found = {}
    for directory, names, plain in itertools.chain.from_iterable(os.walk(base / name) for name in ("sandbox", "home")):
        for name in sorted(names + plain):
            path = Path(directory, name)
            relative = str(path.relative_to(base))
            if relative.startswith(LEFT_OUT):
                names[:] = [other for other in names if other != name]
            elif path.is_symlink():
                found[relative] = f"link to {path.readlink()}"
            elif path.is_dir():
                found[relative] = f"directory {path.stat().st_mode:o}"
            elif path.is_file():
                found[relative] = f"file {path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


def processes(sandbox: Path) -> dict[str, str]:
    """Program of each color to its process id, empty where it does not run."""
    known = settings(Layout(sandbox))
    if known is None:
        raise AnsibleActionFail("the scenario has no sandbox")
    programs = Supervisor(Path(known.socket)).programs()
    return {name: str(program.pid or "") for name, program in programs.items() if name.endswith(tuple(COLORS))}


class ActionModule(ActionBase):
    """Compares the sandbox with what it was."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `state`, or with `since` the `different` entries of it."""
        super().run(tmp, task_vars)
        base = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
        state = files(base) | processes(base / "sandbox")
        if "since" not in self._task.args:
            return {"changed": False, "state": state}
        since = self._task.args["since"]
        expected = self._task.args.get("expected", [])
        keys = (state.keys() | since.keys()) - set(expected)
        different = sorted(key for key in keys if state.get(key) != since.get(key))
        again = self._task.args.get("again", False)
        reported = json.loads(os.environ[CHANGED]) if again else []
        failed = bool(different or reported) and (again or self._task.check_mode)
        said = [f"different now: {', '.join(different)}"] if different else []
        said += [f"reported a change again: {', '.join(reported)}"] if reported else []
        return {"changed": bool(different), "failed": failed, "different": different, "msg": "; ".join(said)}
