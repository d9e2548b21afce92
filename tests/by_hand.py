"""Does a runbook by hand: pastes the blocks of its page into one shell, as the operator does."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyrunbook.catalog import Step, load, ways_back
from pyrunbook.catalog.page_values import page_values, read_role_defaults
from pyrunbook.project.inventory import Service

ROOT = Path(__file__).resolve().parents[1]
STOPPING = ("bash", "--noprofile", "--norc", "-euo", "pipefail")
"""Stops at the first failure."""
LOGIN = ("bash", "--noprofile", "--norc", "--noediting", "-i")
"""As an operator has it: goes on after a failure."""


@dataclass(frozen=True)
class Block:
    """One block of commands, and where it stands."""

    step: str
    text: str
    commands: str

    def __str__(self) -> str:
        return f"{self.step}: {self.text}\n{self.commands}"


@dataclass(frozen=True)
class Pasted:
    """What became of a block: its exit code, and what it said. `None` when the shell has ended."""

    code: int | None
    said: str


class Shell:
    """A shell that blocks are pasted into.

    Args:
        argv: `STOPPING` or `LOGIN`.
        env: of the shell.
        cwd: where it stands.
    """

    def __init__(self, argv: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> None:
        self._process = subprocess.Popen(
            argv, env={**env, "PS1": "", "PS2": ""}, cwd=cwd, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def paste(self, commands: str) -> Pasted:
        """Paste a block, and wait until it is done."""
        mark = f"done-{uuid.uuid4().hex}"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{commands.rstrip()}\nprintf '\\n%s %s\\n' {mark} \"$?\"\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(mark):
                return Pasted(int(line.split()[1]), "".join(lines).strip())
            lines.append(line)
        return Pasted(None, "".join(lines).strip())

    def do(self, block: Block) -> str:
        """Paste a block, which must succeed; what it said."""
        pasted = self.paste(block.commands)
        assert pasted.code == 0, f"exit {pasted.code}: {pasted.said}\n{block}"
        return pasted.said


class Operator:
    """Somebody who has only the page of a runbook.

    Args:
        name: of the service.
        variables: of the service, as its inventory has them.
        strategy: `update_strategy`.
        source: the inventory.
        project: where the shell stands.
    """

    def __init__(self, name: str, variables: dict[str, Any], strategy: str, source: Path, project: Path = ROOT) -> None:
        self._service = Service(name, {**variables, "update_strategy": strategy}, {})
        self._strategy, self._source, self._project = strategy, source, project
        self._defaults = read_role_defaults(ROOT / "roles")

    def steps(self, runbook: str = "maintenance/production_update") -> list[Step]:
        """The steps of a runbook."""
        return load(ROOT).get(runbook).steps(self._strategy)

    def blocks(self, step: Step, *, undo: bool = False) -> Iterator[Block]:
        """What the page says to do for a step, or to undo it."""
        assert step.notes is not None
        platform = self._service.variables["service_platform"]
        values = page_values(self._service, self._defaults, self._project, self._source, step.variables)
        for item in (step.notes.undo if undo else step.notes.by_hand).of(platform):
            if item.commands and values.holds(item.when):
                yield Block(step.id, item.text, values.fill(item.commands))
        assert not values.unknown

    def filled(self, command: str) -> str:
        """A command of the page's troubleshooting."""
        return page_values(self._service, self._defaults, self._project, self._source).fill(command)

    def back(self, done: Iterable[Step]) -> Iterator[Block]:
        """The ways back of the steps that were done, in the page's order."""
        names = {step.id for step in done}
        for step in ways_back(self.steps()):
            if step.id in names and step.phase != "rollback":
                yield from self.blocks(step, undo=True)

    def until(self, last: str) -> list[Step]:
        """The steps of an update up to one of them."""
        steps = [step for step in self.steps() if step.phase in ("prerequisite", "procedure")]
        return steps[: [step.id for step in steps].index(last) + 1]

    def step(self, step_id: str, runbook: str = "maintenance/production_update") -> Step:
        """One step; the one of the procedure where the rollback has the same id."""
        return next(step for step in self.steps(runbook) if step.id == step_id)

    def forward(self) -> Iterator[Block]:
        """The whole procedure: what a run does that succeeds."""
        for step in self.steps():
            if step.phase != "rollback":
                yield from self.blocks(step)


def environment(**more: str) -> dict[str, str]:
    """Ours without what would change what the commands do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYRUNBOOK_", "ANSIBLE_"))}
    return {**kept, **more}
