"""A role that is applied and is not there."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.project.role_places import folder_of


@rule("error", "A playbook applies a role that does not exist.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Roles without a directory. Those of Galaxy (`author.role`) and of a requirements file come from elsewhere."""
    required = context.project.required_roles
    for mention in subject.mentions:
        known = mention.kind != "role" or "." in folder_of(mention.name) or mention.name in required
        if not known and context.project.role(mention.name, subject.file) is None:
            yield Finding(mention.at, f"there is no role {mention.name}")
