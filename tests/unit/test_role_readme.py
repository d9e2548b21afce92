"""The READMEs of roles are made of what the roles declare; one that somebody has written is left alone."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pyrunbook.docs.role_readme import readmes

FILES = {
    "meta/argument_specs.yml": """
        argument_specs:
          main:
            short_description: Stop a color
            description: [Stops a color., "Facts: `drained`, whether it was."]
            options:
              drain_color: {type: str, required: true, choices: [blue, green], description: C(Which) one.}
              drain_timeout: {type: float, default: 120, description: Seconds | at most.}
              drain_urls: {type: list, elements: str, default: [], description: Looked at.}
              drain_token: {type: str, description: A secret., no_log: true}
    """,
    "defaults/main.yml": """
        drain_color: "{{ service_color | default('blue') }}"
        drain_timeout: 120
        drain_token: opensesame
    """,
    "meta/step.yml": """
        schema: 1
        purpose: Stop it.
        expected: It is gone.
        undo_text: Start it.
        check_mode: partial
        check_mode_why: Pods end only for real.
    """,
}
README = "roles/drain/README.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        put(tmp_path / "roles/drain" / name, textwrap.dedent(text).lstrip("\n"))
    return tmp_path


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_readme_is_made_of_inputs_defaults_and_notes(project: Path) -> None:
    text = readmes(project)[README]
    assert "# drain\n\nStops a color.\n\nFacts: `drained`, whether it was.\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `drain_color` | str: one of `blue`, `green` | `{{ service_color \\| default('blue') }}` | Which one. |",
        "| `drain_timeout` | float | `120` | Seconds \\| at most. |",
        "| `drain_urls` | list of str | `[]` | Looked at. |",
        "| `drain_token` | str | `[secret]` | A secret. |",
    ]
    assert "- name: Stop a color\n  ansible.builtin.import_role:\n    name: drain\n  tags: [drain]\n" in text
    assert "Check mode: partial: Pods end only for real." in text
    assert "opensesame" not in text and "molecule" not in text


def test_an_input_without_a_default_is_required(project: Path) -> None:
    (project / "roles/drain/defaults/main.yml").unlink()
    assert "| `drain_color` | str: one of `blue`, `green` | required |" in readmes(project)[README]


def test_one_that_somebody_has_written_is_left_alone(project: Path) -> None:
    made = readmes(project)[README]
    put(project / README, "# drain\n\nOur own words.\n")
    assert readmes(project) == {}
    put(project / README, made + "more\n")
    assert readmes(project) == {README: made}


def test_a_role_of_somebody_else_gets_none(project: Path) -> None:
    (project / "roles/drain/meta/step.yml").unlink()
    assert readmes(project) == {}


def test_a_helper_without_notes_keeps_its_readme(project: Path) -> None:
    put(project / README, readmes(project)[README])
    (project / "roles/drain/meta/step.yml").unlink()
    text = readmes(project)[README]
    assert "include_role" in text and "Check mode" not in text
