"""Markdown pages as lint reads them: what is a runbook, where its steps are, waivers, links, corrections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pyrunbook.catalog.settings import Settings
from pyrunbook.errors import BadInput
from pyrunbook.lint.collecting import Linted, collect
from pyrunbook.lint.context import Context, Project
from pyrunbook.lint.fixing import fix
from pyrunbook.lint.from_markdown import from_page
from pyrunbook.lint.linting import Reported, chosen_rules, lint
from pyrunbook.lint.online import ask

Look = Callable[..., list[str]]


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., list[Reported]]:
    def found(text: str, *select: str, name: str = "page.md") -> list[Reported]:
        (tmp_path / name).write_bytes(text.encode())
        project = Project(tmp_path, Settings())
        collection = collect([tmp_path / name], project)
        context = Context(project, date(2026, 11, 21), collection.subjects)
        return lint(collection, context, chosen_rules(project.settings.lint, select))

    return found


@pytest.fixture
def look(found: Callable[..., list[Reported]]) -> Look:
    """What lint finds on a page, as `line:column rule`."""

    def look(text: str, *select: str, name: str = "page.md") -> list[str]:
        return [f"{each.at.line}:{each.at.column} {each.rule}" for each in found(text, *select, name=name)]

    return look


# --- what is a runbook -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("# Runbook: x\n\n## Procédure\n", "procedure"),
        ("# 📖 **RUNBOOK OPÉRATIONS**\n\n**Procédure :**\n", "procedure"),
        ("# Update\n\n## Prérequis\n\n## Procédure\n\n## Rollback\n", "procedure"),
        ("# KubePodCrashLooping\n\n## Meaning\n\n## Impact\n\n## Diagnosis\n\n## Mitigation\n", "alert"),
        ("# X\n\n## Meaning\n\n## Mitigation\n\n### Procedure\n\n### Verification\n\n### Prerequisites\n", "alert"),
        ("# Our runbooks\n\n## Prerequisites\n\n## How to add one\n", ""),
        ("# A library\n\n## Requirements\n\n## Troubleshooting\n\n## Contacts\n", ""),
        ("# Impact of it all\n\n## Steps\n", ""),
        ("no heading at all\n", ""),
        ("", ""),
    ],
)
def test_what_is_a_runbook(tmp_path: Path, text: str, form: str) -> None:
    file = tmp_path / "page.md"
    file.write_text(text)
    assert from_page(file).form == form


def test_a_page_that_is_no_runbook_needs_no_sections_but_sound_commands(look: Look) -> None:
    text = "# A library\n\nUse it if needed.\n\n```bash\nrm -rf build\n```\n"
    assert look(text) == ["6:1 destructive-command"]


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ("### 1. A\n\n```bash\nls\n```\n\n### 2. B\n\n```bash\nls\n```\n\n**Expected result**: files\n", ["5"]),
        ("1. A\n   ```bash\n   ls\n   ```\n2. B\n   ```bash\n   ls\n   ```\n   You should see it.\n", ["5"]),
        ("```bash\nls\n```\n\n```bash\nls -a\n```\n\nIt shows all.\n", ["6"]),
        ("### A\n\nOnly words.\n", []),
        ("### A\n\nOnly words.\n\n### Rollback\n\n```bash\nls\n```\n", []),
        ("### A\n\n```bash\nls\n```\n\n```text\nfiles\n```\n", []),
        ("### A\n\n```bash\nls\n```\n\n- [ ] There are files\n", []),
        ("### A\n\n```console\n$ ls\nfiles\n```\n\n**Résultat attendu** : des fichiers\n", []),
    ],
)
def test_a_step_with_commands_says_what_they_show(look: Look, steps: str, lines: list[str]) -> None:
    found = look(f"# Runbook: x\n\n## Procedure\n\n{steps}", "step-without-result")
    assert [each.partition(":")[0] for each in found] == lines


def test_steps_behind_a_label(look: Look) -> None:
    text = (
        "# Runbook\n\n## Update\n\n**Pré-requis :**\n- [ ] a\n\n**Procédure :**\n1. **A**\n   ```bash\n   ls\n   ```\n"
        "2. **B**\n   ```bash\n   ls\n   ```\n   **Résultat attendu** : x\n\n**Rollback :**\n```bash\nls\n```\n"
    )
    assert look(text, "step-without-result") == ["9:1 step-without-result"]


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("- **Dernière mise à jour**: 2024-01-15\n", ["5:29 obsolete"]),
        ("- **Dernière relecture** : 2024-01-15\n", ["5:28 obsolete"]),
        ("- **Last updated**: 2026-11-01\n", []),
        ("**Last reviewed:** 2024-01-15\n", ["5:20 obsolete"]),
        ("| | |\n|---|---|\n| **Last reviewed** | 2024-01-15 |\n", ["7:23 obsolete"]),
        ("- **Owner**: @x\n", ["3:1 obsolete"]),
        ("- **Last updated**: YYYY-MM-DD\n", ["3:1 obsolete"]),
        ("- **Last updated**: 2026-13-45\n", ["3:1 obsolete"]),
    ],
)
def test_when_a_page_was_reviewed(look: Look, header: str, wanted: list[str]) -> None:
    assert look(f"# Runbook\n\n## Information\n\n{header}\n## Procedure\n\nLook.\n", "obsolete") == wanted


def test_front_matter_says_when_a_page_was_reviewed(look: Look) -> None:
    assert look("---\ntitle: x\nlast_reviewed: 2024-01-15\n---\n# Runbook\n\n## Procedure\n", "obsolete") == [
        "3:16 obsolete"
    ]


def test_contacts_are_looked_at_where_people_are_called(look: Look) -> None:
    text = "# Runbook\n\n## Contacts & Escalation\n\n1. **Chef** : +33-XXX-XXX-XXX\n\n## Procedure\n\n- a@example.com\n"
    assert look(text, "dead-contact") == ["5:15 dead-contact"]


def test_a_command_between_output_is_found_in_its_line(look: Look) -> None:
    text = "# X\n\n- a\n\n  ```console\n  $ ls\n  rm -rf out\n  $ true \\\n      && rm -rf y\n  ```\n"
    assert look(text, "destructive-command") == ["9:10 destructive-command"]


def test_text_in_code_is_not_read_as_words(look: Look) -> None:
    assert (
        look("# Runbook\n\n## Procedure\n\n1. Write `if needed`, ``TODO``.\n", "vague-instruction", "unfilled-blank")
        == []
    )


def test_windows_line_ends_and_a_byte_order_mark_change_no_place(look: Look) -> None:
    text = "\ufeff# X\r\n\r\n```bash\r\nrm -rf logs\r\n```\r\n"
    assert look(text) == ["4:1 destructive-command"]


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nls",
        "````markdown\n```bash\nrm -rf x\n```\n````\n",
        "<!--",
        "[",
        "|a|\n|-|",
        "# \n## \n",
        "- \n  - ",
        "\x00",
        "> ```\n> ls",
    ],
)
def test_odd_pages_are_survived(look: Look, text: str) -> None:
    assert all("destructive" not in each for each in look(text))


# --- links -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "dead"),
    [
        ("[a](other.md)", False), ("[a](gone.md)", True), ("[a](other.md#titre-à-trouver)", False),
        ("[a](other.md#titre-a-trouver)", False), ("[a](other.md#gone)", True), ("[a](#here)", False),
        ("[a](#explicit)", False), ("[a](#gone)", True), ("[a](sub)", False), ("[a](sub/)", False),
        ("![a](picture.png)", True), ("[a](mailto:x@y.z)", False), ("[a](https://nowhere.invalid)", False),
        ("[a](/other.md)", False), ("[a](with%20blank.md)", False), ("[a][ref]\n\n[ref]: gone.md", True),
        ("[a]({{ site }}/x)", False), ("`[a](gone.md)`", False), ("[a](#twice-1)", False), ("[a](other)", False),
        ("[a](other.html)", False), ("[a](/made/by/the/site.html)", False), ("[a](/gone.md)", True),
        ("[a](../apps/elsewhere.html)", False), ("[a](gone.html)", True), ("[a](sub/../other.md)", False),
        ("[a](never/../other.md)", False), ("[a](served/)", False), ("[a](%25=%20page.url%20%25)", False),
        ("[a](#it-39-s-here)", False), ("[a](#glued)", False),
    ],
)  # fmt: skip
def test_links(look: Look, tmp_path: Path, link: str, dead: bool) -> None:
    (tmp_path / "other.md").write_text("# Titre à trouver\n")
    (tmp_path / "with blank.md").write_text("# x\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "served.html.md").write_text("# x\n")
    text = f"# Here\n\n{link}\n\n<a id='explicit'></a>\n\n## Twice\n\n## Twice\n\n## It's here\n\n###Glued\n"
    assert bool(look(text, "dead-link")) is dead


@pytest.fixture
def server() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/get")))
            self.end_headers()

        def do_HEAD(self) -> None:
            self.send_response(405 if "get" in self.path else int(self.path.strip("/")))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_pages_of_the_web_are_asked(server: str) -> None:
    urls = [f"{server}/{path}" for path in ("200", "404", "410", "403", "500", "get200", "get404", "200#x")]
    said = ask([*urls, "http://127.0.0.1:1/", "http://does-not-exist.invalid/", "mailto:x@y.z", "file:///etc/passwd"])
    assert [said(url) for url in urls] == [None, "answers 404", "answers 410", None, None, None, "answers 404", None]
    assert "does not answer" in str(said("http://127.0.0.1:1/"))
    assert said("http://does-not-exist.invalid/") is not None
    assert said("file:///etc/passwd") is None, "never asked"


# --- waivers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("```bash\nrm -rf x # pyrunbook: allow destructive-command because it is scratch\n```\n", []),
        ("```bash\n# pyrunbook: allow destructive-command because it is scratch\nrm -rf x\n```\n", []),
        ("<!-- pyrunbook: allow destructive-command because it is scratch -->\n\n```bash\nls\nrm -rf x\n```\n", []),
        ("```bash\n# pyrunbook: allow destructive-command because it is scratch\nls\nrm -rf x\n```\n",
         ["2:1 bad-waiver", "4:1 destructive-command"]),
        ("```bash\nrm -rf x # pyrunbook: allow destructive-command\n```\n",
         ["2:1 destructive-command", "2:10 bad-waiver"]),
        ("<!-- pyrunbook: allow dead-link because x -->\n\na\n\n[a](gone.md)\n", ["1:1 bad-waiver", "5:5 dead-link"]),
        ("<!-- pyrunbook: allow dead-link because x -->\n[a](gone.md)\n[b](gone.md)\n", []),
        ("[a](gone.md) <!-- pyrunbook: allow dead-link because it comes with the release -->\n", []),
        ("<!-- pyrunbook: allow dead-links because x -->\n[a](gone.md)\n", ["1:1 bad-waiver", "2:5 dead-link"]),
        ("````markdown\n<!-- pyrunbook: allow dead-link because x -->\n````\n", []),
        ("Write `<!-- pyrunbook: allow dead-link because x -->` there.\n", []),
        ("- <!-- pyrunbook: allow dead-link because x -->\n  [a](gone.md)\n", []),
    ],
)  # fmt: skip
def test_waivers_of_a_page(look: Look, text: str, wanted: list[str]) -> None:
    assert look(text) == wanted


def test_a_waiver_of_a_rule_that_is_not_asked_is_not_unused(look: Look) -> None:
    text = "<!-- pyrunbook: allow dead-link because x -->\n\nWords.\n"
    assert look(text, "bad-waiver") == []
    assert look(text, "bad-waiver", "dead-link") == ["1:1 bad-waiver"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "- hosts: all\n  # pyrunbook: allow prompt-in-play because x\n  vars_prompt:\n    - name: a\n",
            0,
        ),
        ("- hosts: all\n  vars_prompt:\n    - name: a  # pyrunbook: allow prompt-in-play because x\n", 0),
        ("# pyrunbook: allow prompt-in-play because x\n\n# more\n- hosts: all\n  vars_prompt:\n    - name: a\n", 0),
        (
            "- hosts: all\n  # pyrunbook: allow prompt-in-play because x\n  become: 1\n  vars_prompt:\n    - name: a\n",
            2,
        ),
    ],
)
def test_waivers_of_yaml(look: Look, text: str, wanted: int) -> None:
    found = look(text, "prompt-in-play", "bad-waiver", name="play.yml")
    assert len(found) == wanted, found


# --- corrections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "corrected"),
    [
        ("```\n$ ls\nfile\n```\n", "```console\n$ ls\nfile\n```\n"),
        ("```\nkubectl get pods\n```", "```bash\nkubectl get pods\n```\n"),
        ("~~~  \nls -la\n~~~\n", "~~~bash\nls -la\n~~~\n"),
        ("- a\n\n  ```\n  ls\n  ```\n", "- a\n\n  ```bash\n  ls\n  ```\n"),
        ("> ```\n> ls\n> ```\n", "> ```bash\n> ls\n> ```\n"),
        ('```\n{"a": 1}\n```\n', '```json\n{"a": 1}\n```\n'),
        ("```\r\nls\r\n```", "```bash\r\nls\r\n```\r\n"),
        ("```\nwho knows what this is\n```\n", None),
        ("```\nfind the pod that hangs\n```\n", None),
        ("```\n\n```\n", None),
        ("```yaml\na: b\n```\n", None),
        ("é ```\n", None),
    ],
)
def test_what_is_certain_is_corrected_once(
    found: Callable[..., list[Reported]], tmp_path: Path, text: str, corrected: str | None
) -> None:
    before = found(text)
    done = fix(before)
    file = tmp_path / "page.md"
    assert file.read_bytes().decode() == (corrected or text)
    assert bool(done) is (corrected is not None)
    assert fix(found(file.read_bytes().decode())) == [], "a correction leaves nothing to correct"


def test_a_correction_keeps_the_mode_and_follows_a_link(found: Callable[..., list[Reported]], tmp_path: Path) -> None:
    real = tmp_path / "real.md"
    real.write_text("")
    real.chmod(0o640)
    (tmp_path / "page.md").symlink_to(real)
    fix(found("```\nls\n```\n"))
    assert real.read_text() == "```bash\nls\n```\n"
    assert (tmp_path / "page.md").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_file_that_has_changed_since_is_left_alone(found: Callable[..., list[Reported]], tmp_path: Path) -> None:
    before = found("```   \nls\n```\n")
    (tmp_path / "page.md").write_text("```text\nls\n```\n")
    assert fix(before) == []
    assert (tmp_path / "page.md").read_text() == "```text\nls\n```\n"


def test_a_file_that_cannot_be_written_is_named(found: Callable[..., list[Reported]], tmp_path: Path) -> None:
    before = found("```\nls\n```\n")
    (tmp_path / "page.md").unlink()
    with pytest.raises(BadInput, match=r"page\.md cannot be corrected"):
        fix(before)


def test_nothing_to_lint_is_nothing_found(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    assert lint(Linted(), Context(project, date(2026, 1, 1)), chosen_rules(project.settings.lint)) == []


def test_a_long_message_is_cut_between_words(found: Callable[..., list[Reported]]) -> None:
    (one,) = found("# Runbook\n\nTODO: " + "abcdefg " * 20 + "\n", "unfilled-blank")
    assert one.message == "TODO is still to be done: " + "abcdefg " * 9 + "…"


# --- three pages as they are found in the wild --------------------------------------------------------------------

PAGES = Path(__file__).parent / "pages"


def test_a_page_without_faults_of_these_kinds_is_left_alone(look: Look) -> None:
    kinds = ("incomplete-command", "endless-wait", "missing-section", "unfilled-blank", "vague-instruction")
    assert look((PAGES / "false-positives.md").read_text(), *kinds) == []


def test_what_is_never_reached_is_told_and_a_listed_name_is_not(look: Look) -> None:
    assert look((PAGES / "endless.md").read_text()) == ["12:5 endless-wait"]


def test_what_hurts_is_not_missed(found: Callable[..., list[Reported]]) -> None:
    said = {(each.at.line, each.rule): each.message for each in found((PAGES / "misses.md").read_text())}
    assert "what a program prints" in said[13, "shell-syntax"]
    assert said[20, "destructive-command"].startswith("deletes all that ls lists")
    assert said[21, "destructive-command"].startswith("ls prints names without /var/lib/worker")
    assert said[27, "incomplete-command"].startswith("xx ")
    assert "never closed: kubectl get secret" in said[30, "incomplete-command"]
    assert "identify the root cause" in said[40, "vague-instruction"]
    assert "link the page" in said[44, "vague-instruction"]


@pytest.mark.parametrize(
    ("block", "lines"),
    [
        ("```bash\nls -l\ntotal 8K\n```\n", ["5"]),
        ("```bash\nNAME      READY   STATUS\nshop-1    1/1     Running\n```\n", ["4"]),
        ('```sh\nkubectl delete pod web-0\npod "web-0" deleted\n```\n', ["5"]),
        ("```sh\ncat <<END\ntotal 8K\nEND\n```\n", []),
        ("```console\n$ ls -l\ntotal 8K\n```\n", []),
        ("```text\ntotal 8K\n```\n", []),
        ("```\nls -l\nit's here\n```\n", []),  # nobody said that this is shell
        ("```\nls 'x\n```\n", ["4"]),
        ("```bash\nNAME=x\nTOTAL=1 ls\n```\n", []),
        ("```bash\nkubectl get x <policy name (of the release)>\ngit push origin v<version>\n```\n", []),
    ],
)
def test_output_is_no_command(look: Look, block: str, lines: list[str]) -> None:
    assert [each.partition(":")[0] for each in look(f"# X\n\n{block}", "shell-syntax")] == lines


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("Run `kubectl get pods > x and look.", ["5"]),
        ("Run `kubectl get\npods` and look.", []),
        ("Run ``ls ` x`` and look.", []),
        ("A lone ` is a grave accent.", []),
        (r"Run \`kubectl get pods.", []),
    ],
)
def test_code_that_is_never_closed(look: Look, words: str, lines: list[str]) -> None:
    assert [each.partition(":")[0] for each in look(f"# X\n\n## Y\n\n{words}\n", "incomplete-command")] == lines


_ALL_BUT_ROLLBACK = "Before you begin, log in. Verify that it answers. Ask in #ops. Known issues: none.\n"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (
            "# Runbook: x\n\n## Procedure\n\n```bash\nsystemctl restart x\n```\n",
            "prerequisites verification troubleshooting contacts",
        ),
        ("# Runbook: x\n\n## Steps\n\n```bash\nhelm upgrade x\n```\n\n" + _ALL_BUT_ROLLBACK, "rollback"),
        ("# Runbook: x\n\n## Switch it off\n\n1. Press.\n\n" + _ALL_BUT_ROLLBACK, ""),
        ("# How to build\n\n## Prerequisites\n\n## Steps\n\n## Verification\n", ""),
        ("# Incident on 2026-01-01\n\n**Impact**: all\n\n**Resolution**: restarted\n", ""),
        ("# AlertX\n\n## Meaning\n\n## Impact\n\n**To resolve it**: restart the node after a check.\n", ""),
        ("# AlertX\n\n## Meaning\n\n## Mitigation\n\nRestart it.\n", "impact diagnosis"),
    ],
)  # fmt: skip
def test_a_part_is_there_where_words_tell_it(found: Callable[..., list[Reported]], text: str, missing: str) -> None:
    said = [re.search(r"no section (\w+)", each.message) for each in found(text, "missing-section")]
    assert {each[1] for each in said if each} == set(missing.split())
