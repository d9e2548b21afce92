"""The flow of a runbook as a Mermaid diagram."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from pyrunbook.catalog import Phase, Step

_WORDS = {
    "en": {"start": "Start", "failed": "a step fails", "good": "Succeeded", "back": "Failed and put back"},
    "fr": {"start": "Début", "failed": "une étape échoue", "good": "Réussi", "back": "Échec, existant rétabli"},
}


def flowchart(steps: Iterable[tuple[Step, str]], language: str) -> str:
    """The diagram, without its fence.

    Steps that come before the procedure refuse; a step of the procedure that fails leads to the rollback, where the
    playbook has one, and both ways lead through what is done in any case.
    """
    words = _WORDS[language]
    listed = list(steps)
    lines = ["flowchart TD", f"  start([{_quoted(words['start'])}])"]
    ids = {id(step): f"s{number}" for number, (step, _) in enumerate(listed, 1)}
    for step, title in listed:
        shape = "[/{}/]" if step.phase is Phase.ROLLBACK else "[{}]"
        lines.append(f"  {ids[id(step)]}{shape.format(_quoted(title))}")
    forward = [step for step, _ in listed if step.phase in (Phase.PREREQUISITE, Phase.PROCEDURE)]
    rollback = [step for step, _ in listed if step.phase is Phase.ROLLBACK]
    always = [step for step, _ in listed if step.phase is Phase.CONCLUDE]
    chain = ["start", *(ids[id(step)] for step in (*forward, *always))]
    lines += [f"  {a} --> {b}" for a, b in itertools.pairwise(chain)]
    lines += [f"  good([{_quoted(words['good'])}])", f"  {chain[-1]} --> good"]
    if rollback:
        back = [ids[id(step)] for step in rollback]
        failing = [ids[id(step)] for step in forward if step.phase is Phase.PROCEDURE]
        lines += [f"  {a} -. {_quoted(words['failed'])} .-> {back[0]}" for a in failing[:1]]
        lines += [f"  {a} -.-> {back[0]}" for a in failing[1:]]
        lines += [f"  {a} --> {b}" for a, b in itertools.pairwise(back)]
        lines += [f"  put_back([{_quoted(words['back'])}])", f"  {back[-1]} --> put_back"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # Within quotes Mermaid still reads entities, HTML, and Markdown between backticks.
    return '"' + re.sub(r'[#"<>&`]', lambda found: f"#{ord(found[0])};", " ".join(text.split())) + '"'
