"""Who is called: the escalation and the contacts of a runbook, resolved by what the inventory says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyrunbook.catalog.contacts import Channel, Contact
from pyrunbook.catalog.metadata import Metadata
from pyrunbook.catalog.templates import SECRET
from pyrunbook.docs.markdown_text import code, plain_text
from pyrunbook.docs.wording import Wording
from pyrunbook.redaction import is_secret_name
from pyrunbook.windows import format_duration

Known = Mapping[str, Contact | Channel]
"""Levels and channels of the organisation, as `contacts_of` gives them."""


def escalation_rows(metadata: Metadata, known: Known, wording: Wording) -> Iterator[tuple[str, str, str]]:
    """For each entry what has happened and when, who is called, and how that one is reached."""
    for item in metadata.escalation:
        after = wording.t("after_time", format_duration(item.after)) if item.after else wording.t("at_once")
        contact = known.get(item.to)
        who = [plain_text(item.to)]
        if isinstance(contact, Contact):
            who += [_role(contact, wording), wording.public(contact.name)]
        yield f"{wording.words(item.when)} ({after})", ", ".join(filter(None, who)), _reach(contact, wording)


def contact_rows(metadata: Metadata, known: Known, wording: Wording) -> Iterator[tuple[str, str, str, str]]:
    """All that the runbook names: level, name, what it handles, how it is reached."""
    for key in dict.fromkeys((*metadata.contacts, *(item.to for item in metadata.escalation))):
        contact = known.get(key)
        level, name, handles = plain_text(key), "", ""
        if isinstance(contact, Contact):
            level, name = f"{level} {_role(contact, wording)}".strip(), wording.public(contact.name)
            handles = wording.public(contact.handles) if contact.handles else ""
        yield level, name, handles, _reach(contact, wording)


def _role(contact: Contact, wording: Wording) -> str:
    return wording.public(contact.role) if contact.role else ""


def _reach(contact: Contact | Channel | None, wording: Wording) -> str:
    if contact is None:
        return wording.t("unknown_contact")
    secret = isinstance(contact, Channel) and is_secret_name(contact.kind)
    return code(SECRET) if secret else wording.public(contact.reach)
