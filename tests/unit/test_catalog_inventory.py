"""The static reading of inventories: Ansible's precedence, ranges, what must not be run, whom to call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunbook.catalog.contacts import Channel, Contact, contacts_of
from pyrunbook.catalog.settings import read_settings
from pyrunbook.catalog.templates import SECRET, Values
from pyrunbook.errors import BadInput
from pyrunbook.project.document import VAULTED
from pyrunbook.project.inventory import NotStatic, Service, read_services
from pyrunbook.project.problem import InvalidFile

ROOT = Path(__file__).parents[2]


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    return write(
        tmp_path / "inv",
        hosts_dot_yml="""
all:
  vars: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}
services:
  vars: {b: 2, c: 2, d: 2, e: 2, f: 2}
  children:
    shops:
      vars: {c: 3, d: 3, e: 3, f: 3}
      hosts:
        shop[1:2]: {e: 5, f: 5}
""",
        group_vars__all__x_dot_yml="d: 0\nfrom_directory: yes it is\n",
        group_vars__shops_dot_yml="d: 4\ne: 4\nf: 4\n",
        host_vars__shop2_dot_yml="f: 6\n",
    )


def test_precedence_is_ansibles(layered: Path) -> None:
    found = {service.name: service.variables for service in read_services(layered)}
    assert list(found) == ["shop1", "shop2"]
    argv = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(layered), "--list"]
    # With our ansible.cfg, which facts are no variables for, each host would have an empty ansible_local besides.
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(argv, capture_output=True, check=True, timeout=60, cwd=layered, env=own)
    said = json.loads(done.stdout)
    for name, variables in found.items():
        assert variables == said["_meta"]["hostvars"][name]


def test_a_variable_knows_its_line(layered: Path) -> None:
    origins = read_services(layered)[1].origins
    assert (origins["f"].file.name, origins["f"].line) == ("shop2.yml", 1)
    assert (origins["e"].file.name, origins["e"].line) == ("hosts.yml", 10)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("hosts.ini", "[services]\na\n", NotStatic),
        ("run.sh", "#!/bin/sh\ntouch ran\n", NotStatic),
        ("x.yml", "plugin: pyrunbook_sandbox\n", NotStatic),
        ("x.yml", "- a\n", InvalidFile),
        ("x.yml", "services: {hosts: {a: {b: 2026-13-45}}}\n", InvalidFile),
        ("x.yml", "all: {hosts: {a: }}\n", BadInput),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_run(
    tmp_path: Path, name: str, text: str, kind: type[Exception]
) -> None:
    directory = tmp_path / "inventory"
    directory.mkdir()
    (directory / name).write_text(text)
    (directory / name).chmod(0o755)
    with pytest.raises(kind):
        read_services(directory)
    assert [path.name for path in directory.iterdir()] == [name]


def test_vaulted_values_stay_out(tmp_path: Path) -> None:
    source = write(
        tmp_path / "i",
        h_dot_yml="services: {hosts: {a: {open: 1, inline: !vault x}}}\n",
        host_vars__a__vault_dot_yml="$ANSIBLE_VAULT;1.1;AES256\n3030\n",
    )
    (service,) = read_services(source)
    assert service.variables == {"open": 1, "inline": VAULTED}


def test_templates_are_filled_and_secrets_are_not() -> None:
    values = Values(
        {
            "base": "/srv/{{ app }}",
            "app": "shop",
            "api_token": "hunter2",
            "url": "https://{{ app }}/?t={{ api_token }}",
        },
        {"colors": {"blue": {"unit": "{{ app }}-blue", "password": "hunter2"}}},
    )
    assert values.fill("cd {{ base }}; {{ colors.blue.unit }}") == "cd /srv/shop; shop-blue"
    for text in ("{{ url }}", "{{ colors }}", "{{ api_token }}", "{{ colors.blue.password }}"):
        assert "hunter2" not in values.fill(text)
    assert values.fill("{{ api_token }}") == SECRET
    assert values.unknown == set()


def test_what_nobody_sets_becomes_a_blank() -> None:
    values = Values({"loop": "{{ loop }}", "known": {"a": 1}})
    assert values.fill("{{ gone }} {{ other | default('x') }} {{ gone.deep['er'] }}") == "GONE x GONE"
    assert values.unknown == {"gone"}
    assert values.fill("{{ known.b }}") == "{{ known.b }}"
    assert values.fill("{{ loop }}") == "LOOP"
    assert values.fill("{{ broken") == "{{ broken"
    assert values.fill("{{ known | no_such_filter }}") == "{{ known | no_such_filter }}"


def test_a_template_reads_and_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attack = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    assert Values({}).fill(attack) == attack
    attack = "{{ cycler.__init__.__globals__.os.system('touch " + str(mark) + "') }}"
    Values({}).fill(attack)
    assert not mark.exists()


def test_whom_to_call(tmp_path: Path) -> None:
    (service,) = read_services(ROOT / "inventories/production")
    found = contacts_of(service)
    assert list(found) == ["L1", "L2", "L3", "L4", "security", "slack", "email", "pagerduty"]
    first = found["L1"]
    assert isinstance(first, Contact)
    assert first.name.in_language("fr") == "Astreinte principale"
    assert found["slack"] == Channel(kind="slack", reach="#agent-factory-incidents")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runbook_contacts: [{level: L1}]", "name"),
        ("runbook_contacts: {L1: x}", "expected a list"),
        ("runbook_contacts: [{level: L1, name: a, reach: b}, {level: L1, name: a, reach: b}]", "twice"),
    ],
)
def test_a_malformed_contact_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    source = write(tmp_path / "i", h_dot_yml="services: {hosts: {a: }}\n", group_vars__all_dot_yml=f"---\n{text}\n")
    with pytest.raises(InvalidFile, match=message) as caught:
        contacts_of(read_services(source)[0])
    assert f"{source}/group_vars/all.yml:2:1: runbook_contacts" in str(caught.value)


def test_settings_of_both_files(tmp_path: Path) -> None:
    assert read_settings(tmp_path).docs.languages == ("en",)
    (tmp_path / "pyproject.toml").write_text('[tool.pyrunbook.docs]\nlanguages = ["en", "fr"]\n')
    assert read_settings(tmp_path).docs.languages == ("en", "fr")
    (tmp_path / ".pyrunbook.yml").write_text("lint: {reviewed_within: 30d, levels: {todo: note}}\n")
    settings = read_settings(tmp_path)
    assert (settings.lint.reviewed_within.days, settings.lint.levels, settings.docs.languages) == (
        30, {"todo": "note"}, ("en",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        (".pyrunbook.yml", "docs:\n  langs: [en]\n", ".pyrunbook.yml:2:3: docs.langs: unknown field"),
        (".pyrunbook.yml", "lint:\n  levels: {a: loud}\n", ".pyrunbook.yml:2:15: lint.levels.a"),
        ("pyproject.toml", '[tool.pyrunbook.docs]\n\nlanguages = ["de"]\n', "pyproject.toml:3:1: tool.pyrunbook.docs"),
        (
            "pyproject.toml",
            "[tool.pyrunbook]\n[tool.pyrunbook.lint]\nx = 1\n",
            "pyproject.toml:3:1: tool.pyrunbook.lint.x: unknown field; the fields here are select",
        ),
        (
            "pyproject.toml",
            '[tool.pyrunbook.lint]\nlevels = { a = "note", b = "loud" }\n',
            "pyproject.toml:2:1: tool.pyrunbook.lint.levels.b: Invalid enum value 'loud'; allowed",
        ),
        (
            "pyproject.toml",
            '[tool.pyrunbook.docs]\n\n[tool.pyrunbook.lint.levels]\na = "note"\nb = "loud"\n',
            "pyproject.toml:5:1: tool.pyrunbook.lint.levels.b: Invalid enum value 'loud'; allowed",
        ),
        ("pyproject.toml", "[tool\n", "pyproject.toml:1:6: not TOML"),
    ],
)
def test_a_mistake_in_the_settings_names_its_line(tmp_path: Path, name: str, text: str, where: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidFile) as caught:
        read_settings(tmp_path)
    assert f"{tmp_path}/{where}" in str(caught.value)


def test_a_service_prints_no_origins() -> None:
    assert "origins" not in repr(Service("a", {}, {}))
