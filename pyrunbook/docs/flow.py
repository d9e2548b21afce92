"""The flow of a runbook as a Mermaid diagram."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from pyrunbook.catalog import Phase, Step
from pyrunbook.docs.labels import label


def flowchart(steps: Iterable[tuple[Step, str]], language: str) -> str:
    """The diagram, without its fence.

    Steps that come before the procedure refuse; a step of the procedure that fails leads to the rollback, where the
    playbook has one, and both ways lead through what is done in any case.
    """

    def text(key: str) -> str:
        return _quoted(label(key, language=language))

    listed = [(f"s{number}", step.phase, _quoted(title)) for number, (step, title) in enumerate(steps, 1)]

    def of(*phases: Phase) -> list[str]:
        return [name for name, phase, _ in listed if phase in phases]

    lines = ["flowchart TD", f"  start([{text('flow_start')}])"]
    for name, phase, title in listed:
        lines.append(f"  {name}[/{title}/]" if phase is Phase.ROLLBACK else f"  {name}[{title}]")
    chain = ["start", *of(Phase.PREREQUISITE, Phase.PROCEDURE), *of(Phase.CONCLUDE)]
    lines += [f"  {a} --> {b}" for a, b in itertools.pairwise(chain)]
    lines += [f"  good([{text('flow_good')}])", f"  {chain[-1]} --> good"]
    if back := of(Phase.ROLLBACK):
        failing = of(Phase.PROCEDURE)
        lines += [f"  {a} -. {text('flow_failed')} .-> {back[0]}" for a in failing[:1]]
        lines += [f"  {a} -.-> {back[0]}" for a in failing[1:]]
        lines += [f"  {a} --> {b}" for a, b in itertools.pairwise(back)]
        lines += [f"  put_back([{text('flow_back')}])", f"  {back[-1]} --> put_back"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # Within quotes Mermaid still reads entities, HTML, and Markdown between backticks.
    return '"' + re.sub(r'[#"<>&`]', lambda found: f"#{ord(found[0])};", " ".join(text.split())) + '"'
