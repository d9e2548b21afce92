"""The gate before a deployment: is the new pair what was asked for, and will clients accept it to its last day?

Any doubt stops the rotation, also one about a check itself. All findings are returned, not the first alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.errors import Doubtful
from pyrunbook.pki.keys import PrivateKey, round_trip

SKEW = timedelta(minutes=5)
"""By how much a certificate's beginning may lie ahead of our clock."""
TIMEOUT = 20.0
"""Seconds for one call of openssl, which takes some ten milliseconds."""
WEAKEST_RSA = 2048


@dataclass(frozen=True)
class PairCheck:
    """The result of one check of a pair.

    Attributes:
        what: a word for it: `key`, `names`, `usage`, `dates`, `chain`, `chain at its end`, `signature`, `strength`.
        ok: whether it is as it should be.
        detail: what was seen, one line.
    """

    what: str
    ok: bool
    detail: str


def check(
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    key: PrivateKey | None,
    *,
    trust: Sequence[x509.Certificate],
    dns_names: Sequence[str],
    ip_names: Sequence[str] = (),
    now: datetime | None = None,
    openssl: str = "openssl",
) -> list[PairCheck]:
    """Look at a pair in every way that has let a broken one through before.

    Args:
        certificate: the leaf.
        chain: the intermediates, as the server will send them.
        key: the private key. It is used in this process only, never given to another program. None where it is on the
            service's machine, which sees itself that the two belong together: nothing is said about it then.
        trust: the roots that clients trust.
        dns_names: the names for which clients ask; it may be for no more and no fewer.
        ip_names: the addresses for which clients ask, likewise.
        now: aware; the system's time by default.
        openssl: the program, found on PATH.

    Returns:
        One finding for each thing, good ones too. Nobody is to deploy when one is not ok (see `require`).
    """
    now = now or datetime.now(UTC)
    try:
        facts = certificates.facts(certificate)
    except BadInput as error:
        return [PairCheck("certificate", ok=False, detail=error.seen)]
    return [
        *([_key(certificate, key), _signature(certificate, key)] if key else []),
        _strength(facts),
        _names(facts, dns_names, ip_names),
        _usage(facts),
        _dates(facts, now),
        *_chains(certificate, chain, trust, dns_names, ip_names, facts.not_after, now, openssl),
    ]


def require(findings: Sequence[PairCheck]) -> str:
    """Stop at any doubt.

    Returns:
        one line for the operator: what was checked.

    Raises:
        Doubtful: a check failed, or none was made.
    """
    bad = [each for each in findings if not each.ok]
    evidence = as_json(findings)
    if bad or not findings:
        raise Doubtful(
            "the new certificate is not deployed: " + ("; ".join(e.detail for e in bad) or "nothing was checked"),
            means="what is deployed was not touched",
            next_step="correct what is named, then have a new one issued: pyrunbook certs rotate --force",
            evidence=evidence,
        )
    return f"{len(findings)} checks passed: {', '.join(each.what for each in findings)}"


def as_json(findings: Sequence[PairCheck]) -> dict[str, Any]:
    """The findings for the journal."""
    return {each.what: {"ok": each.ok, "detail": each.detail} for each in findings}


def _key(certificate: x509.Certificate, key: PrivateKey) -> PairCheck:
    same = certificates.belongs(certificate, key)
    return PairCheck("key", same, "key and certificate belong together" if same else
                   "the private key does not belong to the certificate")  # fmt: skip


def _signature(certificate: x509.Certificate, key: PrivateKey) -> PairCheck:
    good = round_trip(key, certificate.public_key())
    return PairCheck("signature", good, "a signature made now is accepted" if good else
                   "a signature of the private key is not accepted by the certificate's public key")  # fmt: skip


def _strength(facts: certificates.CertificateFacts) -> PairCheck:
    kind, _, size = facts.key.partition("-")
    weak = kind == "rsa" and int(size) < WEAKEST_RSA
    known = kind in ("rsa", "ec", "ed25519")
    return PairCheck("strength", known and not weak, f"the key is {facts.key}" + (", too weak" if weak else ""))


def _names(facts: certificates.CertificateFacts, dns_names: Sequence[str], ip_names: Sequence[str]) -> PairCheck:
    has = {name.lower() for name in facts.dns_names} | set(facts.ip_names)
    wanted = {name.lower() for name in dns_names} | {str(ip_address(name)) for name in ip_names}
    lacking, more = sorted(wanted - has), sorted(has - wanted)
    parts = [f"is not for {', '.join(lacking)}"] if lacking else []
    parts += [f"is also for {', '.join(more)}"] if more else []
    if not wanted:
        parts = ["nothing says for which names it should be"]
    return PairCheck("names", not parts, f"the certificate {' and '.join(parts) or 'is for ' + ', '.join(sorted(has))}")


def _usage(facts: certificates.CertificateFacts) -> PairCheck:
    wrong = []
    if facts.is_authority:
        wrong.append("it may sign certificates")
    if "server_auth" not in facts.extended_key_usage:
        wrong.append("its extended key usage does not allow a server")
    if facts.key_usage and "digital_signature" not in facts.key_usage:
        wrong.append("its key usage does not allow signatures")
    return PairCheck("usage", not wrong, "usage: " + ("; ".join(wrong) or "a server's"))


def _dates(facts: certificates.CertificateFacts, now: datetime) -> PairCheck:
    lifetime = f"valid from {certificates.stamp(facts.not_before)} to {certificates.stamp(facts.not_after)}"
    if facts.not_before > now:
        ahead = facts.not_before - now
        why = "look at the clocks" if ahead <= SKEW else "it is for later"
        return PairCheck("dates", ok=False, detail=f"{lifetime}: begins {ahead} from now, {why}")
    if facts.not_after <= now:
        return PairCheck("dates", ok=False, detail=f"{lifetime}: it has expired")
    return PairCheck("dates", ok=True, detail=lifetime)


def _chains(
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    trust: Sequence[x509.Certificate],
    dns_names: Sequence[str],
    ip_names: Sequence[str],
    not_after: datetime,
    now: datetime,
    openssl: str,
) -> Iterator[PairCheck]:
    """The chain, by OpenSSL as a client would: now, and in the certificate's last second."""
    program = shutil.which(openssl)
    if program is None:
        yield PairCheck("chain", ok=False, detail=f"{openssl} is not installed, so no chain can be verified")
        return
    names = [option for name in dns_names for option in _as_client("-verify_hostname", name)]
    names += [option for name in ip_names for option in ("-verify_ip", name)]
    with tempfile.TemporaryDirectory(prefix="pyrunbook-check-") as private:  # 0700; certificates only
        leaf, between, roots = (Path(private) / name for name in ("leaf.pem", "chain.pem", "roots.pem"))
        leaf.write_bytes(certificates.pem(certificate))
        between.write_bytes(certificates.pem(*chain))
        roots.write_bytes(certificates.pem(*trust))
        # Neither the system's roots nor a root that the chain itself brings may help.
        command = [program, "verify", "-no-CApath", "-no-CAstore", "-CAfile", str(roots), "-x509_strict"]
        command += ["-purpose", "sslserver", *(["-untrusted", str(between)] if chain else [])]
        for what, moment in (("chain", now), ("chain at its end", not_after - timedelta(seconds=1))):
            yield _verify(what, [*command, "-attime", str(int(moment.timestamp()))], names, leaf, moment)


def _as_client(option: str, name: str) -> tuple[str, str]:
    """A client asks a wildcard for one of the names that it covers."""
    return option, name.replace("*", "wildcard", 1) if name.startswith("*.") else name


def _verify(what: str, command: list[str], names: list[str], leaf: Path, moment: datetime) -> PairCheck:
    # openssl takes several -verify_hostname, and accepts when one of them fits: each is asked for by itself.
    pairs = [names[i : i + 2] for i in range(0, len(names), 2)] or [[]]
    for pair in pairs:
        try:
            done = subprocess.run(
                [*command, *pair, str(leaf)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                check=False,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return PairCheck(what, ok=False, detail=f"openssl verify gave no answer: {type(error).__name__}")
        if done.returncode != 0:
            # "error 10 at 1 depth lookup: certificate has expired"; depth 0 is the leaf
            lines = [line.strip() for line in done.stderr.splitlines() if re.match(r"error \d+ at", line)]
            said = "; ".join(dict.fromkeys(lines)) or f"openssl ended with {done.returncode}"
            asked = f" for {pair[1]}" if pair else ""
            return PairCheck(what, ok=False, detail=f"not accepted on {certificates.stamp(moment)}{asked}: {said}")
    return PairCheck(what, ok=True, detail=f"OpenSSL accepts the chain on {certificates.stamp(moment)}")
