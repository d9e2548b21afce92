"""Is a rotation due, why, and may it wait for a window? Pure: no files, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction
from ipaddress import ip_address

from pyrunbook.pki.certificate import CertificateFacts, stamp

RENEW_AT = Fraction(2, 3)
"""Share of the lifetime after which a certificate is renewed, unless `renew_before` says otherwise."""
CLAMPED = timedelta(hours=1)
"""An issuer that gives so much less than was asked for does so on purpose; less is how it rounds."""
RESERVE = timedelta(hours=1)
"""A rotation that would begin less than this before the expiry does not wait: it may have to be done twice."""


class Reason(Enum):
    """Why a certificate is to be replaced."""

    AGE = "age"
    EXPIRED = "expired"
    FORCED = "forced"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    MISMATCH = "mismatch"
    NAMES = "names"
    ISSUER = "issuer"
    NOT_YET_VALID = "not yet valid"
    STAGED = "staged"


BROKEN = frozenset({Reason.EXPIRED, Reason.MISSING, Reason.UNREADABLE, Reason.MISMATCH, Reason.NOT_YET_VALID})
"""Reasons for which clients are or will be refused as soon as the service is restarted: these wait for no window."""


class Then(Enum):
    """What follows from a decision."""

    NOTHING = "nothing"
    """Not due."""
    ROTATE = "rotate"
    """Due, and allowed now; where `Due.override` says something, against the window."""
    WAIT = "wait"
    """Due, and it can wait for the window."""


@dataclass(frozen=True)
class Wanted:
    """What the certificate should be.

    Attributes:
        dns_names: DNS names, in any order and case; nothing is compared where neither names nor addresses are given.
        ip_names: IP addresses.
        issuers: names of issuers that may have signed it (RFC 4514); empty: any.
        renew_before: renew this long before the expiry; None: after `RENEW_AT` of the lifetime.
        lifetime: what the issuer is asked for; None: not known.
    """

    dns_names: tuple[str, ...] = ()
    ip_names: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    renew_before: timedelta | None = None
    lifetime: timedelta | None = None


@dataclass(frozen=True)
class Deployed:
    """What is deployed.

    Attributes:
        certificate: its facts; None where there is none or it cannot be read.
        unreadable: why the certificate or its key cannot be read; empty where they can, or where nothing is there.
        key_matches: whether key and certificate belong together; None where that could not be seen.
    """

    certificate: CertificateFacts | None = None
    unreadable: str = ""
    key_matches: bool | None = None


@dataclass(frozen=True)
class Window:
    """The next moment at which a rotation may begin by its window.

    Attributes:
        opens: now or earlier where it is open; None where no window is in sight.
    """

    opens: datetime | None


@dataclass(frozen=True)
class Due:
    """A decision, in words for the operator and in parts for the journal.

    Attributes:
        then: what follows.
        reasons: why, each with what was seen; empty when it is not due.
        due_at: when it became or will become due by age; None where there is no certificate to count from.
        override: why the window is not waited for; empty where it is, or is open. To be recorded in the journal.
        waits_until: when the window opens for which it waits.
        notes: what was odd about the input.
    """

    then: Then
    reasons: tuple[tuple[Reason, str], ...] = ()
    due_at: datetime | None = None
    override: str = ""
    waits_until: datetime | None = None
    notes: tuple[str, ...] = field(default=())

    def describe(self) -> str:
        """One line: what follows, and why."""
        why = "; ".join(seen for _, seen in self.reasons)
        if self.then is Then.NOTHING:
            return f"not due until {stamp(self.due_at)}" if self.due_at else "not due"
        if self.then is Then.WAIT:
            until = f" of {stamp(self.waits_until)}" if self.waits_until else ""
            return f"due, waits for the window{until}: {why}"
        return f"due now: {why}" + (f" (window overridden: {self.override})" if self.override else "")


def renewal_time(
    not_before: datetime, not_after: datetime, renew_before: timedelta | None = None, asked: timedelta | None = None
) -> datetime:
    """The moment from which a certificate is to be renewed: never before its lifetime begins, nor after its end.

    Of a certificate that lives shorter than was asked for, `renew_before` is the same share: an issuer that gives 30
    days where 60 were asked for, to be renewed 30 days before their end, is asked again after 15 days, not at once.

    Args:
        not_before: first moment of the lifetime.
        not_after: last moment of the lifetime.
        renew_before: how long before the end; counts only when it is above zero and shorter than the lifetime, because
            otherwise every certificate would be due as soon as it is made, or only when it has expired.
        asked: the lifetime that the issuer was asked for; None: not known.
    """
    lifetime = not_after - not_before
    if renew_before is not None and asked is not None and asked > lifetime:
        renew_before = renew_before * (lifetime / asked)
    if renew_before is not None and timedelta(0) < renew_before < lifetime:
        return not_after - renew_before
    return min(not_before + lifetime * RENEW_AT.numerator // RENEW_AT.denominator, not_after)


def decide(
    now: datetime, found: Deployed, wanted: Wanted, *, forced: bool = False, window: Window | None = None
) -> Due:
    """Decide what is to be done about a certificate.

    Args:
        now: aware.
        found: what is deployed.
        wanted: what should be.
        forced: rotate although nothing asks for it. A forced rotation still waits for its window.
        window: when the rotation may begin; None: at any time.
    """
    reasons = [(Reason.FORCED, "forced by the operator")] if forced else []
    notes: list[str] = []
    due_at = None
    certificate = found.certificate
    if found.unreadable:
        reasons.append((Reason.UNREADABLE, found.unreadable))
    elif certificate is None:
        reasons.append((Reason.MISSING, "no certificate is deployed"))
    if found.key_matches is False:
        reasons.append((Reason.MISMATCH, "the private key does not belong to the certificate"))
    if certificate is not None:
        due_at = renewal_time(certificate.not_before, certificate.not_after, wanted.renew_before, wanted.lifetime)
        if wanted.lifetime is not None and certificate.lifetime < wanted.lifetime - CLAMPED:
            notes.append(
                f"the issuer gave {certificate.lifetime} where {wanted.lifetime} were asked for; "
                "renewed by what it gave"
            )
        elif wanted.renew_before is not None and not timedelta(0) < wanted.renew_before < certificate.lifetime:
            notes.append(
                f"renew_before {wanted.renew_before} does not fit into the lifetime {certificate.lifetime}: "
                f"renewed after {RENEW_AT} of it"
            )
        reasons += _reasons(now, certificate, wanted, due_at)
    if not reasons:
        return Due(Then.NOTHING, due_at=due_at, notes=tuple(notes))
    override, wait = _window(now, certificate, {reason for reason, _ in reasons}, window)
    return Due(
        Then.WAIT if wait else Then.ROTATE,
        reasons=tuple(reasons),
        due_at=due_at,
        override=override,
        waits_until=window.opens if wait and window else None,
        notes=tuple(notes),
    )


def _reasons(
    now: datetime, certificate: CertificateFacts, wanted: Wanted, due_at: datetime
) -> list[tuple[Reason, str]]:
    reasons = []
    if now < certificate.not_before:
        reasons.append((Reason.NOT_YET_VALID, f"not valid before {stamp(certificate.not_before)}: look at the clocks"))
    if now > certificate.not_after:
        reasons.append((Reason.EXPIRED, f"expired {stamp(certificate.not_after)}"))
    elif now >= due_at:
        share = f"{certificate.used(now):.0%} of its lifetime used"
        reasons.append((Reason.AGE, f"{share}, {certificate.days_left(now):.1f} days left"))
    if wanted.dns_names or wanted.ip_names:
        has = _names(certificate.dns_names, certificate.ip_names)
        should = _names(wanted.dns_names, wanted.ip_names)
        if has != should:
            reasons.append((Reason.NAMES, f"is for {_list(has)}, wanted {_list(should)}"))
    if wanted.issuers and certificate.issuer not in wanted.issuers:
        reasons.append((Reason.ISSUER, f"issued by {certificate.issuer}, wanted {' or '.join(wanted.issuers)}"))
    return reasons


def _window(
    now: datetime, certificate: CertificateFacts | None, reasons: set[Reason], window: Window | None
) -> tuple[str, bool]:
    """Why the window is overridden (empty: it is not), and whether to wait for it."""
    if window is None or (window.opens is not None and window.opens <= now):
        return "", False
    broken = sorted(reason.value for reason in reasons & BROKEN)
    if broken:
        return f"what is deployed cannot be served ({', '.join(broken)})", False
    if certificate is not None:
        if window.opens is None:
            return f"no window is in sight, and the certificate expires {stamp(certificate.not_after)}", False
        if certificate.not_after < window.opens + RESERVE:
            return f"expires {stamp(certificate.not_after)}, the window opens {stamp(window.opens)}", False
    return "", True


def _names(dns_names: tuple[str, ...], ip_names: tuple[str, ...]) -> set[str]:
    """Names to compare: DNS names know no case, and one IPv6 address can be written in several ways."""
    addresses = set()
    for name in ip_names:
        try:
            addresses.add(str(ip_address(name)))
        except ValueError:
            addresses.add(name)
    return {name.lower() for name in dns_names} | addresses


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no name"
