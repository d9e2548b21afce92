"""Pages as files: written in one move and only where they change, removed only when they are ours, compared exactly."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from pyrunbook.docs import files
from pyrunbook.docs.files import drift, write
from pyrunbook.errors import BadInput

OURS = "<!-- Made by `pyrunbook docs build` from `playbooks/a.yml`. Change that, not this page. -->\n\n# A\n"
FRENCH = "<!-- Produit par `pyrunbook docs build` à partir de `a.yml`. Modifier cette source, pas cette page. -->\n"


def test_only_what_changes_is_written(tmp_path: Path) -> None:
    pages = {"maintenance/a.md": OURS, "README.md": OURS}
    assert write(tmp_path, pages, whole=True) == ([tmp_path / "maintenance/a.md", tmp_path / "README.md"], [])
    for name in pages:
        os.utime(tmp_path / name, (1, 1))
    assert write(tmp_path, pages, whole=True) == ([], [])
    assert [(tmp_path / name).stat().st_mtime for name in pages] == [1, 1]
    assert write(tmp_path, pages | {"README.md": OURS + "x\n"}, whole=True) == ([tmp_path / "README.md"], [])
    assert (tmp_path / "maintenance/a.md").stat().st_mtime == 1


def test_a_page_has_the_mode_of_any_file_and_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path, {"a.md": OURS}, whole=True)
        assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o640
        (tmp_path / "a.md").chmod(0o664)
        write(tmp_path, {"a.md": OURS + "more\n"}, whole=True)
        assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o664
    finally:
        os.umask(before)


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_a_write_that_fails_leaves_the_old_page_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write(tmp_path, {"a.md": OURS}, whole=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "a.md")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(BadInput, match="No space left on device"):
        write(tmp_path, {"a.md": "new\n"}, whole=True)
    monkeypatch.undo()
    assert (tmp_path / "a.md").read_text() == OURS
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"], "a half-written file is left"


def test_an_interrupted_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, {"a.md": OURS}, whole=True)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_never_sees_half_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is under the page's name while it is written is whole: the old page."""
    write(tmp_path, {"a.md": OURS}, whole=True)
    seen = []
    real = os.fsync

    def look(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # the directory follows, with the new page
            seen.append((tmp_path / "a.md").read_text())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write(tmp_path, {"a.md": OURS * 1000}, whole=True)
    assert seen == [OURS]


def test_output_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("mine")
    with pytest.raises(BadInput, match="pages"):
        write(tmp_path / "pages", {"a.md": OURS}, whole=True)
    with pytest.raises(BadInput, match="pages"):
        drift(tmp_path / "pages", {"a.md": OURS}, whole=True)
    assert (tmp_path / "pages").read_text() == "mine"


def test_only_made_pages_that_nothing_makes_any_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name, text in {
        "old/gone.md": OURS, "old/gone.fr.md": FRENCH, "old/mine.md": "# By hand\n",
        "old/quote.md": "# About pages\n\nMade by `pyrunbook docs build`.\n", "old/data.txt": OURS, "empty.md": "",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    _, removed = write(tmp_path, {"a.md": OURS}, whole=False)
    assert removed == []
    _, removed = write(tmp_path, {"a.md": OURS}, whole=True)
    assert removed == [tmp_path / "old/gone.fr.md", tmp_path / "old/gone.md"]
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert left == ["a.md", "empty.md", "old/data.txt", "old/mine.md", "old/quote.md"]


def test_every_made_page_carries_the_mark() -> None:
    for text in (OURS, FRENCH):
        assert files.MARK in text.partition("\n")[0]


@pytest.mark.parametrize(
    ("there", "made", "line", "kind"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", 2, "changed"),
        ("a\nb\n", "a\nb\nc\n", 3, "changed"),
        ("a\nb\nc\n", "a\nb\n", 3, "changed"),
        ("a\nb", "a\nb\n", 2, "changed"),
        ("a\r\nb\r\n", "a\nb\n", 1, "changed"),
        ("", "a\n", 1, "changed"),
        (None, "a\n", 1, "missing"),
    ],
)
def test_drift_names_the_first_line_that_differs(
    tmp_path: Path, there: str | None, made: str, line: int, kind: str
) -> None:
    if there is not None:
        (tmp_path / "a.md").write_bytes(there.encode())
    (found,) = drift(tmp_path, {"a.md": made}, whole=True)
    assert (found.file, found.line, found.kind) == (tmp_path / "a.md", line, kind)
    whole = found.diff.startswith("--- ") and "\n+++ " in found.diff and "\n@@ " in found.diff
    assert whole is (kind == "changed") and bool(found.diff) is whole
    assert found.diff.endswith("\n" if whole else "")
    assert [path.name for path in tmp_path.iterdir()] == ([] if there is None else ["a.md"])
    assert there is None or (tmp_path / "a.md").read_bytes() == there.encode()


def test_no_drift(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": OURS}, whole=True)
    (tmp_path / "mine.md").write_text("# By hand\n")
    assert drift(tmp_path, {"a.md": OURS}, whole=True) == []
    (stale,) = drift(tmp_path, {}, whole=True)
    assert (stale.file.name, stale.kind, stale.line) == ("a.md", "stale", 1)
    assert drift(tmp_path, {}, whole=False) == []


@pytest.mark.skipif(not shutil.which("patch"), reason="needs patch(1)")
def test_a_diff_can_be_applied(tmp_path: Path) -> None:
    """It is a unified diff; of a page without a newline at its end it says so."""
    for end in ("\n", ""):
        (tmp_path / "a.md").write_text(f"a\nb\nc\nd{end}")
        (found,) = drift(tmp_path, {"a.md": "a\nB\nc\nd\ne\n"}, whole=True)
        assert ("\\ No newline" in found.diff) == (not end)
        subprocess.run(["patch", "-s", tmp_path / "a.md"], input=found.diff, text=True, check=True)
        assert (tmp_path / "a.md").read_text() == "a\nB\nc\nd\ne\n"


def test_a_page_that_is_no_text_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\x00")
    (found,) = drift(tmp_path, {"a.md": OURS}, whole=True)
    assert found.line == 1
    write(tmp_path, {"a.md": OURS}, whole=True)
    assert (tmp_path / "a.md").read_text() == OURS


def test_no_link_leads_a_page_elsewhere(tmp_path: Path) -> None:
    """The directory may be anybody's: a page takes the place of a link, and no directory may lead out."""
    (tmp_path / "precious").write_text("mine\n")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/a.md").symlink_to("../precious")
    write(tmp_path / "pages", {"a.md": OURS}, whole=False)
    assert (tmp_path / "precious").read_text() == "mine\n"
    assert (tmp_path / "pages/a.md").read_text() == OURS
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pages/incidents").symlink_to("../elsewhere")
    with pytest.raises(BadInput, match="leads out of"):
        write(tmp_path / "pages", {"incidents/a.md": OURS}, whole=False)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_of_pages_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "pages").symlink_to("real")
    write(tmp_path / "pages", {"x/a.md": OURS}, whole=True)
    assert (tmp_path / "real/x/a.md").read_text() == OURS
