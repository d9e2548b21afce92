"""Keys in one encrypted file: opened and compared before it counts, restored for their owner only."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pki_pairs import authority, issue

from pyrunbook.errors import BadInput
from pyrunbook.pki import backup
from pyrunbook.pki.age_lock import Identity, Passphrase, Recipients
from pyrunbook.pki.errors import NotVerified
from pyrunbook.pki.pair import Pair
from pyrunbook.pki.secret import Secret

pyrage = pytest.importorskip("pyrage")


@pytest.fixture(scope="module")
def keys() -> tuple[Recipients, Identity]:
    made = pyrage.x25519.Identity.generate()
    text = f"# created: today\n# public key: {made.to_public()}\n{made}\n"
    return Recipients((str(made.to_public()),)), Identity(Secret(text, "the identity file"))


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """What a service has: its pair, with a link, and its authority."""
    ca = authority(tmp_path / "state" / "ca")
    pair = Pair(tmp_path / "tls")
    pair.stage("run1", issue(ca))
    pair.activate("run1")
    return {"pair": tmp_path / "tls", "authority": tmp_path / "state" / "ca"}


def tree(directory: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def test_what_goes_in_comes_out(tmp_path: Path, sources: dict[str, Path], keys: tuple[Recipients, Identity]) -> None:
    recipients, identity = keys
    made = backup.create(sources, tmp_path / "out" / "keys.age", recipients, identity)
    assert made.verified
    assert made.detail == f"{len(made.files)} files, opened, and compared with the disk"
    assert stat.S_IMODE(made.archive.stat().st_mode) == 0o600
    content = made.archive.read_bytes()
    assert content.startswith(b"age-encryption.org/v1")
    assert b"PRIVATE KEY" not in content
    assert {entry.path for entry in made.files} >= {"pair/current", "pair/rotation.json", "authority/trust.pem"}
    shown = json.dumps(made.as_json())
    assert made.sha256 in shown
    assert "PRIVATE" not in shown

    written = backup.restore(made.archive, identity, tmp_path / "restored")
    assert len(written) == len(made.files)
    for name, source in sources.items():
        assert tree(tmp_path / "restored" / name) == tree(source)
    for path in (tmp_path / "restored").rglob("*"):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert Pair(tmp_path / "restored" / "pair").read().found().key_matches


def test_without_an_identity_it_is_written_and_not_verified(
    tmp_path: Path, sources: dict[str, Path], keys: tuple[Recipients, Identity]
) -> None:
    recipients, identity = keys
    made = backup.create(sources, tmp_path / "keys.age", recipients)
    assert not made.verified
    assert "not verified" in made.detail
    assert backup.verify(made.archive, identity, sources).verified


def test_a_passphrase_opens_what_it_locked(tmp_path: Path) -> None:
    (tmp_path / "pass").touch(0o600)
    (tmp_path / "pass").write_text("correct horse\n")
    (tmp_path / "a.key").write_text("key")
    phrase = Passphrase(Secret.from_file(tmp_path / "pass"))
    made = backup.create({"a": tmp_path / "a.key"}, tmp_path / "keys.age", phrase)
    assert made.verified, "opened with the same passphrase, and compared"
    with pytest.raises(BadInput, match="cannot be opened"):
        backup.verify(made.archive, Passphrase(Secret("wrong horse")))


def test_somebody_else_cannot_open_it(tmp_path: Path, keys: tuple[Recipients, Identity]) -> None:
    (tmp_path / "a.key").write_text("key")
    made = backup.create({"a": tmp_path / "a.key"}, tmp_path / "keys.age", keys[0])
    other = Identity(Secret(str(pyrage.x25519.Identity.generate()), "another file"))
    with pytest.raises(BadInput, match="what another file holds"):
        backup.restore(made.archive, other, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_change_while_it_is_made_is_noticed(
    tmp_path: Path, sources: dict[str, Path], keys: tuple[Recipients, Identity]
) -> None:
    class Meddling(Recipients):
        def lock(self, content: bytes) -> bytes:
            (sources["pair"] / "rotation.json").write_text("{}")
            (sources["pair"] / "new.pem").write_text("new")
            return super().lock(content)

    with pytest.raises(NotVerified, match=r"pair/new\.pem, pair/rotation\.json"):
        backup.create(sources, tmp_path / "keys.age", Meddling(keys[0].keys), keys[1])


def test_a_damaged_file_is_not_opened(tmp_path: Path, keys: tuple[Recipients, Identity]) -> None:
    (tmp_path / "a.key").write_text("key")
    made = backup.create({"a": tmp_path / "a.key"}, tmp_path / "keys.age", keys[0], keys[1])
    content = bytearray(made.archive.read_bytes())
    content[-5] ^= 1
    made.archive.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        backup.verify(made.archive, keys[1])


def repacked(
    content: bytes, keys: tuple[Recipients, Identity], change: Callable[[str, dict[str, object], bytes], bytes | None]
) -> bytes:
    """The backup with its members changed by somebody who has the recipient's key, as everybody may."""
    plain = keys[1].open(content, "x")
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            stream = old.extractfile(member) if member.isreg() else None
            data: dict[str, object] = {"name": member.name}
            body = change(member.name, data, stream.read() if stream else b"")
            if body is None:
                continue
            member.name, member.size = str(data["name"]), len(body)
            new.addfile(member, io.BytesIO(body) if stream else None)
    return keys[0].lock(out.getvalue())


@pytest.mark.parametrize("how", ["changed", "missing", "escapes", "link", "not ours"])
def test_what_does_not_fit_its_manifest_is_not_restored(
    tmp_path: Path, keys: tuple[Recipients, Identity], how: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.key").write_text("key")
    (source / "b").symlink_to("a.key")
    made = backup.create({"s": source}, tmp_path / "keys.age", keys[0], keys[1])

    def change(name: str, data: dict[str, object], body: bytes) -> bytes | None:
        if how == "changed" and name == "s/a.key":
            return b"kex"
        if how == "missing" and name == "s/a.key":
            return None
        if how == "escapes":
            data["name"] = name.replace("s/a.key", "../a.key")
            return body.replace(b"s/a.key", b"../a.key")
        if how == "link" and name == "manifest.json":
            return body.replace(b'"link": "a.key"', b'"link": "/etc/passwd"')
        if how == "not ours" and name == "manifest.json":
            return b"{}"
        return body

    made.archive.write_bytes(repacked(made.archive.read_bytes(), keys, change))
    with pytest.raises(NotVerified):
        backup.restore(made.archive, keys[1], tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("link", ["/etc/passwd", "../../outside", "../source2/x"])
def test_a_link_that_leaves_what_is_backed_up_is_refused(
    tmp_path: Path, keys: tuple[Recipients, Identity], link: str
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to(link)
    with pytest.raises(BadInput, match="outside of what is backed up"):
        backup.create({"s": tmp_path / "source"}, tmp_path / "keys.age", keys[0])


def test_what_cannot_be_backed_up_is_named(tmp_path: Path, keys: tuple[Recipients, Identity]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "p")
    archive = tmp_path / "keys.age"
    for sources, said in (
        ({}, "nothing to back up was named"),
        ({"a": tmp_path / "missing"}, "does not exist"),
        ({"a": tmp_path / "empty"}, "nothing to back up in"),
        ({"a": tmp_path / "pipe"}, "neither a file nor"),
        ({"a/b": tmp_path / "pipe"}, "is no name"),
        ({"..": tmp_path / "pipe"}, "is no name"),
    ):
        with pytest.raises(BadInput, match=said):
            backup.create(sources, archive, keys[0])
    assert not archive.exists()


def test_a_restore_does_not_mix(tmp_path: Path, keys: tuple[Recipients, Identity]) -> None:
    (tmp_path / "a.key").write_text("key")
    made = backup.create({"a": tmp_path / "a.key"}, tmp_path / "keys.age", keys[0], keys[1])
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / "mine").touch()
    with pytest.raises(BadInput, match="is not empty"):
        backup.restore(made.archive, keys[1], tmp_path / "restored")


def test_recipients_from_a_file(tmp_path: Path, keys: tuple[Recipients, Identity]) -> None:
    path = tmp_path / "recipients"
    path.write_text(f"# operations\n\n{keys[0].keys[0]}\n")
    assert Recipients.from_file(path) == keys[0]
    path.write_text("# nobody\n")
    with pytest.raises(BadInput, match="is empty"):
        Recipients.from_file(path)
    with pytest.raises(BadInput, match="without a recipient"):
        Recipients(()).lock(b"x")


def test_a_secret_key_among_the_recipients_is_not_repeated() -> None:
    secret = str(pyrage.x25519.Identity.generate())
    with pytest.raises(BadInput, match="recipient 1 is neither") as caught:
        Recipients((secret,)).lock(b"x")
    assert secret not in str(caught.value)


def test_an_ssh_key_locks_and_opens(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    raw = ed25519.Ed25519PrivateKey.generate()
    public = raw.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = raw.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    (tmp_path / "id").touch(0o600)
    (tmp_path / "id").write_bytes(private)
    (tmp_path / "a.key").write_text("key")
    made = backup.create(
        {"a": tmp_path / "a.key"}, tmp_path / "keys.age", Recipients((public.decode(),)),
        Identity(Secret.from_file(tmp_path / "id")),
    )  # fmt: skip
    assert made.verified


def test_an_identity_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no age identity") as caught:
        Identity(Secret("AGE-SECRET-KEY-1CANARY", "x")).open(b"age-encryption.org/v1", "y")
    assert "CANARY" not in str(caught.value)
