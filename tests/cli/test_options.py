"""Options that several commands share: inventories and extra variables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyrunbook.cli.options import extra_variables, inventory_name, inventory_sources
from pyrunbook.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "inventories"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PYRUNBOOK_INVENTORY", "PYRUNBOOK_CONTENT"):
        monkeypatch.delenv(name, raising=False)


def test_an_inventory_is_a_file_a_directory_a_shipped_name_or_a_list(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("services:\n")
    (tmp_path / "all").mkdir()
    assert inventory_sources(("hosts.yml",)) == (str(tmp_path / "hosts.yml"),)
    assert inventory_sources(("all",)) == (str(tmp_path / "all"),)
    assert inventory_sources(("production",)) == (str(SHIPPED / "production"),)
    assert inventory_sources(("one,two,",)) == ("one,two,",)
    assert inventory_sources(("staging", "./hosts.yml")) == (str(SHIPPED / "staging"), str(tmp_path / "hosts.yml"))
    assert inventory_name((str(SHIPPED / "staging"), "/x/hosts.yml")) == "staging, hosts.yml"


def test_what_stands_in_the_current_directory_goes_before_what_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    assert inventory_sources(("staging",)) == (str(tmp_path / "staging"),)


def test_the_default_is_the_environments_or_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inventory_sources(()) == (str(SHIPPED / "sandbox"),)
    monkeypatch.setenv("PYRUNBOOK_INVENTORY", "staging")
    assert inventory_sources(()) == (str(SHIPPED / "staging"),)
    assert inventory_sources(("production",)) == (str(SHIPPED / "production"),)
    (tmp_path / "hosts.yml").write_text("services:\n")
    monkeypatch.setenv("PYRUNBOOK_INVENTORY", "hosts.yml")  # absolute, because Ansible runs somewhere else
    assert inventory_sources(()) == (str(tmp_path / "hosts.yml"),)
    monkeypatch.setenv("PYRUNBOOK_INVENTORY", "/nowhere")
    with pytest.raises(BadInput, match="/nowhere"):
        inventory_sources(())


@pytest.mark.parametrize("source", ["", "nonsense", "../nonsense", "/nowhere/at/all"])
def test_an_inventory_that_is_not_there(source: str) -> None:
    with pytest.raises(BadInput) as error:
        inventory_sources((source,))
    assert "production, sandbox, staging, or a path" in error.value.next_step


def test_content_without_inventories_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("playbooks", "roles"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(tmp_path))
    with pytest.raises(BadInput, match="nonsense"):
        inventory_sources(("nonsense",))
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(tmp_path / "roles"))
    with pytest.raises(BadInput) as error:
        inventory_sources(("nonsense",))
    assert "is no project" in error.value.seen and "unset PYRUNBOOK_CONTENT" in error.value.next_step


def test_the_inventory_of_a_project_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its ansible.cfg names, as for a direct ansible-playbook; by name its own go before the shipped ones."""
    (tmp_path / ".pyrunbook.yml").touch()
    for name in ("staging", "canary"):
        (tmp_path / "inventories" / name).mkdir(parents=True)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    own = tmp_path / "inventories"
    assert inventory_sources(()) == (str(SHIPPED / "sandbox"),)
    assert inventory_sources(("staging", "canary")) == (str(own / "staging"), str(own / "canary"))
    (tmp_path / "ansible.cfg").write_text("[defaults]\ninventory = inventories/canary, inventories/staging\n")
    assert inventory_sources(()) == (str(own / "canary"), str(own / "staging"))
    (own / "sandbox").mkdir()
    (tmp_path / "ansible.cfg").unlink()
    assert inventory_sources(()) == (str(own / "sandbox"),)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_inventory_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").touch(mode=0)
    with pytest.raises(BadInput, match="cannot be read by this user"):
        inventory_sources(("hosts.yml",))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((), {}),
        (("a=1",), {"a": "1"}),
        (("a=1 b='two words' c=",), {"a": "1", "b": "two words", "c": ""}),
        (("a=x=y",), {"a": "x=y"}),
        (('{"a": [1, true]}',), {"a": [1, True]}),
        (("{a: 1, b: {c: null}}",), {"a": 1, "b": {"c": None}}),
        (("@vars.yml",), {"when": "2026-11-22", "5": "five", "list": [1]}),
        (("a=1", "a=2", "@vars.yml", '{"list": []}'), {"a": "2", "when": "2026-11-22", "5": "five", "list": []}),
    ],
)
def test_extra_variables(tmp_path: Path, given: tuple[str, ...], found: dict[str, object]) -> None:
    (tmp_path / "vars.yml").write_text("when: 2026-11-22\n5: five\nlist: [1]\n")
    assert extra_variables(given) == found


def test_a_value_with_blanks_says_how_it_is_quoted() -> None:
    with pytest.raises(BadInput) as error:
        extra_variables(("release=1.1.0", "a=1 secure_mode_reason=a drill"))
    assert error.value.next_step == "a value with blanks has quotes of its own: -e \"secure_mode_reason='…'\""
    assert extra_variables(("secure_mode_reason='a drill'",)) == {"secure_mode_reason": "a drill"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense", "'nonsense' is not key=value"),
        ("=1", "'=1' is not key=value"),
        ("a-b=1", "'a-b=1' is not key=value"),
        ("a=1 nonsense", "'nonsense' is not key=value"),
        ("a='b", "No closing quotation"),
        ("db_password='hunter2", "No closing quotation"),
        ("db_password=hunter2 nonsense", "'nonsense' is not key=value"),
        ("@nowhere.yml", "-e @nowhere.yml: No such file or directory"),
        ("@.", "-e @.: Is a directory"),
        ("@broken.yml", "-e @broken.yml:3:1: expected ',' or ']', but got '<stream end>'"),
        ("@list.yml", "-e @list.yml: not a mapping of variables to values"),
        ("@empty.yml", "-e @empty.yml: not a mapping of variables to values"),
        ("@binary.yml", "-e @binary.yml: not a text in UTF-8"),
        ("@control.yml", "-e @control.yml: "),
        ("{a: [}", "-e {…}:1:6: "),
    ],
)
def test_extra_variables_that_are_wrong_name_file_and_line_and_show_no_content(
    tmp_path: Path, given: str, said: str
) -> None:
    (tmp_path / "broken.yml").write_text("a: 1\npassword: [hunter2\n")
    (tmp_path / "list.yml").write_text("- a\n")
    (tmp_path / "empty.yml").write_text("")
    (tmp_path / "binary.yml").write_bytes(b"a: \xff\xfe")
    (tmp_path / "control.yml").write_text("a: hunter2\x00\n")
    with pytest.raises(BadInput) as error:
        extra_variables((given,))
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)
