"""The gate before a deployment: every fault that has let a broken pair through before stops it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from pki_pairs import DAY, NAME, authority, hand_made, issue

from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.check import PairCheck, check, require
from pyrunbook.pki.errors import Doubtful
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.keys import PrivateKey


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return issue(authority(tmp_path / "ca"))


def look(
    issued: Issued, *, key: PrivateKey | None = None, chain: Sequence[x509.Certificate] | None = None, **options: object
) -> dict[str, PairCheck]:
    given: dict[str, object] = {"trust": issued.trust, "dns_names": [NAME], **options}
    found = check(
        issued.certificate, issued.chain if chain is None else chain, key or issued.key, **given  # type: ignore[arg-type]
    )  # fmt: skip
    return {each.what: each for each in found}


def bad(found: dict[str, PairCheck]) -> set[str]:
    return {what for what, each in found.items() if not each.ok}


def of(certificate: x509.Certificate, key: PrivateKey, *chain: x509.Certificate, root: x509.Certificate) -> Issued:
    return Issued(certificate, chain, key, certificates.facts(certificate).serial, (root,))


def test_a_good_pair_passes_every_check(issued: Issued) -> None:
    found = look(issued)
    assert bad(found) == set()
    assert require(list(found.values())) == (
        "8 checks passed: key, signature, strength, names, usage, dates, chain, chain at its end"
    )


def test_a_key_of_another_pair_stops_it(issued: Issued) -> None:
    found = look(issued, key=PrivateKey.new())
    assert bad(found) == {"key", "signature"}
    with pytest.raises(Doubtful, match="does not belong to the certificate") as caught:
        require(list(found.values()))
    assert caught.value.evidence["key"]["ok"] is False
    assert caught.value.evidence["names"]["ok"] is True


@pytest.mark.parametrize(
    ("names", "detail"),
    [
        (["b.example"], "is not for b.example and is also for a.example"),
        ([NAME, "b.example"], "is not for b.example"),
        ([], "nothing says"),
    ],
)
def test_the_names_are_those_that_were_asked_for(issued: Issued, names: list[str], detail: str) -> None:
    found = look(issued, dns_names=names)
    assert "names" in bad(found)
    assert detail in found["names"].detail


def test_a_name_too_many_is_a_doubt(tmp_path: Path) -> None:
    found = look(issue(authority(tmp_path / "ca"), NAME, "b.example"))
    assert bad(found) == {"names"}


def test_wildcards_and_addresses(tmp_path: Path) -> None:
    issued = issue(authority(tmp_path / "ca"), "*.a.example", ip_names=("127.0.0.1", "::1"))
    found = look(issued, dns_names=["*.A.example"], ip_names=["127.0.0.1", "0:0::1"])
    assert bad(found) == set()


def test_without_its_intermediate_no_client_accepts_it(issued: Issued) -> None:
    found = look(issued, chain=())
    assert bad(found) == {"chain", "chain at its end"}
    assert "unable to get local issuer certificate" in found["chain"].detail


def test_a_chain_of_another_authority_stops_it(issued: Issued, tmp_path: Path) -> None:
    other = issue(authority(tmp_path / "other"))
    assert bad(look(issued, chain=other.chain)) == {"chain", "chain at its end"}
    assert bad(look(issued, trust=other.trust)) == {"chain", "chain at its end"}
    # An intermediate is no root, even where clients' file holds it.
    assert bad(look(issued, trust=issued.chain)) == {"chain", "chain at its end"}
    # A root that comes with the chain is not trusted for that.
    assert bad(look(issued, chain=[*issued.chain, *issued.trust], trust=other.trust)) == {"chain", "chain at its end"}


def test_an_authority_that_ends_before_the_certificate_is_found_now() -> None:
    root, root_key = hand_made(ca=True, names=("root.example",), days=(-1, 10))
    leaf, key = hand_made(root, root_key, days=(-1, 20))
    found = look(of(leaf, key, root=root))
    assert bad(found) == {"chain at its end"}
    assert "certificate has expired" in found["chain at its end"].detail


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"server": False}, {"usage", "chain", "chain at its end"}),
        ({"usage": False}, {"usage"}),
        ({"days": (-20, -1)}, {"dates", "chain"}),
        ({"days": (1, 20)}, {"dates", "chain"}),
    ],
)
def test_a_leaf_with_a_fault(options: dict[str, tuple[float, float]], wrong: set[str]) -> None:
    root, root_key = hand_made(ca=True, names=("root.example",), days=(-40, 40))
    leaf, key = hand_made(root, root_key, **options)  # type: ignore[arg-type]
    assert bad(look(of(leaf, key, root=root))) >= wrong


def test_an_authority_is_not_served() -> None:
    root, key = hand_made(ca=True)
    found = look(of(root, key, root=root))
    assert "may sign certificates" in found["usage"].detail


def test_a_weak_key_stops_it() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    root, root_key = hand_made(ca=True, names=("root.example",))
    weak = PrivateKey(rsa.generate_private_key(65537, 1024))
    leaf, key = hand_made(root, root_key, weak)
    found = look(of(leaf, key, root=root))
    assert found["strength"].detail == "the key is rsa-1024, too weak"
    assert "strength" in bad(found)


def test_a_clock_that_is_behind_is_named(issued: Issued) -> None:
    found = look(issued, now=certificates.facts(issued.certificate).not_before - timedelta(seconds=30))
    assert "look at the clocks" in found["dates"].detail


def test_a_doubt_about_the_check_itself_stops_it(issued: Issued, tmp_path: Path) -> None:
    found = look(issued, openssl="openssl-that-is-not-there")
    assert bad(found) == {"chain"}
    hangs = tmp_path / "openssl"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pyrunbook.pki.check.TIMEOUT", 0.2)
        assert "gave no answer" in look(issued, openssl=str(hangs))["chain"].detail
    with pytest.raises(Doubtful, match="nothing was checked"):
        require([])


def test_openssl_gets_no_key_and_nothing_stays(issued: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for openssl writes down what it was given: arguments, environment, files."""
    spy = tmp_path / "openssl"
    spy.write_text(
        f'#!/bin/sh\n{{ echo "$@"; env; for f in "$@"; do [ -f "$f" ] && cat "$f"; done; }} >> {tmp_path}/log\n'
    )
    spy.chmod(0o755)
    monkeypatch.setenv("VAULT_TOKEN", "canary-in-the-environment")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    look(issued, openssl=str(spy))
    log = (tmp_path / "log").read_text()
    assert "BEGIN CERTIFICATE" in log
    assert "PRIVATE KEY" not in log
    assert "canary" not in log
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_end_is_looked_at_one_second_before_it(issued: Issued) -> None:
    found = look(issued)
    facts = certificates.facts(issued.certificate)
    assert certificates.stamp(facts.not_after - timedelta(seconds=1)) in found["chain at its end"].detail
    assert datetime.now(UTC) + 29 * DAY < facts.not_after
