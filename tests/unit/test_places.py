"""Where things stand."""

from __future__ import annotations

import stat
from pathlib import Path

from pyrunbook import places


def test_a_private_directory_has_no_parent_that_is_open_to_others(tmp_path: Path) -> None:
    made = places.private_directory(tmp_path / "state" / "pyrunbook" / "sandbox")
    for directory in (made, made.parent, made.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    tmp_path.chmod(0o755)
    places.private_directory(made)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755, "what was there stays as it was"
