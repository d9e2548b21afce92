"""Somebody who cannot be reached: a number that is a pattern, an address that is reserved, a level that nobody is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.from_inventory import names_of
from pyrunbook.lint.rule import Context, Finding, Subject, rule

_DEAD = (
    (
        re.compile(r"\+?\(?\d[\d\s().-]*[Xx]{2,}[\dXx\s().-]*[\dXx]|\b[Xx]{2,4}([-. ][Xx]{2,4})+"),
        "is no telephone number",
    ),
    (
        re.compile(r"[\w.+-]+@(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|invalid|test|localhost)\b", re.I),
        "is an address that is reserved for examples: nobody reads it",
    ),
    (re.compile(r"(?<![\w-])(TODO|TBD|FIXME|CHANGEME|N/A|\?\?\?)(?![\w-])"), "is nobody yet"),
    (re.compile(r"<[A-Za-z][\w .-]*(mail|phone|name|number|channel|contact)[\w .-]*>", re.I), "is a blank"),
)  # fmt: skip


@rule("error", "A contact cannot be reached, or is nobody.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Reaches that lead nowhere, and names that the inventory does not know."""
    for reach in subject.contacts:
        for pattern, why in _DEAD:
            for found in pattern.finditer(reach.value):
                column = reach.at.column + (found.start() if subject.kind == "page" else 0)
                who = f" ({reach.who})" if reach.who else ""
                yield Finding(reach.at._replace(column=column), f'"{found[0].strip()}"{who} {why}')
    for service in context.project.services if subject.kind == "runbook" else ():
        known = names_of(service)
        for mention in subject.mentions:
            if mention.kind == "contact" and mention.name not in known:
                there = f"it has {', '.join(sorted(known))}" if known else "it names nobody (runbook_contacts)"
                yield Finding(mention.at, f"the inventory of {service.name} knows no {mention.name}; {there}")
