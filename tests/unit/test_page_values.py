"""What fills the templates of pages: the inventory's values, the words for several of them, blanks for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyrunbook.catalog.page_values import page_values, read_role_defaults
from pyrunbook.catalog.templates import SECRET, Values
from pyrunbook.project.inventory import Service, read_services
from pyrunbook.project.problem import InvalidFile

ROOT = Path(__file__).parents[2]
COLORS = {
    "blue": {"address": "127.0.0.1:8101", "unit": "shop-blue"},
    "green": {"address": "127.0.0.1:8102", "unit": "shop-green"},
}


def values(**variables: Any) -> Values:
    return page_values(Service("shop", variables, {}), {}, ROOT, None)


@pytest.fixture(scope="module")
def production() -> Values:
    source = ROOT / "inventories/production"
    return page_values(read_services(source)[0], read_role_defaults(ROOT / "roles"), ROOT, source)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ kubectl }} get pods", "kubectl --context production -n agent-factory get pods"),
        ("-f {{ deploy_green_manifests }}", "-f docs/kubernetes/deployment/blue-green/$PREVIEW"),
        ("{{ service_colors.blue.deployment }}", "agent-factory-blue"),
        ('"deployment/{{ service_colors[service_active_color].deployment }}"', '"deployment/$ACTIVE_DEPLOYMENT"'),
        ("{{ service_colors[service_preview_color].url }}/ready", "$PREVIEW_URL/ready"),
        ("{{ drain_timeout }} {{ cleanup_timeout }}", "120 120"),
        ("{{ validate_release }} in {{ service_preview_color }}", "$RELEASE in $PREVIEW"),
        (
            "{{ service_preview_log }}",
            (
                'kubectl --context production -n agent-factory logs "deployment/$PREVIEW_DEPLOYMENT" '
                "--all-containers --tail=50"
            ),
        ),
        ("ask {{ runbook_channels.slack }}", "ask #agent-factory-incidents"),
        ("{{ inventory_dir }} {{ inventory_hostname }}", "inventories/production agent-factory"),
        ("-i {{ inventory_source }}", "-i inventories/production"),
    ],
)
def test_a_page_shows_what_the_inventory_knows(production: Values, template: str, shown: str) -> None:
    assert production.fill(template) == shown
    assert not production.unknown


def test_the_inventory_goes_before_the_roles_defaults() -> None:
    defaults = {"drain_timeout": 120, "drain_delay": 2}
    filled = page_values(Service("shop", {"drain_timeout": 9}, {}), defaults, ROOT, None)
    assert filled.fill("{{ drain_timeout }} {{ drain_delay }}") == "9 2"


@pytest.mark.parametrize(
    ("variables", "manager", "start", "stop", "log"),
    [
        ({}, "systemctl", "systemctl enable --now", "systemctl disable --now", "journalctl --no-pager -n 50 -u"),
        (
            {"service_systemctl_command": ["sudo", "-n", "systemctl"]},
            "sudo -n systemctl", "sudo -n systemctl enable --now", "sudo -n systemctl disable --now",
            "journalctl --no-pager -n 50 -u",
        ),
        (
            {"service_manager": "supervisor", "service_supervisor_config": "/srv/my shop/s.conf"},
            "supervisorctl -c '/srv/my shop/s.conf'", "supervisorctl -c '/srv/my shop/s.conf' start",
            "supervisorctl -c '/srv/my shop/s.conf' stop", "supervisorctl -c '/srv/my shop/s.conf' tail -5000",
        ),
        (
            {
                "service_manager": "supervisor", "service_supervisor_config": "{{ service_root }}/s.conf",
                "service_root": "/srv/shop", "service_supervisor_command": ["sudo", "supervisorctl"],
            },
            "sudo supervisorctl -c /srv/shop/s.conf", "sudo supervisorctl -c /srv/shop/s.conf start",
            "sudo supervisorctl -c /srv/shop/s.conf stop", "sudo supervisorctl -c /srv/shop/s.conf tail -5000",
        ),
    ],
)  # fmt: skip
def test_the_service_managers_commands(variables: Any, manager: str, start: str, stop: str, log: str) -> None:
    filled = values(service_platform="host", service_colors=COLORS, **variables)
    assert filled.fill("{{ service_manager_command }}") == manager
    assert filled.fill("{{ service_start_command }}") == start
    assert filled.fill("{{ service_stop_command }}") == stop
    assert filled.fill("{{ service_active_log }}") == f'{log} "$ACTIVE_UNIT"'


def test_kubectl_names_the_kubeconfig_and_leaves_the_tilde_to_the_shell() -> None:
    filled = values(service_kubeconfig="~/.kube/my config", service_namespace="shop", service_context="a b")
    assert filled.fill("{{ kubectl }}") == "kubectl --kubeconfig ~/'.kube/my config' --context 'a b' -n shop"


def test_a_play_that_knows_its_colors_names_them() -> None:
    filled = values(
        service_platform="host",
        service_colors=COLORS,
        service_active_color="green",
        service_preview_color="blue",
        service_release="1.2.0",
    )
    assert filled.fill("{{ service_colors[service_preview_color].address }}") == "127.0.0.1:8101"
    assert filled.fill("{{ service_active_log }}") == 'journalctl --no-pager -n 50 -u "shop-green"'
    assert filled.fill("{{ service_release }}") == "1.2.0"


def test_a_key_of_a_color_that_is_the_organisations_own_has_a_live_name() -> None:
    colors = {color: {**entry, "log": "x"} for color, entry in COLORS.items()}
    assert values(service_colors=colors).fill("{{ service_colors[service_active_color].log }}") == "$ACTIVE_LOG"


@pytest.mark.parametrize(
    ("manifests", "options"),
    [
        ("green/", '-f "green/"'),
        ("{{ base }}/{{ service_preview_color }}", '-f "m/$PREVIEW"'),
        (["a", "{{ base }}/b.yaml"], '-f "a" -f "m/b.yaml"'),
        ("", '-f "DEPLOY_GREEN_MANIFESTS"'),
    ],
)
def test_kubectl_gets_each_of_the_manifests(manifests: Any, options: str) -> None:
    assert values(deploy_green_manifests=manifests, base="m").fill("{{ kubectl_manifests }}") == options


def test_what_is_known_of_the_live_state_is_a_shell_variable() -> None:
    defaults = {"backup_parts": ["releases/{{ service_state.colors[service_active_color].release }}", "data"]}
    filled = page_values(Service("shop", {}, {}), defaults, ROOT, None)
    assert filled.fill("{{ backup_parts | join(' ') }}") == "releases/$ACTIVE_RELEASE data"


def test_what_a_task_sets_for_its_role_goes_before_the_inventory() -> None:
    service = Service("shop", {"validate_url": "u", "service_colors": COLORS}, {})
    filled = page_values(
        service, {}, ROOT, None, {"validate_url": "{{ service_colors[service_preview_color].address }}"}
    )
    assert filled.fill("{{ validate_url }}") == "$PREVIEW_ADDRESS"


def test_without_a_service_there_are_blanks_and_general_words() -> None:
    filled = page_values(None, {"drain_timeout": 120}, ROOT, None)
    assert filled.fill("{{ kubectl }}") == "kubectl -n SERVICE_NAMESPACE"
    assert filled.fill("{{ service_stop_command }} {{ service_colors.blue.unit }}") == (
        "systemctl disable --now BLUE_UNIT"
    )
    assert filled.fill("{{ service_root }}/proxy within {{ drain_timeout }} s") == "SERVICE_ROOT/proxy within 120 s"
    assert filled.unknown == {"service_namespace", "service_root", "service_colors"}
    assert filled.fill("{{ kubectl_manifests }}") == '-f "DEPLOY_GREEN_MANIFESTS"'
    assert "deploy_green_manifests" in filled.unknown


def test_secrets_are_not_shown() -> None:
    assert values(db_password="hunter2").fill("{{ db_password }}") == SECRET


def test_paths_are_collapsed_only_where_a_template_made_them() -> None:
    filled = values(a="x/y", b="../z")
    assert filled.fill("cat {{ a }}/../../etc '{{ a }}/../q'") == "cat etc 'x/q'"
    assert filled.fill("ln -s ../../releases/{{ a }}") == "ln -s ../../releases/x/y"
    assert filled.fill("cat /{{ a }}/../q") == "cat /x/q"
    assert filled.fill("ln -s {{ b }}/../k") == "ln -s ../k"
    assert filled.fill("cat a/../b") == "cat a/../b"


def test_an_inventory_outside_the_project_is_called_as_it_was_named(tmp_path: Path) -> None:
    source = tmp_path / "inventory.yml"
    source.write_text("services: {hosts: {shop: {}}}\n")
    filled = page_values(read_services(source)[0], {}, ROOT, source)
    assert filled.fill("{{ inventory_dir }}/x {{ inventory_source }}") == f"{tmp_path}/x {source}"


def test_what_i_takes_is_the_file_where_the_inventory_is_one() -> None:
    """Its directory would be read as an inventory with all that stands in it."""
    source = ROOT / "docs/host/inventory.yml"
    assert page_values(read_services(source)[0], {}, ROOT, source).fill("{{ inventory_source }}") == (
        "docs/host/inventory.yml"
    )
    in_a_play = values(ansible_inventory_sources=["/srv/shop/inventory.yml"], inventory_dir="/srv/shop")
    assert in_a_play.fill("{{ inventory_source }}") == "/srv/shop/inventory.yml"


def test_the_defaults_of_all_roles_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    for role, text in {"a": "a_x: 1\n", "b": "---\nb_y: [1, 2]\n", "c": "c_z: {\n"}.items():
        file = tmp_path / role / "defaults" / "main.yml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    with pytest.raises(InvalidFile, match=r"c/defaults/main\.yml:2:1"):
        read_role_defaults(tmp_path)
    (tmp_path / "c/defaults/main.yml").unlink()
    assert read_role_defaults(tmp_path) == {"a_x": 1, "b_y": [1, 2]}
