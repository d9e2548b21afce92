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


class ContactTables:
    """The tables.

    Args:
        known: levels and channels of the organisation, as `contacts_of` gives them.
        wording: of the page.
    """

    def __init__(self, known: Mapping[str, Contact | Channel], wording: Wording) -> None:
        self._known = known
        self._wording = wording

    def escalation(self, metadata: Metadata) -> Iterator[tuple[str, str, str]]:
        """For each entry what has happened and when, who is called, and how that one is reached."""
        t = self._wording.t
        for item in metadata.escalation:
            after = t("after_time", format_duration(item.after)) if item.after else t("at_once")
            contact = self._known.get(item.to)
            yield f"{self._wording.words(item.when)} ({after})", self._who(item.to, contact), self._reach(contact)

    def contacts(self, metadata: Metadata) -> Iterator[tuple[str, str, str, str]]:
        """All that the runbook names: level, name, what it handles, how it is reached."""
        for key in dict.fromkeys((*metadata.contacts, *(item.to for item in metadata.escalation))):
            contact = self._known.get(key)
            if isinstance(contact, Contact):
                handles = self._wording.public(contact.handles) if contact.handles else ""
                name = self._wording.public(contact.name)
                yield f"{plain_text(key)} {self._role(contact)}".strip(), name, handles, self._reach(contact)
            else:
                yield plain_text(key), "", "", self._reach(contact)

    def _who(self, key: str, contact: Contact | Channel | None) -> str:
        if not isinstance(contact, Contact):
            return plain_text(key)
        parts = (plain_text(key), self._role(contact), self._wording.public(contact.name))
        return ", ".join(part for part in parts if part)

    def _role(self, contact: Contact) -> str:
        return self._wording.public(contact.role) if contact.role else ""

    def _reach(self, contact: Contact | Channel | None) -> str:
        if contact is None:
            return self._wording.t("unknown_contact")
        secret = isinstance(contact, Channel) and is_secret_name(contact.kind)
        return code(SECRET) if secret else self._wording.public(contact.reach)
