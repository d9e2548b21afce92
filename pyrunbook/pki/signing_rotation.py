"""A new version of a signing key when it is due: signatures from before stay good, those too old are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyrunbook.pki.certificate import stamp
from pyrunbook.pki.signing_keys import SigningKeys, due_at, forget, prove
from pyrunbook.pki.sources import WantedSigningKey


@dataclass(frozen=True)
class Turned:
    """What was done with a signing key, or would be.

    Attributes:
        name: its id among the service's.
        version: the newest one now; 0: there is none yet.
        made: whether it is new.
        forgotten: versions whose signatures are no longer accepted since now.
        detail: one line for the operator.
    """

    name: str
    version: int
    made: bool
    forgotten: tuple[int, ...]
    detail: str

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.made or bool(self.forgotten)

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {**vars(self), "forgotten": list(self.forgotten)}


def turn(
    wanted: WantedSigningKey, *, force: bool = False, only_say: bool = False, now: datetime | None = None
) -> Turned:
    """Make a new version where that is due, prove it, and forget what has been replaced for long enough.

    A text that was signed just before must still verify afterwards; otherwise nothing is forgotten.

    Args:
        force: make one also when none is due.
        only_say: do nothing, and say what would be done.
        now: aware; the system's time by default.

    Raises:
        NotIssued, BadInput: it was not made, or it does not sign as it should. Versions from before stay accepted.
    """
    now = now or datetime.now(UTC)
    keys = wanted.keys
    versions = keys.versions()
    newest = max((each.number for each in versions), default=0)
    due = due_at(versions, wanted.every)
    if due is not None and now < due and not force:
        over = () if only_say else tuple(forget(keys, keep=wanted.keep, now=now))
        said = f"{wanted.name}: version {newest} signs until {stamp(due)}" + _forgotten(over)
        return Turned(wanted.name, newest, made=False, forgotten=over, detail=said)
    if only_say:
        return Turned(
            wanted.name, newest, made=True, forgotten=(), detail=f"{wanted.name}: version {newest + 1} would be made"
        )
    before = _signed(keys) if versions else None
    made = keys.rotate()
    said = prove(keys, before)
    over = tuple(forget(keys, keep=wanted.keep, now=now))
    return Turned(wanted.name, made, made=True, forgotten=over, detail=f"{wanted.name}: {said}{_forgotten(over)}")


def _signed(keys: SigningKeys) -> tuple[bytes, str]:
    text = b"pyrunbook: signed before the rotation"
    return text, keys.sign(text)


def _forgotten(over: tuple[int, ...]) -> str:
    return f"; version {', '.join(str(each) for each in over)} is accepted no more" if over else ""
