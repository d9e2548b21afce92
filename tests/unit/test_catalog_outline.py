"""The outline of anybody's playbooks: what is found in them, what is said of what is wrong, and what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrunbook.catalog.outline import Outline, PlaybookImport, read_outline
from pyrunbook.catalog.outline_tasks import Item, Kind
from pyrunbook.catalog.roles import read_role
from pyrunbook.project import document
from pyrunbook.project.document import read_leniently
from pyrunbook.project.playbooks import find_playbooks
from pyrunbook.project.problem import InvalidFile

SITE = """\
---
- name: Web servers
  hosts: [web, "{{ canary }}"]
  serial: [1, 30%]
  become: yes
  tags: web, front
  vars_files: [vars/a.yml, "vars/{{ env }}.yml"]
  vars_prompt:
    - name: really
      prompt: Sure?
  pre_tasks:
    - name: Take {{ inventory_hostname }} out
      local_action: command lb remove {{ inventory_hostname }}
      when: not first
  roles:
    - common
    - {role: nginx, tags: [nginx], when: with_nginx}
    - role: "{{ site_role }}"
  tasks:
    - name: Change, or put back
      when:
        - a is defined
        - b
      block:
        - include_tasks: tasks/{{ os }}.yml
        - ansible.builtin.import_role: {name: app, tasks_from: deploy}
          tags: app
        - include_role: name=common
      rescue:
        - debug: msg=failed
      always:
        - name: Say so
          copy: src=a dest=b
          with_items: [1]
          ignore_errors: yes
  post_tasks:
    - action: {module: uri, url: http://localhost}
  handlers:
    - name: restart
      service: name=nginx state=restarted
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("common", "nginx", "app"):
        (tmp_path / "roles" / name / "tasks").mkdir(parents=True)
    return tmp_path


def outline(project: Path, text: str | bytes, name: str = "site.yml") -> Outline:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_outline(file, project)


def tasks(project: Path, text: str) -> tuple[Item, ...]:
    """The tasks of a play, given as the lines of a list."""
    found = outline(project, "- hosts: all\n  tasks:\n" + "".join(f"    {line}\n" for line in text.splitlines()))
    return found.plays[0].sections["tasks"]


def said(found: Outline) -> list[str]:
    return [f"{p.file.name}:{p.line}:{p.column}: {p.message}" for p in found.problems]


# --- what is found -----------------------------------------------------------------------------------------------


def test_a_play_is_read_as_it_is_written(project: Path) -> None:
    found = outline(project, SITE)
    assert found.problems == ()
    (play,) = found.plays
    assert (play.name, play.hosts, play.serial, play.become) == ("Web servers", "web,{{ canary }}", "1,30%", "yes")
    assert (play.tags, play.vars_files) == (("web", "front"), ("vars/a.yml", "vars/{{ env }}.yml"))
    assert (play.prompts, play.line, play.column) == (("really",), 2, 3)
    assert list(play.sections) == ["pre_tasks", "roles", "tasks", "post_tasks", "handlers"]


def test_items_say_what_they_are(project: Path) -> None:
    (play,) = outline(project, SITE).plays
    (out,) = play.sections["pre_tasks"]
    assert (out.title, out.module, out.when) == ("Take {{ inventory_hostname }} out", "command", ("not first",))
    assert [(item.kind, item.role, item.role_path) for item in play.sections["roles"]] == [
        (Kind.ROLE, "common", project / "roles/common"),
        (Kind.ROLE, "nginx", project / "roles/nginx"),
        (Kind.ROLE, "{{ site_role }}", None),
    ]
    assert (play.sections["roles"][1].tags, play.sections["roles"][1].when) == (("nginx",), ("with_nginx",))
    (block,) = play.sections["tasks"]
    assert (block.kind, block.title, block.when) == (Kind.BLOCK, "Change, or put back", ("a is defined", "b"))
    include, app, common = block.children
    assert (include.kind, include.target, include.children) == (Kind.INCLUDE, "tasks/{{ os }}.yml", ())
    assert (app.kind, app.role, app.title, app.module) == (Kind.ROLE, "app", "app", "ansible.builtin.import_role")
    assert (app.tags, app.line, app.column) == (("app",), 26, 11)
    assert common.role_path == project / "roles/common"
    assert [item.title for item in block.rescue] == ["debug"], "arguments may be secret and make no title"
    (say,) = block.always
    assert (say.settings, say.module) == ((("with_items", "1"), ("ignore_errors", "yes")), "copy")
    assert [item.module for item in (*play.sections["post_tasks"], *play.sections["handlers"])] == ["uri", "service"]
    assert [item.title for item in play.walk()][4:7] == ["Change, or put back", "tasks/{{ os }}.yml", "app"]


def test_playbooks_that_import_each_other_are_followed_in_order(project: Path) -> None:
    outline(project, "- hosts: b\n- import_playbook: c.yml\n", "playbooks/b-b.yml")
    outline(project, "- hosts: c\n  roles: [common]\n", "playbooks/c.yml")
    found = outline(
        project,
        "- hosts: a\n"
        "- name: The rest\n  ansible.builtin.import_playbook: playbooks/b-b.yml\n  tags: [x]\n  when: y\n"
        "- import_playbook: '{{ other }}.yml'\n"
        "- include: playbooks/c.yml tags=z\n",
    )
    assert [play.hosts for play in found.plays] == ["a", "b", "c", "c"]
    assert found.plays[2].sections["roles"][0].role_path == project / "roles/common"
    first, templated, old = found.entries[1:]
    assert isinstance(first, PlaybookImport)
    assert isinstance(templated, PlaybookImport)
    assert isinstance(old, PlaybookImport)
    assert (first.tags, first.when, first.path) == (("x",), ("y",), project / "playbooks/b-b.yml")
    assert (templated.target, templated.path, templated.entries) == ("{{ other }}.yml", None, ())
    assert (old.target, old.tags) == ("playbooks/c.yml", ("z",))
    assert found.problems == ()
    assert [file.name for file in found.files] == ["site.yml", "b-b.yml", "c.yml"]


def test_included_tasks_are_found_where_ansible_looks(project: Path) -> None:
    role = project / "roles/common/tasks"
    (project / "tasks").mkdir()
    (project / "tasks/here.yml").write_text("- debug: {}\n- import_tasks: there.yml\n")
    (project / "tasks/there.yml").write_text("- include_tasks: ../roles/common/tasks/sub/deep.yml\n")
    (role / "sub").mkdir()
    (role / "sub/deep.yml").write_text("- include_tasks: {file: of_role.yml}\n")
    (role / "of_role.yml").write_text("- import_tasks: beside_playbook.yml\n")
    (project / "beside_playbook.yml").write_text("- ping:\n")
    (item,) = tasks(project, "- include: here.yml x=1")
    assert [i.title for i in item.walk()] == [
        "here.yml", "debug", "there.yml", "../roles/common/tasks/sub/deep.yml", "of_role.yml", "beside_playbook.yml",
        "ping",
    ]  # fmt: skip
    assert [i.file.name for i in item.walk()][-1] == "beside_playbook.yml"


def test_roles_are_found_beside_the_playbook_by_ansible_cfg_and_by_the_collections_name(project: Path) -> None:
    (project / "ansible.cfg").write_text("[defaults]\nroles_path = shared/roles:~/mine:/etc:$X\n")
    (project / "galaxy.yml").write_text("namespace: our\nname: things\n")
    (project / "shared/roles/far").mkdir(parents=True)
    (project / "playbooks/roles/near").mkdir(parents=True)
    found = outline(project, "- hosts: a\n  roles: [near, far, our.things.app, their.things.app]\n", "playbooks/p.yml")
    assert [item.role_path for item in found.plays[0].sections["roles"]] == [
        project / "playbooks/roles/near", project / "shared/roles/far", project / "roles/app", None,
    ]  # fmt: skip
    assert said(found) == ["p.yml:2:38: the role their.things.app is not in this project"]


def test_anchors_and_merge_keys_are_resolved(project: Path) -> None:
    first, second = tasks(project, "- &t\n  name: one\n  debug: {}\n  tags: a\n- <<: *t\n  name: two")
    assert (first.title, second.title, second.module, second.tags) == ("one", "two", "debug", ("a",))


# --- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "site.yml:1:1: the file is empty"),
        ("---\n# nothing\n", "site.yml:1:1: the file is empty"),
        ("a: b\n", "site.yml:1:1: a playbook is a list of plays"),
        ("- hosts: a\n---\n- hosts: b\n", "site.yml:3:1: a second document in the file"),
        ("- name: x\n", "site.yml:1:3: a play needs hosts"),
        ("- 5\n", "site.yml:1:3: a play needs hosts"),
        ("- hosts: a\n  hosts: b\n", "site.yml:2:3: the key hosts is here twice, first in line 1"),
        ("- hosts: a\n\ttasks: []\n", "site.yml:2:1: not YAML: "),
        (b"- hosts: a\n  name: caf\xe9 x\n", "site.yml:2:12: not UTF-8"),
        (b"- hosts: a\n  name: a\x07b\n", "site.yml:2:10: the character '\\x07' may not stand in YAML"),
        ("$ANSIBLE_VAULT;1.1;AES256\n123\n", "site.yml:1:1: the file is vaulted as a whole"),
        ("[" * 100_000, "site.yml:1:1: is nested too deeply"),
        ("- " * 100_000, "site.yml:1:1: is nested too deeply"),
        ("- hosts: a\n  tasks: {a: b}\n", "site.yml:2:10: expected a list of tasks"),
        ("- hosts: a\n  tasks: [5]\n", "site.yml:2:11: expected a task, got '5'"),
        ("- hosts: a\n  tasks: [{name: x, when: y}]\n", "site.yml:2:11: the task has no module"),
        ("- hosts: a\n  tasks: [{copy: x, file: y}]\n", "site.yml:2:21: a task does one thing"),
        ("- hosts: a\n  tasks: [{copy: {{ x }}}]\n", "site.yml:2:18: {{ x }} is a template and needs quotes"),
        ("- hosts: a\n  tasks: [{include_role: }]\n", "site.yml:2:11: include_role needs the role's name"),
        ("- hosts: a\n  tasks: [{import_tasks: no.yml}]\n", "site.yml:2:11: there is no no.yml in this project"),
        ("- hosts: a\n  roles: [{when: x}]\n", "site.yml:2:11: an entry of roles needs the role's name"),
        ("- hosts: a\n  roles: [../app]\n", "site.yml:2:11: the role ../app is not in this project"),
        ("- import_playbook: no.yml\n", "site.yml:1:20: there is no playbook no.yml in this project"),
        ("- import_playbook: site.yml\n", "site.yml:1:20: site.yml imports itself"),
        ("- import_playbook:\n", "site.yml:1:19: names no playbook to import"),
        ("- hosts: a\n  tasks: [{include_tasks: site.yml}]\n", "site.yml:2:11: site.yml includes itself"),
        ("- hosts: a\n  tasks: &t [{block: *t}]\n", "site.yml:2:14: more than 30 blocks in each other"),
    ],
)
def test_a_mistake_is_named_with_its_place(project: Path, text: str | bytes, expected: str) -> None:
    found = outline(project, text)
    assert [message for message in said(found) if message.startswith(expected)], said(found)


def test_what_is_whole_in_a_broken_file_is_read_all_the_same(project: Path) -> None:
    found = outline(
        project,
        "- hosts: a\n  tasks:\n    - debug: {}\n- hosts: b\n  tasks:\n    - name: a: b: c\n- hosts: c\n  name: Last\n",
    )
    assert [(play.hosts, play.line) for play in found.plays] == [("a", 1), ("c", 7)]
    assert said(found) == ["site.yml:6:14: not YAML: mapping values are not allowed in this context"]


def test_oddities_that_are_no_mistakes_stay_as_written(project: Path) -> None:
    text = (
        b"\xef\xbb\xbf- hosts: 010\r\n  name: !unsafe '{{ x }}'\r\n  {{ key }}: 1\r\n  tasks:\r\n"
        b"    - name: 2024-99-99\r\n      '{{ module }}': {a: !vault |\r\n        $ANSIBLE_VAULT\r\n      }\r\n"
    )
    found = outline(project, text.replace(b"{a: !vault |\r\n        $ANSIBLE_VAULT\r\n      }", b"!vault 616263"))
    (play,) = found.plays
    assert (play.hosts, play.name, play.line, play.column) == ("010", "{{ x }}", 1, 1 + len("- "))
    assert (play.sections["tasks"][0].title, play.sections["tasks"][0].module) == ("2024-99-99", "{{ module }}")
    assert said(found) == []


def test_a_vaulted_value_never_shows(project: Path) -> None:
    found = outline(
        project, "- hosts: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6162\n  tasks: [{debug: !vault abc}]\n"
    )
    assert found.plays[0].hosts == "(vaulted)"
    assert "6162" not in repr(found)
    assert "abc" not in repr(found)


def test_nothing_outside_of_the_project_is_read(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.yml").write_text("- name: SECRET\n  hosts: a\n  debug: {}\n")
    (outside / "role/tasks").mkdir(parents=True)
    (project / "link.yml").symlink_to(outside / "secret.yml")
    (project / "roles/linked").symlink_to(outside / "role")
    found = outline(
        project,
        "- import_playbook: link.yml\n"
        f"- import_playbook: {outside}/secret.yml\n"
        "- hosts: a\n  roles: [linked]\n  tasks:\n    - include_tasks: link.yml\n"
        f"    - include_tasks: {outside}/secret.yml\n    - include_tasks: ../{outside.name}/secret.yml\n",
    )
    assert "SECRET" not in repr(found)
    assert [message.partition(": ")[2] for message in said(found)] == [
        "link.yml stands outside of the project and was not read",
        f"{outside}/secret.yml stands outside of the project and was not read",
        "the role linked is not in this project",
        "link.yml stands outside of the project and was not read",
        f"{outside}/secret.yml stands outside of the project and was not read",
        f"../{outside.name}/secret.yml stands outside of the project and was not read",
    ]
    assert "outside" in read_outline(project / "link.yml", project).problems[0].message
    assert read_role(project / "roles", "linked").path is None


def test_what_is_no_file_is_not_opened(project: Path) -> None:
    os.mkfifo(project / "pipe.yml")
    (project / "loop.yml").symlink_to(project / "loop.yml")
    (project / "big.yml").write_bytes(b"- hosts: a\n" + b"#" * (5 * 2**20))
    for name in ("pipe.yml", "loop.yml", "big.yml", "gone.yml"):
        found = read_outline(project / name, project)
        assert (found.plays, len(found.problems)) == ([], 1), name
    assert "are not read" in read_outline(project / "big.yml", project).problems[0].message


def test_files_that_double_each_other_come_to_an_end(project: Path) -> None:
    for number in range(30):
        (project / f"{number}.yml").write_text(f"- include_tasks: {number + 1}.yml\n" * 4)
    started = time.monotonic()
    found = outline(project, "- hosts: a\n  tasks: [{include_tasks: 0.yml}]\n")
    assert time.monotonic() - started < 10
    assert any("more than 20000 tasks" in message for message in said(found))
    assert any("more than 20 files include each other" in message for message in said(found))


@pytest.mark.parametrize(
    "text",
    [
        "- hosts: x\n  vars: &v\n    <<: [*v, *v, *v, *v, *v, *v, *v, *v, *v]\n",
        "- &a\n  <<: *a\n  hosts: x\n",
        "- hosts: a\n  k0: &x0 [a]\n"
        + "".join(f"  k{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 25))
        + "  tasks: [{debug: *x24, tags: *x24, when: *x24}]\n",
    ],
    ids=["merged into itself", "a play merged into itself", "aliases that multiply"],
)
def test_yaml_that_unfolds_without_end_is_read_at_once(project: Path, text: str) -> None:
    started = time.monotonic()
    assert len(outline(project, text).plays) == 1
    assert isinstance(document.read(project / "site.yml").root, yaml.SequenceNode)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "- " * 50_000, "? " * 50_000, "[ # ]\n" * 20_000, '["]",\n' * 20_000,
        "\n".join(" " * i + "a:" for i in range(3_000)), "[\n{a:\n" * 20_000,
    ],
    ids=["brackets", "lists", "keys", "closed in comments", "closed in quotes", "indented", "over lines"],
)  # fmt: skip
def test_a_file_that_would_end_the_process_is_refused(project: Path, text: str) -> None:
    """libyaml's composer recurses in C: without the look before, Python dies of it and no `except` helps."""
    (project / "deep.yml").write_text(text)
    code = (
        "import sys; from pathlib import Path; from pyrunbook.project.document import read_leniently;"
        "print(read_leniently(Path(sys.argv[1])).problems[0].message)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, project / "deep.yml"], capture_output=True, text=True, check=True
    )
    assert "is nested too deeply" in done.stdout
    with pytest.raises(InvalidFile, match="nested too deeply"):
        document.read(project / "deep.yml")


def test_ordinary_depth_is_no_problem(project: Path) -> None:
    (project / "a.yml").write_text(
        "\n".join(" " * 2 * i + f"k{i}:" for i in range(60)) + " {{ x }}\n" + "# [[[[\n" * 99
    )
    assert read_leniently(project / "a.yml").problems == []


# --- whatever is in the files ------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    ["- ", "  ", "    ", "\n", "hosts: ", "tasks:", "block:", "roles: ", "{{ x }}", "[", "]", "{", "}", "&a ", "*a",
     "\t", "<<: *a", "!vault ", "!!binary ", "|\n", "'", '"', ": ", "---\n", "%YAML 9.9\n", "\ufeff", "\x00",
     "2024-99-99", "include_tasks: site.yml", "import_playbook: site.yml", "import_role: name=common", "action: ",
     "args: ", "? "]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.lists(_PIECES, max_size=30).map(lambda parts: "".join(parts).encode()), st.binary(max_size=200)))
def test_no_content_raises(project: Path, raw: bytes) -> None:
    found = outline(project, raw)
    assert len([item for play in found.plays for item in play.walk()]) >= 0
    find_playbooks(project)
    for name in ("meta/argument_specs.yml", "meta/main.yml", "defaults/main.yml", "README.md"):
        (project / "roles/common" / name).parent.mkdir(exist_ok=True)
        (project / "roles/common" / name).write_bytes(raw)
    assert read_role(project / "roles", "common").path is not None
    for problem in found.problems:
        assert problem.line >= 1
        assert problem.column >= 1


# --- roles -------------------------------------------------------------------------------------------------------


def test_a_role_says_what_it_is(project: Path) -> None:
    role = project / "roles/app"
    for folder in ("meta", "defaults"):
        (role / folder).mkdir()
    (role / "README.md").write_text("# App\n\n![badge](x.svg) <img src=y>\n\nPuts *the* `app` into\nplace.\n\nMore.\n")
    (role / "meta/main.yml").write_text("galaxy_info: {description: Not this one}\n")
    (role / "meta/argument_specs.yml").write_text(
        "argument_specs:\n  main:\n    short_description: Put the app into place\n    options:\n"
        "      app_port: {type: int, default: 80, description: [The port., More.]}\n"
        "      app_bad:\n        type: string\n        nonsense: 1\n        required: true\n"
    )
    (role / "defaults/main.yml").write_text(
        "app_port: 80\napp_name: '{{ x }}'\napp_token: !vault abc\napp_day: 2024-99-99\n"
    )
    found = read_role(project / "roles", "app")
    assert (found.description, found.summary) == ("Put the app into place", "Puts the app into place.")
    assert (found.inputs["app_port"].kind, found.inputs["app_port"].default) == ("int", 80)
    assert found.inputs["app_port"].text == "The port. More."
    assert (found.inputs["app_bad"].kind, found.inputs["app_bad"].required) == ("str", True)
    assert found.defaults == {"app_port": 80, "app_name": "{{ x }}", "app_token": "(vaulted)", "app_day": "2024-99-99"}
    assert [(p.line, p.where.rpartition(".")[2]) for p in found.problems] == [
        (7, "type"),
        (8, "nonsense"),
        (4, "app_day"),
    ]


def test_a_role_with_less_is_read_too(project: Path) -> None:
    role = project / "roles/app"
    (role / "meta").mkdir()
    (role / "meta/main.yaml").write_text(
        "galaxy_info: {description: Of Galaxy}\nargument_specs: {main: {options: {app_x: {type: bool}}}}\n"
    )
    (role / "defaults/main").mkdir(parents=True)
    (role / "defaults/main/b.yml").write_text("b: 1\n")
    (role / "defaults/main/a.yml").write_text("a: [1]\n")
    found = read_role(project / "roles", "app")
    assert (found.description, found.summary, list(found.inputs)) == ("Of Galaxy", "", ["app_x"])
    assert (found.defaults, found.problems) == ({"a": [1], "b": 1}, ())
    assert read_role(project / "roles", "nginx").inputs == {}


@pytest.mark.parametrize("name", ["", "gone", "../roles/app", "a\0b", "x" * 5000])
def test_a_role_that_is_not_there_has_no_path(project: Path, name: str) -> None:
    assert read_role(project / "roles", name).path is None
