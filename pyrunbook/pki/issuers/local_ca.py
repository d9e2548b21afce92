"""The embedded default: a root and an intermediate of our own, in a private directory.

The root only ever signs intermediates, the intermediate signs leaves and its list of revoked ones. A root is replaced
in three moves with time between them, so that no client meets a chain that it does not trust yet: `trust_new_root`,
`issue_from`, `distrust`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from pyrunbook.errors import BadInput, Refused
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers import local_certificates as made
from pyrunbook.pki.issuers.local_store import Authority, AuthorityDirectory, IssuedLeaf, Record
from pyrunbook.pki.keys import PrivateKey

BACKDATE = timedelta(minutes=1)
"""How far back a lifetime begins: clients whose clock is a little slow accept the certificate at once."""
ROOT_LIFETIME = timedelta(days=3650)
INTERMEDIATE_LIFETIME = timedelta(days=1095)
CRL_LIFETIME = timedelta(days=7)
KEEP_EXPIRED = timedelta(days=90)
"""How long an expired leaf stays on record."""


class LocalAuthority:
    """A certificate authority in a directory (see `local_store`).

    Args:
        directory: where its keys are; made with a root and an intermediate when it is empty.
        title: begins the names of its authorities.
        root_lifetime: of a new root.
        intermediate_lifetime: of a new intermediate; cut at the root's end.
        clock: the time, aware; for tests.
    """

    def __init__(
        self,
        directory: Path,
        title: str = "pyrunbook",
        *,
        root_lifetime: timedelta = ROOT_LIFETIME,
        intermediate_lifetime: timedelta = INTERMEDIATE_LIFETIME,
        clock: type[datetime] = datetime,
    ) -> None:
        self._store = AuthorityDirectory(directory)
        self._title = title
        self._root_lifetime = root_lifetime
        self._intermediate_lifetime = intermediate_lifetime
        self._clock = clock

    @property
    def name(self) -> str:
        """`local authority in <directory>`."""
        return f"local authority in {self._store.directory}"

    @property
    def trust_file(self) -> Path:
        """PEM file of the roots that clients are to trust."""
        return self._store.trust_file

    def create(self) -> bool:
        """Make the root and the intermediate where there is none yet.

        Returns:
            whether anything was made.
        """
        with self._store.locked() as record:
            return self._complete(record)

    def issue(self, request: CertificateRequest) -> Issued:
        """A new key and a certificate for it; the serial is recorded before the certificate is handed out.

        Raises:
            NotIssued: the lifetime would go beyond the issuer's, or the issuer has expired.
        """
        key = PrivateKey.new(request.key)
        with self._store.locked() as record:
            self._complete(record)
            issuing = record.authorities[record.issuing]
            issuer = self._store.certificate(issuing)
            now = self._now()
            not_after = now + request.lifetime
            if not_after > issuer.not_valid_after_utc:
                raise self._too_long(issuer, not_after, now)
            leaf = made.leaf(request, key, issuer, self._store.key(issuing), now - BACKDATE, not_after)
            found = certificates.facts(leaf)
            record.leaves[found.serial] = IssuedLeaf(
                found.serial, issuing.id, found.subject, certificates.stamp(leaf.not_valid_after_utc)
            )
            record.forget(now - KEEP_EXPIRED)
            self._store.save(record)
            trust = tuple(self._store.certificate(root) for root in record.roots)
        return Issued(leaf, (issuer,), key, found.serial, trust)

    def revoke(self, serial: str) -> datetime:
        """Revoke a leaf; it is in the next `crls()`.

        Raises:
            NotIssued: this authority did not issue it.
        """
        wanted = certificates.serial_text(certificates.serial_number(serial))
        with self._store.locked() as record:
            leaf = record.leaves.get(wanted)
            if leaf is None:
                raise NotIssued(f"the {self.name} has issued no certificate with serial {wanted}")
            if not leaf.revoked:
                leaf = replace(leaf, revoked=certificates.stamp(self._now()))
                record.leaves[wanted] = leaf
                self._store.save(record)
        return datetime.fromisoformat(leaf.revoked)

    def crls(self) -> list[x509.CertificateRevocationList]:
        """A new list of each intermediate that is valid: its revoked leaves until they have expired."""
        with self._store.locked() as record:
            now = self._now()
            signing = [
                each
                for each in record.authorities.values()
                if each.kind == "intermediate" and self._store.certificate(each).not_valid_after_utc > now
            ]
            if not signing:
                return []
            record.crl_number += 1
            self._store.save(record)
            return [
                made.crl(
                    self._store.certificate(each),
                    self._store.key(each),
                    record.crl_number,
                    [leaf for leaf in record.leaves.values() if leaf.authority == each.id and leaf.revoked],
                    now,
                    now + CRL_LIFETIME,
                )
                for each in signing
            ]

    def ocsp(self, request: bytes) -> bytes | None:  # noqa: ARG002  # the protocol's signature
        """None: this authority has no OCSP, its list is enough."""
        return None

    def trust(self) -> list[x509.Certificate]:
        """Raises `NotIssued` also where there is none: it has made nothing yet, or its directory is gone."""
        roots = [self._store.certificate(each) for each in self._store.load().roots]
        if not roots:
            raise self._has_none()
        return roots

    def authorities(self) -> list[x509.Certificate]:
        """The intermediates. Raises as `trust`: that nothing is there is no proof that it has issued nothing."""
        record = self._store.load()
        kept = [each for each in record.authorities.values() if each.kind == "intermediate"]
        if not kept:
            raise self._has_none()
        return [self._store.certificate(each) for each in sorted(kept, key=lambda each: each.id != record.issuing)]

    def _has_none(self) -> NotIssued:
        return NotIssued(
            f"the {self.name} has no root",
            means="it has issued nothing yet, or its directory was moved or lost",
            next_step=f"ls {self._store.directory}; where it is to be a new one: pyrunbook certs rotate --force",
        )

    # --- replacing authorities ---------------------------------------------------------------------------------

    def generations(self) -> list[tuple[Authority, certificates.CertificateFacts, bool]]:
        """Every authority ever made, with what its certificate says and whether it is the one that issues."""
        record = self._store.load()
        return [
            (each, certificates.facts(self._store.certificate(each)), each.id == record.issuing)
            for each in record.authorities.values()
        ]

    def new_intermediate(self) -> Authority:
        """Make an intermediate below the current root and issue from it. Old leaves keep their chain and their CRL."""
        with self._store.locked() as record:
            self._complete(record)
            root = record.authorities[record.authorities[record.issuing].parent]
            return self._issue_below(record, root)

    def trust_new_root(self) -> Authority:
        """First move: make a root and add it to `trust_file`; nothing is issued below it yet."""
        with self._store.locked() as record:
            self._complete(record)
            root = self._add_root(record)
            self._store.save(record)
            return root

    def issue_from(self, root: str, *, trusted_for: timedelta) -> Authority:
        """Second move: issue below another root from now on.

        Args:
            root: its id.
            trusted_for: how long clients had to have it in `trust_file`.

        Raises:
            Refused: it has not been trusted for that long.
            BadInput: there is no such root in use.
        """
        with self._store.locked() as record:
            chosen = self._root(record, root)
            since = self._now() - datetime.fromisoformat(chosen.since)
            if since < trusted_for:
                raise Refused(
                    f"root {root} has been trusted for {since}, {trusted_for} is wanted",
                    means="clients that have not fetched it yet would refuse what is issued below it",
                    next_step=f"hand out {self.trust_file}, and try again in {trusted_for - since}",
                )
            return self._issue_below(record, chosen)

    def distrust(self, root: str) -> list[Authority]:
        """Third move: take a root and its intermediates out of use.

        Returns:
            what was taken out.

        Raises:
            Refused: it still issues, or a leaf below it is valid and not revoked.
            BadInput: there is no such root in use.
        """
        with self._store.locked() as record:
            self._root(record, root)
            below = {each.id for each in record.authorities.values() if each.parent == root}
            if record.issuing in below:
                raise Refused(
                    f"root {root} is the one below which is issued",
                    next_step="trust a new root, issue from it, rotate every certificate, then distrust this one",
                )
            now = self._now()
            alive = [
                leaf
                for leaf in record.leaves.values()
                if leaf.authority in below and not leaf.revoked and datetime.fromisoformat(leaf.not_after) > now
            ]
            if alive:
                raise Refused(
                    f"{len(alive)} certificates below root {root} are valid, among them {alive[0].serial} "
                    f"({alive[0].subject or 'no subject'}) until {alive[0].not_after}",
                    means="clients would refuse whatever still serves them",
                    next_step="rotate and revoke them first",
                )
            gone = [each for each in below if not record.authorities[each].retired]
            for each in gone:
                record.retire(each, now)
            self._store.save(record)
            return [record.authorities[each] for each in gone]

    # --- parts -------------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self._clock.now(UTC).replace(microsecond=0)

    @staticmethod
    def _root(record: Record, identity: str) -> Authority:
        for each in record.roots:
            if each.id == identity:
                return each
        raise BadInput(f"no root {identity!r} in use (there are: {', '.join(each.id for each in record.roots)})")

    def _complete(self, record: Record) -> bool:
        """Make what is missing of root and intermediate; a process that died in between is caught up with here."""
        if record.issuing:
            return False
        root = record.roots[0] if record.roots else self._add_root(record)
        self._issue_below(record, root)
        return True

    def _add_root(self, record: Record) -> Authority:
        key = PrivateKey.new("ec-p384")
        now = self._now()
        name = made.name_of(self._title, "root", now)
        root = made.authority(name, key, key, None, now - BACKDATE, now + self._root_lifetime)
        return self._store.add(record, "root", "", root, key)

    def _issue_below(self, record: Record, root: Authority) -> Authority:
        parent, now = self._store.certificate(root), self._now()
        not_after = min(now + self._intermediate_lifetime, parent.not_valid_after_utc)
        if not_after <= now:
            raise NotIssued(
                f"root {root.id} expired {certificates.stamp(parent.not_valid_after_utc)}",
                next_step="trust a new root, then issue from it (docs/pki/README.md)",
            )
        key = PrivateKey.new("ec-p256")
        name = made.name_of(self._title, "intermediate", now)
        below = made.authority(name, key, self._store.key(root), parent, now - BACKDATE, not_after)
        added = self._store.add(record, "intermediate", root.id, below, key)
        record.issuing = added.id
        self._store.save(record)
        return added

    def _too_long(self, issuer: x509.Certificate, not_after: datetime, now: datetime) -> NotIssued:
        ends = issuer.not_valid_after_utc
        if ends <= now:
            return NotIssued(
                f"the intermediate of the {self.name} expired {certificates.stamp(ends)}",
                means="nothing that it signs would be accepted",
                next_step="make a new intermediate (docs/pki/README.md), then rotate again",
                kind="authority expired",
            )
        return NotIssued(
            f"the certificate would be valid until {certificates.stamp(not_after)}, its issuer until "
            f"{certificates.stamp(ends)}",
            means="a certificate that outlives its issuer would be refused before its own end",
            next_step="ask for a shorter lifetime, or make a new intermediate first (docs/pki/README.md)",
            kind="authority expires first",
        )
