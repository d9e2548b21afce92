"""The commands that run a runbook, or one step of it: with pyrunbook, and with ansible-playbook alone."""

from __future__ import annotations

import json
import shlex

from pyrunbook.catalog import Runbook
from pyrunbook.docs.target import Target


class RunCommands:
    """The commands. What only the operator knows stands in them as a blank in capitals: `-e release=RELEASE`.

    Args:
        runbook: that is run.
        target: whose inventory they name.
    """

    def __init__(self, runbook: Runbook, target: Target) -> None:
        inventory, path = shlex.quote(target.inventory_name), shlex.quote(target.inventory_path)
        attested = [item.id for item in runbook.metadata.prerequisites if item.check == "attested"]
        self._inputs = "".join(f" -e {name}={name.upper()}" for name in runbook.needed)
        self._attested = "".join(f" --attest {name}" for name in attested)
        given = f" -e {shlex.quote(json.dumps({'preflight_attested': attested}))}" if attested else ""
        self.keeps_window = runbook.metadata.window.required
        """Whether the runbook is run inside a window."""
        self._run, self._inventory = f"pyrunbook run {shlex.quote(runbook.id)}", f" -i {inventory}"
        playbook = shlex.quote(target.shown(runbook.path))
        self._ansible = f"ansible-playbook {playbook} -i {path}{given}{self._inputs}"

    @property
    def check(self) -> str:
        """The dry run. The window holds for it, too, and one prepares before it opens."""
        anyway = ' --no-window --reason "dry run"' if self.keeps_window else ""
        return f"{self._run}{self._inventory} --check{anyway}{self._inputs}"

    @property
    def all(self) -> str:
        """The whole run."""
        window = " --window" if self.keeps_window else ""
        return f"{self._run}{window}{self._inventory}{self._attested}{self._inputs}"

    @property
    def emergency(self) -> str:
        """The whole run outside its window."""
        return f'{self._run} --no-window --reason "REASON"{self._inventory}{self._attested}{self._inputs}'

    @property
    def ansible(self) -> str:
        """The whole run without pyrunbook's command."""
        return self._ansible

    def only(self, step: str) -> str:
        """One step, either way; the guards ask for the same as of a whole run."""
        name = shlex.quote(step)
        return (
            f"{self._run}{self._inventory} --step {name}{self._attested}{self._inputs}\n{self._ansible} --tags {name}"
        )
