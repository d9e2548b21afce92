"""`.ci/make-venv` on machines that lack something: what it does, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from installation import CHECKOUT

pytestmark = pytest.mark.packaging
FAKE = """\
#!/bin/sh
# A Python that lacks something: each case ends the call that needs it.
case "$*" in
{cases}
*) exec {real} "$@" ;;
esac
"""


def python_without(directory: Path, *cases: str) -> Path:
    """A stand-in for a Python on which calls that match a shell pattern fail."""
    path = directory / "python-that-lacks"
    path.write_text(FAKE.format(cases="\n".join(f"{case}) exit 1 ;;" for case in cases), real=sys.executable))
    path.chmod(0o755)
    return path


def make(venv: Path, python: Path | str, named: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHECKOUT / ".ci/make-venv", venv],
        env={**os.environ, "PYTHON": str(python), "NAMED": named},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def works(venv: Path) -> bool:
    return (
        subprocess.run([venv / "bin/python", "-m", "pip", "--version"], capture_output=True, check=False).returncode
        == 0
    )


def test_without_ensurepip_the_pip_that_is_there_is_used(tmp_path: Path) -> None:
    """Debian keeps ensurepip in a package of its own."""
    python = python_without(tmp_path, f'"-m venv {tmp_path}/v"')
    done = make(tmp_path / "v", python)
    assert done.returncode == 0, done.stderr
    assert works(tmp_path / "v")


def test_without_venv_it_says_what_to_install(tmp_path: Path) -> None:
    done = make(tmp_path / "v", python_without(tmp_path, "*venv*", "*virtualenv*"))
    assert done.returncode == 1
    assert "venv module or pip is missing" in done.stderr
    assert "apt-get install python3-venv python3-pip" in done.stderr
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_without_a_python_that_is_new_enough_it_says_so(tmp_path: Path, python: str) -> None:
    done = make(tmp_path / "v", python)
    assert done.returncode == 1
    assert "pyrunbook needs Python 3.11 or later" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_an_environment_is_made_once_and_again_only_for_another_python(tmp_path: Path) -> None:
    venv = tmp_path / "v"
    assert make(venv, sys.executable).returncode == 0
    mark = venv / "mark"
    mark.touch()
    assert make(venv, sys.executable, named="command line").returncode == 0
    assert mark.exists()
    # The environment's own Python says that it is another version.
    (venv / "bin/python").unlink()
    (venv / "bin/python").write_text(
        f'#!/bin/sh\ncase "$*" in *version_info*) echo 3.10 ;; *) exec {sys.executable} "$@" ;; esac\n'
    )
    (venv / "bin/python").chmod(0o755)
    assert make(venv, sys.executable).returncode == 0
    assert mark.exists(), "nobody named a Python: what is there is kept"
    assert make(venv, sys.executable, named="command line").returncode == 0
    assert not mark.exists()
    assert works(venv)
