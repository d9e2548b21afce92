"""The rules: one module each."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from pyrunbook.lint.rule import Rule


@cache
def rules() -> dict[str, Rule]:
    """All rules by their id, in the order of the ids. A module that is no rule is a mistake that shows at once."""
    found: dict[str, Rule] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        rule = importlib.import_module(f"{__name__}.{module}").RULE
        if not isinstance(rule, Rule) or rule.id != module.replace("_", "-"):
            raise TypeError(f"pyrunbook/lint/rules/{module}.py: RULE has to be a Rule with the id of its module")
        found[rule.id] = rule
    return found
