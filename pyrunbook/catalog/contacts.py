"""Who is called: levels and channels of the organisation, as the inventory has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pyrunbook.catalog.metadata import Struct
from pyrunbook.catalog.values import Text, read_value
from pyrunbook.project.inventory import Service
from pyrunbook.project.problem import InvalidFile

CONTACTS = "runbook_contacts"
CHANNELS = "runbook_channels"


class Contact(Struct, frozen=True, kw_only=True):
    """One entry of `runbook_contacts`.

    Attributes:
        level: `L1` to `L4`, or the organisation's own word.
        role: what this level is.
        handles: what it is called for.
        name: who that is.
        reach: a telephone number, an address, a channel.
    """

    level: str
    name: Text
    reach: str
    role: Text | None = None
    handles: Text | None = None


class Channel(Struct, frozen=True, kw_only=True):
    """One entry of `runbook_channels`: `slack: "#incidents"`."""

    kind: str
    reach: str


def contacts_of(service: Service) -> dict[str, Contact | Channel]:
    """Levels and channels by the word that `escalation` and `contacts` of a runbook name them by.

    Raises:
        InvalidFile: an entry is malformed; at the variable's line.
    """
    found: dict[str, Contact | Channel] = {}
    for index, raw in enumerate(_of(service, CONTACTS, list)):
        where = f"{CONTACTS}[{index}]"
        try:
            contact = msgspec.convert(raw, Contact, dec_hook=lambda kind, given: read_value(kind, given, Path()))
        except (msgspec.ValidationError, ValueError) as error:
            raise InvalidFile([service.origins[CONTACTS].problem(where, str(error))]) from None
        if contact.level in found:
            raise InvalidFile([service.origins[CONTACTS].problem(where, f"{contact.level} is there twice")])
        found[contact.level] = contact
    for kind, reach in _of(service, CHANNELS, dict).items():
        found[str(kind)] = Channel(kind=str(kind), reach=str(reach))
    return found


def _of(service: Service, name: str, kind: type[Any]) -> Any:
    raw = service.variables.get(name) or kind()
    if not isinstance(raw, (list, Mapping)) or not isinstance(raw, kind):
        raise InvalidFile([service.origins[name].problem(name, f"expected a {kind.__name__}")])
    return raw
