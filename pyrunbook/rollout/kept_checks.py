"""The checks of a rollback plan: whatever may be secret in one is referred to, not copied.

A plan is kept in three places and for months. So of a check it has neither the query nor the body, of the headers only
those that are never secret, and of the rest nothing that is known to be secret. `from_inventory` names the parts that
are left out. A rollback takes them from the check of the same name in the inventory, as it says then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pyrunbook.redaction import MASK, redact

REFERENCES = "from_inventory"
"""What is left out of a kept check: `path`, `query`, `body`, `contains`, `json`, `headers.<name>`."""
_PLAIN_HEADERS = frozenset({
    "accept", "accept-encoding", "accept-language", "cache-control", "connection", "content-type", "host", "user-agent",
})  # fmt: skip


class Unresolved(LookupError):
    """The inventory lacks a part of a check; the message names it and says why."""


def referring(check: Mapping[str, Any], secrets: Collection[str] = ()) -> dict[str, Any]:
    """A check as a plan keeps it.

    Args:
        check: as an inventory or a role gives it.
        secrets: values that are known to be secret.
    """
    kept, references = dict(check), []

    def leave_out(part: str) -> None:
        references.append(part)
        kept.pop(part, None)

    path, _, query = str(kept.get("path", "/")).partition("?")
    if redact(path, secrets) != path:
        leave_out("path")
    elif query:
        kept["path"] = path
    if query:
        references.append("query")
    if kept.get("body") is not None:
        leave_out("body")
    for part in ("contains", "json"):
        if kept.get(part) and redact(kept[part], secrets) != kept[part]:
            leave_out(part)
    headers = {}
    for name, value in (kept.get("headers") or {}).items():
        if name.lower() in _PLAIN_HEADERS and redact({name: value}, secrets) == {name: value}:
            headers[name] = value
        else:
            references.append(f"headers.{name}")
    if "headers" in kept:
        kept["headers"] = headers
    return {**kept, REFERENCES: references} if references else kept


def resolved(kept: Mapping[str, Any], inventory: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A check that can be performed.

    Args:
        inventory: the checks that the inventory has now.

    Raises:
        Unresolved: the inventory has no such check any more, or not the part that is referred to.
    """
    check = {key: value for key, value in kept.items() if key != REFERENCES}
    references = list(kept.get(REFERENCES) or [])
    if not references:
        return check
    now = next((each for each in inventory if each.get("name") == check.get("name")), None)
    if now is None:
        raise Unresolved("the inventory has no check of this name")
    check["headers"] = dict(check.get("headers") or {})
    for part in references:
        found = _part(now, part)
        if found is None or MASK in str(found):  # masked: an input that the journal does not keep
            raise Unresolved(f"the inventory has no {part} for it")
        if part == "query":
            check["path"] = f"{check.get('path', '/')}?{found}"
        elif part.startswith("headers."):
            check["headers"][part.partition(".")[2]] = found
        else:
            check[part] = str(found).partition("?")[0] if part == "path" else found
    return check


def _part(check: Mapping[str, Any], part: str) -> Any:
    if part == "query":
        return str(check.get("path", "")).partition("?")[2] or None
    if part.startswith("headers."):
        return (check.get("headers") or {}).get(part.partition(".")[2])
    return check.get(part)
