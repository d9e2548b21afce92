"""Signing keys as files: versions, their age, and signatures that are good or not."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pyrunbook.errors import BadInput
from pyrunbook.pki import signing_keys
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.signing_keys import SigningKeyFiles, Version

TEXT = b"a template"
DAY = timedelta(days=1)


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeyFiles:
    made = SigningKeyFiles(tmp_path / "signing", "rsa-2048")
    made.rotate()
    return made


def test_it_signs_with_the_newest_and_verifies_all_that_are_kept(keys: SigningKeyFiles) -> None:
    before = keys.sign(TEXT)
    assert keys.rotate() == 2
    after = keys.sign(TEXT)
    assert (signing_keys.version_of(before), signing_keys.version_of(after)) == (1, 2)
    assert keys.verify(TEXT, before)
    assert keys.verify(TEXT, after)
    assert not keys.verify(TEXT + b".", after)
    assert not keys.verify(TEXT, after.replace("v2", "v1"))
    assert "signs with version 2 and verifies, one from before is still good" in signing_keys.prove(
        keys, (TEXT, before)
    )


def test_private_keys_are_private(keys: SigningKeyFiles, tmp_path: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "signing").iterdir()}
    assert modes == {"1.key.pem": 0o600, "1.public.pem": 0o644, "versions.json": 0o644}
    assert stat.S_IMODE((tmp_path / "signing").stat().st_mode) == 0o700
    assert "PRIVATE" not in (tmp_path / "signing" / "versions.json").read_text()
    (tmp_path / "signing" / "1.key.pem").chmod(0o644)
    with pytest.raises(BadInput, match="0600 is the most allowed"):
        keys.sign(TEXT)


def test_a_version_is_forgotten_an_age_after_it_was_replaced(keys: SigningKeyFiles, tmp_path: Path) -> None:
    before = keys.sign(TEXT)
    keys.rotate()
    replaced = keys.versions()[-1].created
    assert signing_keys.forget(keys, keep=DAY, now=replaced + DAY) == []
    assert keys.verify(TEXT, before)
    assert signing_keys.forget(keys, keep=DAY, now=replaced + DAY + timedelta(seconds=1)) == [1]
    assert signing_keys.forget(keys, keep=DAY, now=replaced + DAY + timedelta(seconds=1)) == []
    assert not keys.verify(TEXT, before)
    assert not (tmp_path / "signing" / "1.key.pem").exists()
    with pytest.raises(NotIssued, match="from before the rotation is refused"):
        signing_keys.prove(keys, (TEXT, before))


def test_the_newest_is_never_forgotten(keys: SigningKeyFiles) -> None:
    assert signing_keys.forget(keys, keep=timedelta(0), now=datetime.now(UTC) + 9999 * DAY) == []
    assert signing_keys.prove(keys)


def test_age_counts_from_the_replacement_not_from_the_making() -> None:
    class Old:
        name = "old"
        forgotten = 0

        def versions(self) -> list[Version]:
            begin = datetime(2020, 1, 1, tzinfo=UTC)
            return [Version(3, begin + 900 * DAY, ""), Version(1, begin, ""), Version(2, begin + 800 * DAY, "")]

        def forget_before(self, number: int) -> None:
            self.forgotten = number

    keys = Old()
    now = datetime(2020, 1, 1, tzinfo=UTC) + 895 * DAY
    assert signing_keys.forget(keys, keep=90 * DAY, now=now) == [1]  # type: ignore[arg-type]
    assert keys.forgotten == 2
    assert signing_keys.due_at(keys.versions(), 365 * DAY) == datetime(2020, 1, 1, tzinfo=UTC) + 1265 * DAY
    assert signing_keys.due_at([], DAY) is None


@pytest.mark.parametrize("signature", ["", "file:v1", "vault:x:abc", "file:1:abc", "a:b:c:d"])
def test_what_is_no_signature(keys: SigningKeyFiles, signature: str) -> None:
    with pytest.raises(BadInput, match="no signature"):
        keys.verify(TEXT, signature)


@pytest.mark.parametrize("signature", ["file:v1:***", "file:v1:", "file:v9:QUJD", "file:v1:QUJD"])
def test_a_signature_that_is_wrong(keys: SigningKeyFiles, signature: str) -> None:
    assert not keys.verify(TEXT, signature)


def test_a_signature_of_another_store_is_not_ours(keys: SigningKeyFiles) -> None:
    assert not keys.verify(TEXT, keys.sign(TEXT).replace("file:", "vault:"))


def test_a_broken_key_is_found_by_the_proof(keys: SigningKeyFiles, tmp_path: Path) -> None:
    other = SigningKeyFiles(tmp_path / "other", "rsa-2048")
    other.rotate()
    (tmp_path / "signing" / "1.key.pem").write_bytes((tmp_path / "other" / "1.key.pem").read_bytes())
    with pytest.raises(NotIssued, match="a signature made now is refused"):
        signing_keys.prove(keys)


def test_before_the_first_version_and_with_a_broken_list(tmp_path: Path) -> None:
    empty = SigningKeyFiles(tmp_path / "empty")
    assert empty.versions() == []
    with pytest.raises(BadInput, match="there is no signing key"):
        empty.sign(TEXT)
    with pytest.raises(BadInput, match="RSA"):
        SigningKeyFiles(tmp_path, "ec-p256")
    (tmp_path / "versions.json").write_text('{"versions": [{"number": 1}]}')
    with pytest.raises(BadInput, match="cannot be read"):
        SigningKeyFiles(tmp_path).versions()


def test_openssl_verifies_the_signature(keys: SigningKeyFiles, tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "signature").write_bytes(base64.b64decode(keys.sign(TEXT).rpartition(":")[2]))
    (tmp_path / "text").write_bytes(TEXT)
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest",
         "-verify", tmp_path / "signing" / "1.public.pem", "-signature", tmp_path / "signature", tmp_path / "text"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "Verified OK\n"
