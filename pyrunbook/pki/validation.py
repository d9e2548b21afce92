"""Is the deployed certificate the one that is served, is it good, and for how long? Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509

from pyrunbook.errors import PyrunbookError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import revocation, served
from pyrunbook.pki.pair_state import PairState, StoredPair
from pyrunbook.pki.rotation import PairStore, never_served
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.trust import issuer_of, seen_by_clients
from pyrunbook.pki.wanted import WantedCertificate
from pyrunbook.verdict import Verdict


@dataclass(frozen=True)
class ValidationResult:
    """The result of one check of a deployed certificate.

    Attributes:
        what: `rotation`, `pair`, `names`, `dates`, `issuer`, `revocation`, or `served at …`.
        verdict: see `Verdict`.
        detail: one line: what was seen.
        needed: whether nothing but a pass is good. An issuer that publishes no revocations is no fault of a
            certificate.
    """

    what: str
    verdict: Verdict
    detail: str
    needed: bool = True

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.verdict is Verdict.PASS or (not self.needed and self.verdict is Verdict.NO_DATA)

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {"what": self.what, "verdict": self.verdict.value, "detail": self.detail}


def validate(
    wanted: WantedCertificate, store: PairStore, issuers: Issuers, *, least: timedelta
) -> list[ValidationResult]:
    """Check a deployed certificate in every way that matters to its clients.

    Args:
        issuers: who may have issued it, and can tell whether it is revoked.
        least: how long it has to be valid yet; at most a sixth of its lifetime, of which a third is left when it is
            renewed.

    Raises:
        NotDeployed: the place cannot be read.
    """
    held = store.read()
    looks = [_rotation(held)]
    deployed = held.deployed
    if deployed is None:
        return [*looks, ValidationResult("pair", Verdict.NO_DATA, f"no certificate is deployed in {store.place}")]
    looks.append(_pair(deployed))
    if deployed.leaf is None:
        return looks
    try:
        facts = certificates.facts(deployed.leaf)
    except PyrunbookError as error:
        return [*looks, ValidationResult("pair", Verdict.ERROR, error.seen)]
    looks += [_names(wanted, facts), _dates(facts, least)]
    looks += _issuer(wanted, issuers, deployed.leaf)
    return [*looks, *_served(seen_by_clients(wanted, issuers, deployed.leaf), facts.serial)]


def _rotation(held: PairState) -> ValidationResult:
    standing = held.standing
    good = not standing.run or never_served(held)
    return ValidationResult("rotation", Verdict.PASS if good else Verdict.FAIL, standing.seen)


def _pair(deployed: StoredPair) -> ValidationResult:
    if deployed.problem:
        return ValidationResult("pair", Verdict.FAIL, deployed.problem)
    if deployed.matches is None:
        return ValidationResult("pair", Verdict.ERROR, "whether the key belongs to the certificate could not be seen")
    good = deployed.matches
    said = "key and certificate belong together" if good else "the private key does not belong to the certificate"
    return ValidationResult("pair", Verdict.PASS if good else Verdict.FAIL, said)


def _names(wanted: WantedCertificate, facts: certificates.CertificateFacts) -> ValidationResult:
    has = {name.lower() for name in facts.dns_names} | {str(ip_address(name)) for name in facts.ip_names}
    request = wanted.request
    should = {name.lower() for name in request.dns_names} | {str(ip_address(name)) for name in request.ip_names}
    said = f"is for {', '.join(sorted(has)) or 'no name'}"
    if has == should:
        return ValidationResult("names", Verdict.PASS, said)
    return ValidationResult("names", Verdict.FAIL, f"{said}, wanted {', '.join(sorted(should))}")


def _dates(facts: certificates.CertificateFacts, least: timedelta) -> ValidationResult:
    now = datetime.now(UTC)
    left = facts.not_after - now
    said = f"{facts.days_left(now):.1f} days left, until {certificates.stamp(facts.not_after)}"
    if facts.not_before > now:
        return ValidationResult("dates", Verdict.FAIL, f"not valid before {certificates.stamp(facts.not_before)}")
    if left <= timedelta(0):
        return ValidationResult("dates", Verdict.FAIL, f"expired {certificates.stamp(facts.not_after)}")
    if left < min(least, facts.lifetime / 6):
        return ValidationResult("dates", Verdict.FAIL, f"{said}: it should have been renewed by now")
    return ValidationResult("dates", Verdict.PASS, said)


def _issuer(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate) -> Iterator[ValidationResult]:
    said = f"issued by {leaf.issuer.rfc4514_string()}"
    try:
        issuer = issuer_of(wanted, issuers, leaf)
        ours = issuer is not None and issuer is issuers.issuer(wanted.issuer)
    except PyrunbookError as error:
        yield ValidationResult(
            "issuer", Verdict.ERROR, f"{said}; which issuer that is cannot be determined: {error.seen}"
        )
        return
    yield ValidationResult(
        "issuer", Verdict.PASS if ours else Verdict.FAIL, f"{said}" + ("" if ours else f", not {wanted.issuer}")
    )
    if issuer is None:
        yield ValidationResult(
            "revocation", Verdict.NO_DATA, "the inventory does not name its issuer, so nobody was asked", needed=False
        )
        return
    try:
        answers = [revocation.check_crl(issuer, leaf), revocation.check_ocsp(issuer, leaf)]
    except PyrunbookError as error:
        yield ValidationResult("revocation", Verdict.ERROR, error.seen)
        return
    yield _revocation({each.status: each.detail for each in reversed(answers)})


def _revocation(said: dict[revocation.RevocationStatus, str]) -> ValidationResult:
    for status, verdict in (
        (revocation.RevocationStatus.REVOKED, Verdict.FAIL),
        (revocation.RevocationStatus.UNKNOWN, Verdict.ERROR),
        (revocation.RevocationStatus.GOOD, Verdict.PASS),
    ):
        if status in said:
            return ValidationResult("revocation", verdict, f"{status.value}: {said[status]}")
    return ValidationResult("revocation", Verdict.NO_DATA, "the issuer has neither a list nor OCSP", needed=False)


def _served(seen: Sequence[served.Seen], serial: str) -> Iterator[ValidationResult]:
    for each in seen:
        verdict, detail = each.outcome, each.detail
        if each.facts is not None and each.facts.serial != serial and verdict is not Verdict.FAIL:
            verdict, detail = Verdict.FAIL, f"serves serial {each.facts.serial}, deployed is {serial}"
        yield ValidationResult(f"served at {each.address}", verdict, detail)
