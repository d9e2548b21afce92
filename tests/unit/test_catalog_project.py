"""Finding the playbooks of any project."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pyrunbook.catalog.outline import read_outline
from pyrunbook.catalog.step_notes import read_step_notes
from pyrunbook.project.playbooks import find_playbooks, page_id
from pyrunbook.project.problem import InvalidFile

CHECKOUT = Path(__file__).parents[2]


def put(project: Path, name: str, text: str = "- hosts: all\n") -> Path:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def names(project: Path) -> list[str]:
    return [file.relative_to(project).as_posix() for file in find_playbooks(project)]


def test_our_own_runbooks_are_found() -> None:
    found = {page_id(file, CHECKOUT) for file in find_playbooks(CHECKOUT)}
    assert found == {f"{file.parent.name}/{file.stem}" for file in CHECKOUT.glob("playbooks/*/*[a-z].yml")
                     if ".meta." not in file.name}  # fmt: skip


def test_playbooks_stand_anywhere_but_where_no_operator_runs_them(tmp_path: Path) -> None:
    wanted = [
        "a-b.yml", "deep/er.yml", "playbooks/a/b/c/z.yml", "playbooks/maintenance/y.yml", "playbooks/x.yaml",
        "plays/w.yml",
    ]  # fmt: skip
    for name in wanted:
        put(tmp_path, name)
    for name in (
        "roles/r/tasks/main.yml", "playbooks/roles/r/tests/test.yml", "tests/t.yml", "playbooks/.hidden/a.yml",
        "collections/c.yml", "playbooks/collections/c.yml", "playbooks/molecule/converge.yml", ".github/x.yml",
        "playbooks/node_modules/m.yml", "playbooks/group_vars/all.yml", "playbooks/host_vars/h.yml", "playbooks/x.txt",
        "playbooks/y.meta.yml", "playbooks/env/lib/p.yml", ".hidden.yml",
    ):  # fmt: skip
        put(tmp_path, name)
    put(tmp_path, "playbooks/env/pyvenv.cfg", "")
    assert names(tmp_path) == sorted(wanted)
    assert find_playbooks(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- hosts: a\n", True),
        ("---\n# c\n- vars: {hosts: x, y: [1, 2]}\n  'hosts': a\n", True),
        ("- ansible.builtin.import_playbook: x.yml\n", True),
        ("- {{ key }}: {a: b}\n  hosts: a\n", True),
        ("\ufeff- hosts: a\n", True),
        ("- name: [hosts\n  hosts: a\n", True),
        ("- debug: {hosts: a}\n", False),
        ("- name: hosts\n  debug: {}\n", False),
        ("hosts: a\n", False),
        ("all:\n  hosts:\n    a:\n", False),
        ("- [hosts, a]\n", False),
        ("not: [yaml\n  hosts", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_playbook_is_known_by_its_plays(tmp_path: Path, text: str, found: bool) -> None:
    put(tmp_path, "x.yml", text)
    assert (names(tmp_path) == ["x.yml"]) is found


def test_links_out_of_the_project_are_left_alone(tmp_path: Path) -> None:
    project = tmp_path / "project"
    put(tmp_path, "outside.yml")
    put(project, "inside.yml")
    (project / "linked.yml").symlink_to(project / "inside.yml")
    (project / "out.yml").symlink_to(tmp_path / "outside.yml")
    (project / "playbooks").mkdir()
    (project / "playbooks/up").symlink_to(tmp_path)
    assert names(project) == ["inside.yml", "linked.yml"]


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("site.yml", "site"),
        ("playbooks/x.yml", "playbooks/x"),
        ("playbooks/maintenance/x-y.yml", "maintenance/x-y"),
        ("playbooks/playbooks/x.yml", "playbooks/playbooks/x"),
        ("playbooks/a/b/x.yml", "playbooks/a/b/x"),
        ("playbooks/a/x.y.yaml", "a/x.y"),
    ],
)
def test_a_page_is_called_like_its_playbook(name: str, page: str) -> None:
    assert page_id(Path("/p") / name, Path("/p")) == page


def test_no_two_playbooks_have_the_same_page(tmp_path: Path) -> None:
    for name in ("x.yml", "x.yaml", "playbooks/x.yml", "playbooks/playbooks/x.yml", "playbooks/a/x.yml", "y.yaml"):
        put(tmp_path, name)
    found = [page_id(file, tmp_path) for file in find_playbooks(tmp_path)]
    assert len(set(found)) == 6
    assert {"x", "x.yaml", "y"} <= set(found)


def test_a_thousand_playbooks_are_found_and_read_quickly(tmp_path: Path) -> None:
    text = (CHECKOUT / "playbooks/maintenance/production_update.yml").read_text()
    for number in range(1000):
        put(tmp_path, f"playbooks/maintenance/p{number}.yml", text)
    started = time.process_time()
    found = find_playbooks(tmp_path)
    assert len(found) == 1000
    assert time.process_time() - started < 2
    started = time.process_time()
    assert all(read_outline(file, tmp_path).plays for file in found[:100])
    assert time.process_time() - started < 2


def test_the_notes_of_a_role_are_read_once_and_again_when_they_have_changed(tmp_path: Path) -> None:
    file = put(tmp_path, "step.yml", "schema: 1\npurpose: A\nexpected: x\nundo_text: x\n")
    first = read_step_notes(file)
    assert read_step_notes(file) is first
    put(tmp_path, "step.yml", "schema: 1\npurpose: Bee\nexpected: x\nundo_text: x\n")
    assert read_step_notes(file).purpose == "Bee"
    put(tmp_path, "step.yml", "schema: 2\n")
    for _ in range(2):
        with pytest.raises(InvalidFile):
            read_step_notes(file)
