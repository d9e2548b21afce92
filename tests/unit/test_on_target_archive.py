"""Backups: what went in comes out, and an archive that is not sound is never taken for one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunbook.on_target import archive
from pyrunbook.on_target.archive import ArchiveError

PARTS = ["releases/1.0.4", "config", "data"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A service with all that a tree can hold."""
    made = tmp_path / "service"
    (made / "releases/1.0.4/bin").mkdir(parents=True)
    (made / "releases/1.1.0").mkdir()
    program = made / "releases/1.0.4/bin/agent-factory"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (made / "config").mkdir()
    secret = made / "config/agent-factory.toml"
    secret.write_text("[http]\n")
    secret.chmod(0o600)
    data = made / "data"
    (data / "empty").mkdir(parents=True)
    (data / "large").write_bytes(os.urandom(3 << 20))
    (data / "none").touch()
    (data / "spaces and ünïcode\n").write_text("x")
    (data / "elsewhere").symlink_to("/etc")
    (data / "dangling").symlink_to("nowhere")
    os.link(data / "large", data / "same")
    (data / "out").symlink_to("../..", target_is_directory=True)
    return made


def picture(top: Path) -> dict[str, Any]:
    """Every entry below `top` with what matters of it."""
    found: dict[str, Any] = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = Path(directory, name)
            mode = path.lstat().st_mode
            what: Any = "directory"
            if stat.S_ISLNK(mode):
                what = ("link", str(path.readlink()))
            elif stat.S_ISREG(mode):
                what = (hashlib.sha256(path.read_bytes()).hexdigest(), oct(stat.S_IMODE(mode)))
            found[str(path.relative_to(top))] = what
    return found


def create(root: Path, parts: list[str] | None = None) -> Path:
    destination = root / "state/backups/run.tar.gz"
    archive.create(str(root), parts or PARTS, str(destination))
    return destination


def test_a_backup_and_what_it_says_of_itself(root: Path) -> None:
    destination = root / "state/backups/run.tar.gz"
    summary = archive.create(str(root), [*PARTS, "not/there"], str(destination))
    assert summary == {
        "path": str(destination),
        "sha256": hashlib.sha256(destination.read_bytes()).hexdigest(),
        "files": 6,
        "bytes": destination.stat().st_size,
        "created": True,
    }
    assert stat.S_IMODE(destination.stat().st_mode) == 0o600
    assert stat.S_IMODE(destination.parent.stat().st_mode) == 0o700
    assert list(destination.parent.iterdir()) == [destination], "nothing of the proof is left"


def test_what_went_in_comes_out(root: Path) -> None:
    before = {part: picture(root / part) for part in PARTS}
    backup = create(root)
    for part in PARTS:
        (root / part).rename(root / "state" / part.replace("/", "-"))
        archive.restore(str(backup), part, str(root))
    assert {part: picture(root / part) for part in PARTS} == before
    assert not [entry.name for entry in root.iterdir() if entry.name.startswith(".")]


def test_a_backup_that_does_not_come_out_as_it_went_in_is_no_backup(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a disk that does not keep what it was given: only the proof by a restore sees that."""
    real = archive._write

    def wrong(root: str, parts: list[str], path: str) -> dict[str, Any]:
        manifest = real(root, parts, path)
        with tarfile.open(path) as tar:
            tar.extractall(path + ".d", filter="fully_trusted")
        Path(path + ".d/tree/config/agent-factory.toml").write_text("[httq]\n")
        with tarfile.open(path, "w:gz") as tar:
            for name in ("tree", archive.MANIFEST):
                tar.add(f"{path}.d/{name}", name)
        shutil.rmtree(path + ".d")
        return manifest

    monkeypatch.setattr(archive, "_write", wrong)
    with pytest.raises(ArchiveError, match=r"config/agent-factory\.toml comes out different"):
        create(root)
    assert list((root / "state/backups").iterdir()) == []


def test_links_are_kept_not_followed(root: Path) -> None:
    with tarfile.open(create(root)) as tar:
        names = tar.getnames()
    assert "tree/data/elsewhere" in names
    assert not [name for name in names if name.startswith(("tree/data/elsewhere/", "tree/data/out/"))]


def test_a_backup_of_another_program_can_be_restored_without_us(root: Path, tmp_path: Path) -> None:
    with tarfile.open(create(root)) as tar:
        tar.extractall(tmp_path / "out", filter="fully_trusted")
    assert picture(tmp_path / "out/tree/data") == picture(root / "data")


def test_a_sound_backup_of_the_same_run_is_kept(root: Path) -> None:
    backup = create(root)
    before = backup.read_bytes()
    (root / "config/agent-factory.toml").write_text("changed since")
    summary = archive.create(str(root), PARTS, str(backup))
    assert summary["created"] is False
    assert summary["files"] == 6
    assert backup.read_bytes() == before


def test_a_damaged_backup_of_the_same_run_is_an_error(root: Path) -> None:
    backup = create(root)
    backup.write_bytes(backup.read_bytes()[:-50])
    with pytest.raises(ArchiveError, match="cannot be restored"):
        archive.create(str(root), PARTS, str(backup))


# --- a file that changes while it is read ------------------------------------------------------------------------


def changing(monkeypatch: pytest.MonkeyPatch, path: Path, times: int, change: Any) -> list[int]:
    """Change `path` while it is read, the first `times` times."""
    real = archive._Summed.read
    count: list[int] = []

    def read(self: Any, size: int = -1) -> bytes:
        block = real(self, size)
        if self._stream.name == str(path) and len(count) < times:
            count.append(1)
            change(path)
        return block

    monkeypatch.setattr(archive._Summed, "read", read)
    return count


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def rewrite(path: Path) -> None:
    """The same length, other bytes: seen by the time of change."""
    path.write_bytes(os.urandom(path.stat().st_size))
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [append, shorten, rewrite])
def test_it_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    (root / "data/same").unlink()
    assert changing(monkeypatch, root / "data/large", 2, change) == []
    backup = create(root)
    (root / "data").rename(root / "state/data")
    archive.restore(str(backup), "data", str(root))
    assert picture(root / "data") == picture(root / "state/data")


def test_one_that_never_rests_is_an_error_that_names_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changing(monkeypatch, root / "data/large", 1000, append)
    with pytest.raises(ArchiveError, match=r"data/large changes while it is read; quiesce"):
        create(root)
    assert list((root / "state/backups").iterdir()) == []


def test_a_file_that_cannot_be_read_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = archive._Summed.__init__

    def refuse(self: Any, path: str) -> None:
        if path.endswith("agent-factory.toml"):
            raise PermissionError(13, "Permission denied", path)
        real(self, path)

    monkeypatch.setattr(archive._Summed, "__init__", refuse)
    with pytest.raises(PermissionError):
        create(root)
    assert list((root / "state/backups").iterdir()) == []


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("small")
    (root / "config").mkdir()
    (root / "config/a").write_text("alpha" * 50)
    (root / "config/b").symlink_to("a")
    return create(root, ["config"]).read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, small: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(small) - 1))
    flipped = small[place] ^ data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.tar.gz"
    path.write_bytes(small[:place] + bytes([flipped]) + small[place + 1 :])
    try:
        archive.verify(str(path))
    except ArchiveError as error:
        assert str(path) in str(error)
    else:  # a time or a name in gzip's header, a bit of padding: the content is the same
        assert gzip.decompress(path.read_bytes()) == gzip.decompress(small)


def test_a_time_that_no_clock_has_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("tree/a")
        member.mtime = 2**70
        tar.addfile(member)
    with pytest.raises(ArchiveError, match="cannot be restored"):
        archive.verify(str(path))


@settings(deadline=None)
@given(cut=st.integers(0, 300))
def test_a_cut_archive_is_found(tmp_path_factory: pytest.TempPathFactory, small: bytes, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.tar.gz"
    path.write_bytes(small[: min(cut, len(small) - 1)])
    with pytest.raises(ArchiveError):
        archive.verify(str(path))
    assert list(path.parent.iterdir()) == [path]


def forged(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], manifest: Any = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        body = json.dumps({"entries": {}} if manifest is None else manifest).encode()
        info = tarfile.TarInfo(archive.MANIFEST)
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "members",
    [
        [(member("tree/../../escaped"), b"x")],
        [(member("OUTSIDE/escaped"), b"x")],
        [(member("tree/out", tarfile.SYMTYPE, "OUTSIDE"), b""), (member("tree/out/escaped"), b"x")],
        [(member("tree/hard", tarfile.LNKTYPE, "/etc/passwd"), b"")],
        [(member("tree/device", tarfile.CHRTYPE), b"")],
        [(member("tree/fifo", tarfile.FIFOTYPE), b"")],
    ],
)
def test_an_archive_that_reaches_out_is_refused(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    aimed = [
        (
            member(
                info.name.replace("OUTSIDE", str(outside)), info.type, info.linkname.replace("OUTSIDE", str(outside))
            ),
            text,
        )
        for info, text in members
    ]
    path = forged(inside / "forged.tar.gz", aimed)
    with pytest.raises(ArchiveError, match="which no backup of pyrunbook contains"):
        archive.verify(str(path))
    assert list(outside.iterdir()) == []
    assert list(inside.iterdir()) == [path]
    assert sorted(tmp_path.iterdir()) == [inside, outside]


@pytest.mark.parametrize("manifest", [[], "x", {}, {"entries": []}, 3])
def test_a_manifest_that_is_not_ours_is_refused(tmp_path: Path, manifest: Any) -> None:
    with pytest.raises(ArchiveError, match="that is not ours"):
        archive.verify(str(forged(tmp_path / "a.tar.gz", [], manifest)))


def test_an_archive_without_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(member("tree", tarfile.DIRTYPE))
    with pytest.raises(ArchiveError, match="cannot be restored"):
        archive.verify(str(path))
    path.write_bytes(gzip.compress(b"not a tar"))
    with pytest.raises(ArchiveError, match="cannot be restored"):
        archive.verify(str(path))


@pytest.mark.parametrize(
    "entry",
    [
        {"sha256": hashlib.sha256(b"y").hexdigest(), "mode": 0o644},
        {"sha256": hashlib.sha256(b"x").hexdigest(), "mode": 0o600},
        {"link": "b"},
        {"directory": True},
    ],
)
def test_a_difference_to_the_manifest_is_named(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = forged(tmp_path / "a.tar.gz", [(member("tree/config"), b"x")], {"entries": {"config": entry}})
    with pytest.raises(ArchiveError, match="config comes out different from what went in"):
        archive.verify(str(path))


def test_a_file_that_the_archive_lacks_is_named(tmp_path: Path) -> None:
    manifest = {"entries": {"data/a": {"sha256": "0" * 64, "mode": 0o644}}}
    with pytest.raises(ArchiveError, match="data/a comes out different"):
        archive.verify(str(forged(tmp_path / "a.tar.gz", [], manifest)))


# --- restoring ---------------------------------------------------------------------------------------------------


def test_nothing_is_restored_over_what_is_there(root: Path) -> None:
    backup = create(root)
    (root / "config/agent-factory.toml").write_text("newer")
    with pytest.raises(ArchiveError, match="config is there; nothing was restored over it"):
        archive.restore(str(backup), "config", str(root))
    assert (root / "config/agent-factory.toml").read_text() == "newer"
    (root / "gone").symlink_to("/nonexistent")
    with pytest.raises(ArchiveError, match="is there"):
        archive.restore(str(backup), "gone", str(root))


def test_a_part_that_the_backup_does_not_hold(root: Path) -> None:
    backup = create(root)
    with pytest.raises(ArchiveError, match=r"does not hold releases/9\.9\.9"):
        archive.restore(str(backup), "releases/9.9.9", str(root))
    assert not [entry.name for entry in root.iterdir() if entry.name.startswith(".")]


def test_a_damaged_backup_restores_nothing(root: Path) -> None:
    backup = create(root)
    backup.write_bytes(backup.read_bytes()[:-50])
    (root / "config").rename(root / "state/config")
    with pytest.raises(ArchiveError):
        archive.restore(str(backup), "config", str(root))
    assert not (root / "config").exists()
    assert not [entry.name for entry in root.iterdir() if entry.name.startswith(".")]
