"""The commands that run a runbook, or one step of it: with pyrunbook, and with ansible-playbook alone."""

from __future__ import annotations

import json
import shlex

from pyrunbook.catalog import Runbook
from pyrunbook.docs.target import Target


class RunCommands:
    """The commands. What only the operator knows stands in them as a blank in capitals: `-e release=RELEASE`."""

    def __init__(self, runbook: Runbook, target: Target) -> None:
        inventory, path = shlex.quote(target.inventory_name), shlex.quote(target.inventory_path)
        attested = [item.id for item in runbook.metadata.prerequisites if item.check == "attested"]
        self._inputs = "".join(f" -e {name}={name.upper()}" for name in runbook.needed)
        self._attested = "".join(f" --attest {name}" for name in attested)
        told = attested if not runbook.plain or runbook.guards_itself else []
        given = f" -e {shlex.quote(json.dumps({'preflight_attested': told}))}" if told else ""
        self.keeps_window = runbook.metadata.window.required
        """Whether the runbook is run inside a window."""
        run, window, anyway, tail = f"pyrunbook run {shlex.quote(runbook.id)}", "", "", f" -i {inventory}"
        if self.keeps_window:  # it holds for the dry run, too, and one prepares before it opens
            window, anyway = " --window", ' --no-window --reason "dry run"'
        self.check = f"{run}{tail} --check{anyway}{self._inputs}"
        """The dry run."""
        self.all = f"{run}{window}{tail}{self._attested}{self._inputs}"
        """The whole run."""
        self.emergency = f'{run} --no-window --reason "REASON"{tail}{self._attested}{self._inputs}'
        """The whole run outside its window."""
        playbook = shlex.quote(target.shown(runbook.path))
        self.ansible = f"ansible-playbook {playbook} -i {path}{given}{self._inputs}"
        """The whole run without pyrunbook's command."""
        self._one = f"{run}{tail}"

    def only(self, step: str) -> str:
        """One step, either way; the guards ask for the same as of a whole run."""
        name = shlex.quote(step)
        return f"{self._one} --step {name}{self._attested}{self._inputs}\n{self.ansible} --tags {name}"
