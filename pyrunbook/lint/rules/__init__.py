"""The rules: a module for each that asks a question, a row for each that says what was noticed on the way."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from pyrunbook.catalog.settings import Level
from pyrunbook.lint.rule import Finding, Rule

WAIVERS = "bad-waiver"
"""The rule whose findings come last: it is about what the others found."""
_NOTICED: dict[str, tuple[Level, str]] = {
    WAIVERS: ("warning", "A waiver has no reason, or waives nothing."),
    "ignored-error": ("warning", "A task ignores its failure and nobody says why."),
    "missing-translation": ("warning", "A text is missing in a language of the pages."),
    "prompt-in-play": ("error", "A play asks a question while it runs."),
    "without-metadata": ("warning", "A playbook has no metadata beside it."),
}
"""Rules that have no question of their own: whoever reads the files notes what they find, see `Subject.note`."""


@cache
def rules() -> dict[str, Rule]:
    """All rules by their id, in the order of the ids. A module that is no rule is a mistake that shows at once."""
    found = {rule_id: _noticed(rule_id, level, summary) for rule_id, (level, summary) in _NOTICED.items()}
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        rule = importlib.import_module(f"{__name__}.{module}").check
        if not isinstance(rule, Rule) or rule.id != module.replace("_", "-"):
            raise TypeError(f"pyrunbook/lint/rules/{module}.py: check has to be a Rule with the id of its module")
        found[rule.id] = rule
    return dict(sorted(found.items()))


def _noticed(rule_id: str, level: Level, summary: str) -> Rule:
    return Rule(
        rule_id, level, summary, lambda subject, _: (Finding(*place) for place in subject.noted.get(rule_id, ()))
    )
