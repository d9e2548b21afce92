"""The collection as a file: `ansible-galaxy` takes it without a network, and it refuses to work without its package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from installation import CHECKOUT, Distributions, Installed

pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def galaxy(distributions: Distributions, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of collections into which the file was installed."""
    made = tmp_path_factory.mktemp("collection")
    program = [installed.bin / "python", CHECKOUT / ".ci/make-collection", distributions.wheel, made]
    done = subprocess.run(program, env={"HOME": str(made)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = made.glob("pyrunbook-core-*.tar.gz")
    # The environment has the package's own already, which counts as installed.
    installed.ok("ansible-galaxy", "collection", "install", "--offline", "--force", "-p", str(made), str(file))
    return made


def _manifest(galaxy: Path) -> Path:
    return galaxy / "ansible_collections/pyrunbook/core/MANIFEST.json"


def test_it_has_the_version_and_the_words_of_the_package(galaxy: Path, installed: Installed) -> None:
    said = json.loads(_manifest(galaxy).read_text())["collection_info"]
    asked = "import importlib.metadata as m; d = m.metadata('pyrunbook'); print(d['Version'], d['Summary'], sep='\\n')"
    assert installed.ok("python", "-c", asked).splitlines() == [said["version"], said["description"]]
    assert (said["namespace"], said["name"]) == ("pyrunbook", "core")


def test_its_roles_and_playbooks_are_found_before_those_of_the_package(
    galaxy: Path, installed: Installed, tmp_path: Path
) -> None:
    here = {"ANSIBLE_COLLECTIONS_PATH": str(galaxy), "ANSIBLE_HOME": str(tmp_path)}
    listed = json.loads(installed.ok("ansible-doc", "-t", "role", "-l", "--json", "pyrunbook.core", **here))
    assert set(listed) == {f"pyrunbook.core.{path.parent.name}" for path in (CHECKOUT / "roles").glob("*/tasks")}
    play = ["ansible-playbook", "--syntax-check", "-i", "localhost,", "pyrunbook.core.production_update"]
    assert str(galaxy) in installed.ok(*play, **here)


def test_with_another_package_it_refuses_and_says_what_to_install(
    galaxy: Path, installed: Installed, tmp_path: Path
) -> None:
    here = {"ANSIBLE_COLLECTIONS_PATH": str(galaxy), "ANSIBLE_HOME": str(tmp_path)}
    manifest = json.loads(_manifest(galaxy).read_text())
    there, manifest["collection_info"]["version"] = manifest["collection_info"]["version"], "99.0.0"
    text = _manifest(galaxy).read_text()
    _manifest(galaxy).write_text(json.dumps(manifest))
    try:
        done = installed.call("ansible-playbook", "-i", "localhost,", "pyrunbook.core.production_update", **here)
    finally:
        _manifest(galaxy).write_text(text)
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"needs the Python package pyrunbook 99.0.0 beside ansible-core; there is {there}." in done.stderr
    assert "Next: pip install pyrunbook==99.0.0" in done.stderr
