"""The distributions, built once, and one environment that has the wheel and nothing of the checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from installation import CHECKOUT, Distributions, Installed, Size


def _run(*argv: str | Path) -> None:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    made = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--outdir", made, CHECKOUT)
    (sdist,) = made.glob("*.tar.gz")
    (wheel,) = made.glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture(scope="session")
def installed(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel without extras, in a fresh environment."""
    base = tmp_path_factory.mktemp("installed")
    _run(sys.executable, "-m", "venv", base / "venv")
    empty = Size.of(base / "venv")
    _run(base / "venv/bin/python", "-m", "pip", "install", "--quiet", "--compile", distributions.wheel)
    home = base / "home"
    home.mkdir()
    return Installed(base / "venv/bin", home, Size.of(base / "venv") - empty)


@pytest.fixture(scope="session")
def installed_with_sandbox(installed: Installed, distributions: Distributions) -> Installed:
    """The same environment, after `pip install pyrunbook[sandbox]`."""
    _run(
        installed.bin / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        f"pyrunbook[sandbox] @ {distributions.wheel.as_uri()}",
    )
    return installed
