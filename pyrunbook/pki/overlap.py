"""The end of what was replaced: revoked once the overlap is over, never while it is served, tried again if it fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyrunbook.errors import PyrunbookError
from pyrunbook.pki import revocation, served
from pyrunbook.pki.pair_state import PairState, Retired
from pyrunbook.pki.rotation import PairStore
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.trust import issuer_of
from pyrunbook.pki.wanted import WantedCertificate


@dataclass
class RetiredVersions:
    """The result for the versions whose overlap is over.

    Attributes:
        revoked: what was revoked, and what the issuer publishes (`Revoked.as_json`).
        expired: versions that need no revocation any more.
        left: version to why it was not revoked this time; tried again next time.
    """

    revoked: list[dict[str, Any]] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was revoked or forgotten."""
        return bool(self.revoked or self.expired)

    def describe(self) -> str:
        """One line for the operator; empty where there was nothing to do."""
        said = [f"revoked {each['serial']}" for each in self.revoked]
        said += [f"{each} has expired" for each in self.expired]
        said += [f"{version} is not revoked yet: {why}" for version, why in self.left.items()]
        return "; ".join(said)

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return vars(self).copy()


def over(wanted: WantedCertificate, held: PairState, now: datetime) -> list[Retired]:
    """The retired versions whose overlap is over, without one that is just being deployed again."""
    return [each for each in held.retired if each.since + wanted.overlap <= now and each.version != held.standing.new]


def revoke_retired(wanted: WantedCertificate, store: PairStore, issuers: Issuers) -> RetiredVersions:
    """Revoke what was replaced longer ago than the overlap. One that cannot be revoked is reported, and fails nothing.

    Raises:
        NotDeployed: the place cannot be read or written.
    """
    held, now, ended = store.read(), datetime.now(UTC), RetiredVersions()
    waiting = over(wanted, held, now)
    if not waiting:
        return ended
    seen = [each for address in wanted.addresses for each in served.look(address)]
    blind = [each for each in seen if each.facts is None]
    serials = [each.facts.serial for each in seen if each.facts is not None]
    for each in waiting:
        kept = held.kept.get(each.version)
        leaf = kept.leaf if kept else None
        if leaf is None:
            ended.left[each.version] = "its certificate is not kept any more, so its issuer is not known"
        elif leaf.not_valid_after_utc <= now:
            store.settle(each.version)
            ended.expired.append(each.version)
        elif blind:
            ended.left[each.version] = f"it may still be served at {served.describe(blind)}"
        else:
            try:
                issuer = issuer_of(wanted, issuers, leaf)
                if issuer is None:
                    ended.left[each.version] = (
                        f"it is by {leaf.issuer.rfc4514_string()}, which the inventory does not name as an issuer"
                    )
                    continue
                done = revocation.revoke(
                    issuer, leaf, replaced=each.since, overlap=wanted.overlap, served=serials, now=now
                )
            except PyrunbookError as error:
                ended.left[each.version] = error.seen
                continue
            store.settle(each.version)
            ended.revoked.append(done.as_json())
    return ended
