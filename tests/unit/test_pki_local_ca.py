"""The local authority: what it issues, what it refuses, how its root is replaced without a client that refuses."""

from __future__ import annotations

import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from pki_pairs import DAY, NAME, Clock, authority, issue

from pyrunbook import places
from pyrunbook.errors import BadInput, Refused
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.check import check
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority


def accepted(issued: Issued, trust_file: Path, name: str = NAME) -> bool:
    findings = check(
        issued.certificate, issued.chain, issued.key, trust=certificates.read(trust_file), dns_names=[name],
        now=Clock.now(UTC),
    )  # fmt: skip
    return all(each.ok for each in findings)


@pytest.fixture(autouse=True)
def _today() -> None:
    Clock.at = datetime.now(UTC)


def test_it_is_made_once_and_private(tmp_path: Path) -> None:
    made = LocalAuthority(tmp_path / "state" / "ca")
    assert made.create()
    assert not made.create()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.name == "key.pem"} == {0o600}
    assert len(made.trust()) == 1


def test_an_open_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir(0o755)
    with pytest.raises(BadInput, match="open to others"):
        LocalAuthority(tmp_path / "ca").create()


@pytest.mark.parametrize("key", ["ec-p256", "rsa-2048"])
def test_what_it_issues_is_accepted_by_openssl(tmp_path: Path, key: str) -> None:
    made = authority(tmp_path / "ca")
    issued = issue(made, key=key)
    assert issued.key.kind == key
    assert accepted(issued, made.trust_file)
    assert issued.serial == certificates.facts(issued.certificate).serial


def test_each_certificate_has_its_own_key(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca")
    assert issue(made).key.pem() != issue(made).key.pem()


def test_a_leaf_never_outlives_its_issuer(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca", intermediate_lifetime=DAY * 10)
    assert issue(made, days=9).serial
    with pytest.raises(NotIssued, match="its issuer until") as caught:
        issue(made, days=11)
    assert caught.value.kind == "authority expires first"


def test_an_intermediate_never_outlives_its_root(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca", root_lifetime=DAY * 5)
    root, between = (facts for _, facts, _ in made.generations())
    assert between.not_after == root.not_after


def test_an_expired_authority_issues_nothing_and_says_so(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca", root_lifetime=DAY * 5, clock=Clock)
    Clock.at += DAY * 6
    with pytest.raises(NotIssued, match="expired") as caught:
        issue(made, days=1)
    assert caught.value.kind == "authority expired"
    with pytest.raises(NotIssued, match=r"root root-\w+ expired"):
        made.new_intermediate()


def test_a_revoked_leaf_is_on_a_signed_list_until_it_expires(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca", clock=Clock)
    issued, other = issue(made, days=2), issue(made)
    when = made.revoke(issued.serial)
    assert made.revoke(issued.serial.upper()) == when
    (first,) = made.crls()
    assert first.is_signature_valid(issued.chain[0].public_key())  # type: ignore[arg-type]
    assert [each.serial_number for each in first] == [issued.certificate.serial_number]
    assert first.get_revoked_certificate_by_serial_number(other.certificate.serial_number) is None
    Clock.at += DAY * 3
    (second,) = made.crls()
    assert len(second) == 0
    assert second.extensions[0].value.crl_number > first.extensions[0].value.crl_number  # type: ignore[attr-defined]
    with pytest.raises(NotIssued, match="has issued no certificate"):
        made.revoke("0102")


def test_openssl_finds_the_revoked_leaf_on_the_list(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca")
    issued = issue(made)
    (tmp_path / "leaf.pem").write_bytes(certificates.pem(issued.certificate))
    (tmp_path / "chain.pem").write_bytes(certificates.pem(*issued.chain))

    def verify() -> str:
        from cryptography.hazmat.primitives.serialization import Encoding

        (tmp_path / "crl.pem").write_bytes(made.crls()[0].public_bytes(Encoding.PEM))
        command = ["openssl", "verify", "-crl_check", "-CRLfile", tmp_path / "crl.pem", "-CAfile", made.trust_file]
        command += ["-untrusted", tmp_path / "chain.pem", tmp_path / "leaf.pem"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert verify() == ""
    made.revoke(issued.serial)
    assert "certificate revoked" in verify()


def test_a_new_intermediate_leaves_old_leaves_good(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca")
    before = issue(made)
    made.new_intermediate()
    after = issue(made)
    assert before.chain != after.chain
    assert accepted(before, made.trust_file)
    assert accepted(after, made.trust_file)
    assert len(made.crls()) == 2
    made.revoke(before.serial)
    assert sum(len(each) for each in made.crls()) == 1


def test_an_authority_is_replaced_as_the_page_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (places.content() / "docs/pki/README.md").read_text(encoding="utf-8")
    code = page.partition("## Replace an authority")[2].partition("```python\n")[2].partition("```")[0]
    made = authority(tmp_path / "ca")
    old = made.generations()[0][0].id
    for written, meant in (("/srv/pki", str(tmp_path / "ca")), ("days=7", "days=0"), ("root-OLD", old)):
        assert written in code
        code = code.replace(written, meant)
    before, call, after = code.partition("authority.issue_from")
    names: dict[str, object] = {}
    exec(before, names)
    assert f"{old} root " in capsys.readouterr().out
    *_, (between, _, issues), (new, _, _) = made.generations()
    assert (between.kind, between.parent, issues, new.kind) == ("intermediate", old, True, "root")
    exec((call + after).replace("root-NEW", new.id), names)
    assert [each.parent for each, _, issues in made.generations() if issues] == [new.id]
    assert len(made.trust()) == 1


def test_a_root_is_replaced_trust_first_issue_second_distrust_last(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca", clock=Clock)
    old_root = made.generations()[0][0].id
    before = issue(made)
    old_trust = tmp_path / "old-clients.pem"
    old_trust.write_bytes(made.trust_file.read_bytes())

    new_root = made.trust_new_root().id
    still = issue(made)
    assert accepted(still, old_trust), "clients that have not fetched the new root yet accept what is issued"
    assert len(made.trust()) == 2

    with pytest.raises(Refused, match="has been trusted for"):
        made.issue_from(new_root, trusted_for=DAY * 7)
    with pytest.raises(Refused, match="is the one below which is issued"):
        made.distrust(old_root)
    Clock.at += DAY * 8
    made.issue_from(new_root, trusted_for=DAY * 7)
    after = issue(made)
    assert accepted(after, made.trust_file)
    assert accepted(before, made.trust_file)
    assert not accepted(after, old_trust)

    with pytest.raises(Refused, match="2 certificates below root"):
        made.distrust(old_root)
    made.revoke(before.serial)
    made.revoke(still.serial)
    assert len(made.distrust(old_root)) == 2
    assert made.trust_file.read_bytes() == certificates.pem(*made.trust())
    assert accepted(after, made.trust_file)
    assert not accepted(before, made.trust_file)
    with pytest.raises(BadInput, match="no root"):
        made.distrust(old_root)


def test_a_leaf_that_has_expired_does_not_hold_a_root(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca", clock=Clock)
    old_root = made.generations()[0][0].id
    issue(made, days=1)
    new_root = made.trust_new_root().id
    Clock.at += DAY * 2
    made.issue_from(new_root, trusted_for=DAY)
    made.distrust(old_root)


def test_what_was_made_before_a_kill_is_caught_up_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = LocalAuthority(tmp_path / "ca")
    with monkeypatch.context() as patch:
        patch.setattr("pyrunbook.pki.issuers.local_ca.made.leaf", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            issue(made)
    assert accepted(issue(made), made.trust_file)
    assert len(made.generations()) == 2, "the root and the intermediate of the first try"


def _issue(directory: Path) -> str:
    return LocalAuthority(directory).issue(CertificateRequest((NAME,), timedelta(days=1))).serial


def test_several_processes_make_one_authority(tmp_path: Path) -> None:
    with get_context("spawn").Pool(3) as pool:
        serials = pool.map(_issue, [tmp_path / "ca"] * 6)
    made = LocalAuthority(tmp_path / "ca")
    assert len(made.generations()) == 2
    for serial in serials:
        made.revoke(serial)
    assert len(made.crls()[0]) == 6


def test_a_record_of_another_format_is_refused(tmp_path: Path) -> None:
    made = authority(tmp_path / "ca")
    (tmp_path / "ca" / "authority.json").write_text('{"format": 99}')
    with pytest.raises(BadInput, match="format 1"):
        issue(made)
    (tmp_path / "ca" / "authority.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read"):
        issue(made)


@pytest.mark.parametrize(
    "options",
    [{"dns_names": (), "lifetime": DAY}, {"dns_names": ("a",), "lifetime": timedelta(seconds=1)},
     {"dns_names": ("a",), "lifetime": DAY, "key": "rsa-512"}],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        CertificateRequest(**options)  # type: ignore[arg-type]


def test_a_name_that_is_too_long_for_a_subject_is_only_a_name(tmp_path: Path) -> None:
    long = "a" * 60 + ".example.com"
    made = authority(tmp_path / "ca")
    issued = issue(made, long)
    assert certificates.facts(issued.certificate).common_name == ""
    assert accepted(issued, made.trust_file, long)


def test_an_authority_whose_directory_is_gone_says_so_and_does_not_say_that_nobody_is_to_be_trusted(
    tmp_path: Path,
) -> None:
    authority = LocalAuthority(tmp_path / "ca")
    authority.create()
    assert len(authority.trust()) == 1
    shutil.rmtree(tmp_path / "ca")
    with pytest.raises(NotIssued, match="has no root"):
        authority.trust()
