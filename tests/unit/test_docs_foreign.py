"""Pages of anybody's project: nothing of it is run, what is broken is reported, and the rest has its page."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt
from sample_project import write as write_sample

from pyrunbook.cli.main import main

Run = Callable[..., tuple[int, str, str]]
INSTEAD = """
    import os, pathlib
    pathlib.Path(os.environ["CANARY"]).touch()
"""
FILES = {
    "site.yml": """
        ---
        - import_playbook: playbooks/web.yml
        - import_playbook: "{{ lookup('pipe', 'touch $CANARY') }}.yml"
        - hosts: db
          name: "Databases {{ lookup('pipe', 'touch $CANARY') }}"
          vars_prompt: [{name: password, prompt: Which}]
          vars: {api_token: c4n4ry}
          tasks:
            - name: Restart <database> | now `x
              service: {name: db, state: restarted}
              when: "'{{ lookup(\\"pipe\\", \\"touch $CANARY\\") }}' != ''"
              tags: [restart]
            - debug: {msg: "{{ 1 | boom }}"}
    """,
    "playbooks/web.yml": """
        - hosts: "{{ target | default('web') }}"
          serial: [1, "30%"]
          become: true
          roles: [nginx, {role: app-server, tags: [app]}]
          tasks:
            - block:
                - name: Deploy
                  include_role: {name: nginx, tasks_from: deploy}
              rescue:
                - name: Go back
                  command: /opt/back
              always:
                - name: Tell
                  debug:
    """,
    "playbooks/with space & (more).yml": "- hosts: all\n  tasks: []\n",
    "playbooks/vault.yml": """
        - hosts: all
          vars:
            secret: !vault |
              $ANSIBLE_VAULT;1.1;AES256
              63c4n4ry
            text: !unsafe "{{ not a template }}"
          tasks: [{name: Say, debug: {msg: hello}}]
    """,
    "playbooks/broken.yml": "- hosts: all\n  tasks:\n    - name: One\n      debug:\n    - name: [unclosed\n",
    "playbooks/tabs.yml": "- hosts: all\n  tasks:\n\t- name: One\n",
    "playbooks/notplay.yml": "hosts: all\n",
    "playbooks/half.yml": "- hosts: all\n  tasks:\n    - include_tasks: gone.yml\n",
    "playbooks/half.meta.yml": "argument_specs:\n  Half:\n    runbook: {schema: 1}\n",
    "roles/nginx/tasks/main.yml": "- name: Install\n  apt: {name: nginx}\n",
    "roles/nginx/meta/main.yml": "galaxy_info: {description: A web server}\n",
    "roles/nginx/README.md": "# nginx\n\n![badge](x.svg)\n\nServes <b>pages</b> | fast.\n",
    "roles/app-server/meta/argument_specs.yml":
        "argument_specs: {main: {options: {app_port: {type: int, description: Where it listens | here.}}}}\n",
    "filter_plugins/boom.py": INSTEAD,
    "lookup_plugins/boom.py": INSTEAD,
    "library/service.py": INSTEAD,
    "callback_plugins/boom.py": INSTEAD,
    "conftest.py": INSTEAD,
    "ansible.cfg": "[defaults]\ninventory = hosts.py\nlibrary = library\nfilter_plugins = filter_plugins\n",
}  # fmt: skip


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that whatever of the project is run creates."""
    monkeypatch.setenv("CANARY", str(tmp_path / "it_ran"))
    return tmp_path / "it_ran"


@pytest.fixture
def project(tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "theirs"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    script = root / "hosts.py"
    script.write_text(f"#!{sys.executable}\n{textwrap.dedent(INSTEAD)}print('{{}}')\n")
    script.chmod(0o755)
    (root / "plugin.yml").write_text("plugin: boom\n")
    monkeypatch.chdir(root)
    assert not canary.exists()
    return root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "state"))

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["docs", *map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def test_the_pages_of_a_project_without_metadata(project: Path, run: Run) -> None:
    code, output, errors = run("build")
    assert code == 2, "some of its files are broken"
    assert "Traceback" not in errors
    made = {str(path.relative_to(project / "docs/runbooks")) for path in (project / "docs/runbooks").rglob("*.md")}
    assert made == {"README.md", "site.md", *(f"playbooks/{name}.md" for name in (
        "web", "with space & (more)", "vault", "broken", "tabs", "half"))}  # fmt: skip
    assert f"{len(made)} pages" in output
    site = (project / "docs/runbooks/site.md").read_text(encoding="utf-8")
    assert "- Metadata: `site.meta.yml` is not there" in site
    assert "- Rollback" in site and "- Owner" in site
    assert "- It asks for `password` in the terminal" in site
    assert "Hosts: `{{ target | default('web') }}`; serial: `1,30%`; become: `true`" in site
    assert "1. nginx ([role `nginx`](#role-nginx))" in site
    assert "        1. Go back (`command`)" in site and "        1. Tell (`debug`)" in site
    assert "Restart \\<database> | now \\`x (`service`); tags `restart`; only when" in site
    assert "A web server" in site and "Serves" in site
    assert "- `app_port` (int): Where it listens | here." in site


def test_every_page_is_sound_markdown(project: Path, run: Run) -> None:
    run("build")
    for page in (project / "docs/runbooks").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        assert [token.content[:8] for token in tokens if token.type == "html_block"] == ["<!-- Mad"], page
        inline = [child for token in tokens for child in token.children or () if child.type == "html_inline"]
        assert all(re.fullmatch(r'<a id="role-[a-z0-9-]+">|</a>', child.content) for child in inline), page
        assert "code_block" not in {token.type for token in tokens}, page
        assert text.endswith("\n") and not text.endswith("\n\n"), page


def test_the_index_links_to_each_page(project: Path, run: Run) -> None:
    from urllib.parse import unquote

    run("build")
    root = project / "docs/runbooks"
    tokens = MarkdownIt().parse((root / "README.md").read_text(encoding="utf-8"))
    links = [
        str(child.attrs["href"]) for token in tokens for child in token.children or () if child.type == "link_open"
    ]
    assert len(links) == 7
    for target in links:
        assert (root / unquote(target)).is_file(), target
    page = (root / "playbooks/with space & (more).md").read_text(encoding="utf-8")
    assert "ansible-playbook 'playbooks/with space & (more).yml' -i INVENTORY" in page


def test_nothing_of_the_project_is_run(project: Path, canary: Path, run: Run) -> None:
    run("build")
    run("check")
    run("show", "site", "--raw")
    for inventory in ("hosts.py", "plugin.yml"):
        for command in ("build", "check"):
            code, output, errors = run(command, "-i", inventory)
            assert (code, output) == (2, "")
            assert "would have to be run" in errors
    assert not canary.exists()
    assert not list(project.rglob("__pycache__"))


def test_the_canary_would_be_seen(project: Path, canary: Path) -> None:
    import subprocess

    subprocess.run([project / "hosts.py"], check=True, capture_output=True)
    assert canary.exists()


def test_what_is_broken_is_reported_and_the_rest_goes_on(project: Path, run: Run) -> None:
    code, _, errors = run("build")
    assert code == 2
    places = {line.partition(": ")[0] for line in errors.splitlines()}
    assert any(place.startswith("playbooks/broken.yml:") for place in places)
    assert any(place.startswith("playbooks/tabs.yml:3:") for place in places)
    assert any(place.startswith("playbooks/half.yml:3:") for place in places)
    assert any(place.startswith("playbooks/half.meta.yml:") for place in places)
    assert all(place.count(":") == 2 for place in places), places
    page = (project / "docs/runbooks/playbooks/broken.md").read_text(encoding="utf-8")
    assert "## Could not be read" in page and "`playbooks/broken.yml:" in page
    half = (project / "docs/runbooks/playbooks/half.md").read_text(encoding="utf-8")
    assert "- Metadata: `playbooks/half.meta.yml` cannot be used" in half
    code, _, errors_of_check = run("check")
    assert code == 2, "the pages are as they should be, and files are broken"
    assert errors_of_check == errors


@pytest.mark.parametrize(
    ("raw", "code", "said"),
    [
        (b"not: [yaml\n", 2, "2:1: not YAML: "),
        (b"# caf\xe9\nx: 1\n", 2, "1:6: not UTF-8: "),
        (b"---\n\nname: plays\nroles: []\n", 0, "3:1: is no playbook, which is a list of plays: it is a mapping"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", 0, "1:1: is no playbook, which is a list of plays: it is vaulted"),
        (b"", 0, "1:1: is no playbook, which is a list of plays: it is empty"),
        (b"- name: A list of tasks\n  debug:\n", 0, ""),
    ],
)
def test_nothing_below_playbooks_is_dropped_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, raw: bytes, code: int, said: str
) -> None:
    """What is broken fails; what may be right, and has no page, is said; the others have their pages."""
    monkeypatch.chdir(tmp_path)
    for name in ("playbooks/odd.yml", "odd.yml", "group_vars/all.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "playbooks/whole.yml").write_text("- hosts: all\n")
    found, _, errors = run("build")
    assert found == code, errors
    assert errors.startswith(f"playbooks/odd.yml:{said}" if said else "")
    assert len(errors.splitlines()) <= 2, "those at the top and of group_vars may be anything"
    assert (tmp_path / "docs/runbooks/playbooks/whole.md").is_file()


def test_a_playbook_that_is_named_and_is_none_is_refused(project: Path, run: Run) -> None:
    code, _, errors = run("build", "playbooks/notplay")
    assert code == 2
    assert "playbooks/notplay.yml:1:1: is no playbook, which is a list of plays: it is a mapping" in errors


def test_a_sound_project_is_sound(project: Path, run: Run) -> None:
    for name in ("broken.yml", "tabs.yml", "half.yml", "half.meta.yml", "notplay.yml"):
        (project / "playbooks" / name).unlink()
    assert run("build")[::2] == (0, "")
    assert run("check")[::2] == (0, "")


def test_no_secret_of_the_project_is_on_a_page(project: Path, run: Run) -> None:
    _, output, errors = run("build")
    text = "".join(path.read_text(encoding="utf-8") for path in (project / "docs").rglob("*.md"))
    assert "c4n4ry" not in text + output + errors


def test_only_some_runbooks_have_metadata(tmp_path: Path, run: Run) -> None:
    project = write_sample(tmp_path / "shop")
    (project / "playbooks/maintenance/extra.yml").write_text("- hosts: services\n  tasks: []\n")
    (project / "roles/drain/meta/step.yml").write_text("schema: 1\nno_such_field: x\n")
    code, _, errors = run("build", "--project", project)
    assert code == 2
    assert "roles/drain/meta/step.yml:2:1: no_such_field: unknown field" in errors
    update = (project / "docs/runbooks/maintenance/update.md").read_text(encoding="utf-8")
    assert "- Metadata: `roles/drain/meta/step.yml` cannot be used" in update
    assert "update.meta.yml" not in update
    assert "- `roles/drain/meta/step.yml:2:1`: unknown field" in update
    assert "Verify the service ([role `probe`](#role-probe))" in update
    assert "# Slow answers" in (project / "docs/runbooks/incidents/slow_answers.md").read_text(encoding="utf-8")
    index = (project / "docs/runbooks/README.md").read_text(encoding="utf-8")
    assert "- [Extra](maintenance/extra.md)" in index


PLAY = {
    "site.yml": """
        - import_playbook: more/more.yml
          vars: {speed: slow}
        - name: Everything at once
          hosts: web
          any_errors_fatal: true
          strategy: free
          environment: {http_proxy: "http://proxy:3128", API_TOKEN: c4n4ry}
          vars_prompt: [{name: really}]
          handlers:
            - name: Restart web
              debug:
              listen: web changed
          tasks:
            - name: On another host
              command: /usr/bin/drain
              delegate_to: balancer1
              run_once: true
            - name: Here
              local_action: command true
            - name: For each
              debug:
              loop: [{name: a, password: c4n4ry}, {name: b}]
              notify: web changed
            - name: Until good
              command: /bin/true
              until: r.rc == 0
              retries: 30
            - name: May fail
              command: /bin/false
              ignore_errors: true
            - name: Only a part
              import_role: {name: web, tasks_from: probe}
              vars: {db_password: c4n4ry, tries: 3}
            - name: Guarded
              block:
                - name: Change
                  command: /bin/true
                - name: Change more
                  command: /bin/true
              rescue:
                - name: Put back
                  command: /bin/true
                - name: Stop here
                  fail:
              always:
                - name: Free the lock
                  command: /bin/true
            - name: Are you sure
              pause: {prompt: really}
          roles:
            - role: web
              late: yes
    """,
    "more/more.yml": "- name: More\n  hosts: db\n  tasks: []\n",
    "roles/web/tasks/main.yml": "- name: Install it\n  debug:\n",
    "roles/web/tasks/probe.yml": "- name: Only look\n  debug:\n",
    "roles/web/handlers/main.yml": "- name: Reload\n  debug:\n",
    "roles/web/meta/main.yml": "dependencies:\n  - {role: base, hard: true}\n  - src: git+https://example.com/x\n",
    "roles/base/tasks/main.yml": "- name: Harden\n  debug:\n",
}


@pytest.fixture
def play(tmp_path: Path, run: Run) -> str:
    """The page of a playbook with everything that a task may say."""
    root = tmp_path / "play"
    for name, text in PLAY.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    code, _, errors = run("build", "--project", root, "--lang", "en")
    assert code == 0, errors
    return (root / "docs/runbooks/site.md").read_text(encoding="utf-8")


def by_markdown_it(text: str) -> str:
    return str(MarkdownIt("commonmark").render(text))


def by_python_markdown(text: str) -> str:
    """What MkDocs reads pages with: to it, a list of bullets that follows numbers goes on counting."""
    import markdown

    return str(markdown.markdown(text))


@pytest.mark.parametrize("read", [by_markdown_it, by_python_markdown])
def test_what_is_done_after_a_failure_is_no_step_of_the_way_there(play: str, read: Callable[[str], str]) -> None:
    tree = ElementTree.fromstring(f"<page>{re.sub('<!--.*?-->', '', read(play))}</page>")
    above = {child: parent for parent in tree.iter() for child in parent}

    def around(title: str) -> str:
        """The words of the item in whose list a task is."""
        item = next(each for each in tree.iter("li") if "".join(each.itertext()).lstrip().startswith(title))
        return " ".join("".join(above[above[item]].itertext()).split())

    assert around("Change more").startswith("Guarded")
    for title in ("Put back", "Stop here"):
        assert around(title).startswith("If one of these fails, in place of the rest (rescue):"), read
    assert around("Free the lock").startswith("Afterwards, in any case (always):")


def test_what_changes_what_a_task_does_is_told(play: str) -> None:
    for line in (
        "1. On another host (`command`); delegate_to: `balancer1`; run_once: `true`",
        "2. Here (`command`); delegate_to: `localhost`",
        "4. Until good (`command`); until: `r.rc == 0`; retries: `30`",
        "5. May fail (`command`); ignore_errors: `true`",
        "6. Only a part ([role `web`](#role-web-probe)); tasks_from: `probe`; with `db_password: [secret]`, `tries: 3`",
        "1. web ([role `web`](#role-web)); with `late: yes`",
        "1. base ([role `base`](#role-base)); with `hard: true`",
        "1. Restart web (`debug`); listen: `web changed`",
        "**Imports `more/more.yml`**; with `speed: slow`",
    ):
        assert f"\n{line}\n" in play, line
    assert "3. For each (`debug`); loop: `{name: a, password: [secret]}, {name: b}`; notify: `web changed`" in play
    assert "strategy: `free`; any_errors_fatal: `true`; environment: `http_proxy: http://proxy:3128" in play
    assert "c4n4ry" not in play


def test_the_tasks_of_a_role_are_told_once_where_its_anchor_is(play: str) -> None:
    whole, part = play.partition('<a id="role-web"></a>')[2], play.partition('<a id="role-web-probe"></a>')[2]
    assert "1. Install it" in whole.partition("<a id")[0] and "1. Reload" in whole.partition("<a id")[0]
    assert "1. Only look" in part.partition("<a id")[0] and "Install it" not in part.partition("<a id")[0]
    assert "These roles come first:\n\n1. base" in whole
    assert play.count("1. Harden") == play.count("1. Install it") == 1


def test_it_is_seen_where_an_import_ends(play: str) -> None:
    places = [play.index(words) for words in ("**Imports", "### More", "*End of `more/more.yml`.*", "### Everything")]
    assert places == sorted(places)


def test_a_question_is_told_as_what_ansible_does_with_it(play: str) -> None:
    """It does not hang where there is no terminal: it goes on, which is worse."""
    assert "It asks for `really` in the terminal. Without one" in play and "does not ask" in play
    assert "It waits for somebody at: Are you sure. Without a terminal Ansible does not wait" in play


@pytest.mark.parametrize("make", ["empty", "no playbooks", "unreadable"])
def test_a_project_with_nothing_to_show(tmp_path: Path, run: Run, make: str) -> None:
    project = tmp_path / "none"
    (project / "playbooks").mkdir(parents=True)
    if make == "no playbooks":
        (project / "playbooks/vars.yml").write_text("a: 1\n")
    if make == "unreadable":
        (project / "playbooks/loop.yml").symlink_to("loop.yml")
        os.mkfifo(project / "playbooks/pipe.yml")
    code, output, errors = run("build", "--project", project)
    assert (code, output) == (2, "")
    assert f"{project} has no playbook" in errors and "All directories were looked into but" in errors
    said = f"{project}/playbooks/vars.yml:1:1: is no playbook, which is a list of plays: it is a mapping\n"
    assert (said in errors) is (make == "no playbooks")
    assert not (project / "docs").exists()
