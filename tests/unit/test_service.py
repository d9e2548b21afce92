"""The contract of a service: what its inventory must say, and every mistake at once, where it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from service_variables import HOST, KUBERNETES

from pyrunbook import service
from pyrunbook.errors import BadInput
from pyrunbook.project.inventory import read_services

ROOT = Path(__file__).parents[2]


def changed(given: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The variables with another value at a dotted path; `None` takes it away."""
    top, _, rest = path.partition(".")
    if rest:
        return {**given, top: changed(given[top], rest, value)}
    if value is None:
        return {name: entry for name, entry in given.items() if name != top}
    return {**given, top: value}


def mistakes(given: dict[str, Any], sources: tuple[str, ...] = (), **more: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        service.read("shop", given, sources, **more)
    assert caught.value.exit_code == 2
    head, *told = caught.value.seen.split("\n  ")
    assert head.startswith("The inventory of shop has ")
    return told


def test_a_service_of_each_platform() -> None:
    host = service.read("shop", HOST)
    assert isinstance(host, service.HostService)
    assert (host.colors.green.address, host.update_strategy, host.systemctl_command) == (
        "[::1]:8102",
        "zero_downtime",
        (),
    )
    cluster = service.read("shop", {**KUBERNETES, "service_preview_name": "", "service_whatever": 3})
    assert isinstance(cluster, service.KubernetesService)
    assert (cluster.color_label, cluster.preview_name, cluster.colors.blue.deployment) == ("version", None, "shop-blue")


@pytest.mark.parametrize(
    "source",
    ["inventories/production", "inventories/staging", "docs/host/inventory.yml",
     "pyrunbook/scaffold/templates/project/inventories/production"],
)  # fmt: skip
def test_what_is_shipped_keeps_the_contract(source: str) -> None:
    for each in read_services(ROOT / source):
        assert service.read(each.name, each.variables) is not None


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("service_platform", "nomad", "service_platform: .*'nomad'; allowed: 'host', 'kubernetes'"),
        ("service_platform", None, "service_platform is missing"),
        ("service_root", None, "service_root is missing"),
        ("service_root", "srv/shop", "service_root: expected an absolute path below /, .*, got 'srv/shop'"),
        ("service_root", "/", "service_root: expected an absolute path below /"),
        ("service_root", "/srv/../etc", "service_root: expected an absolute path below /"),
        ("service_url", "shop.example.com", "service_url: expected an http or https URL"),
        ("service_url", "https://", "service_url: expected an http or https URL"),
        ("service_url", "http://shop:99999", "service_url: expected an http or https URL"),
        ("service_manager", "openrc", "service_manager: .*'openrc'; allowed: 'systemd', 'supervisor'"),
        ("service_manager", "supervisor", "service_supervisor_config: is missing"),
        ("service_maintenance_address", None, "service_maintenance_address is missing"),
        ("service_maintenance_address", "127.0.0.1:8101", "service_maintenance_address: is the address of a color"),
        ("service_systemctl_command", "sudo -n systemctl", "service_systemctl_command: expected a list"),
        ("service_colors", {}, "service_colors: blue is missing"),
        ("service_colors", "blue", "service_colors: expected a mapping, got the value 'blue'"),
        ("service_colors.red", {}, r"service_colors\.red: unknown field; the fields here are blue, green"),
        ("service_colors.blue.address", "127.0.0.1", "service_colors.blue.address: expected host:port, .*'127.0.0.1'"),
        ("service_colors.blue.address", "127.0.0.1:0", r"service_colors\.blue\.address: expected host:port"),
        ("service_colors.blue.address", 8101, r"service_colors\.blue\.address: expected host:port, .*got 8101"),
        ("service_colors.blue.address", "[::1]:8102", r"service_colors\.green\.address: is that of blue too"),
        ("service_colors.blue.url", "http://shop.example.com:9102", r"service_colors\.green\.url: is that of blue too"),
        ("service_colors.blue.unit", None, r"service_colors\.blue: unit is missing"),
        ("service_colors.blue.unit", "--now", r"service_colors\.blue\.unit: expected the name of a unit"),
        ("service_colors.blue.adress", "x", r"service_colors\.blue\.adress: unknown field; did you mean address\?"),
        ("service_ready_check", {"path": "/r", "staus": 1}, "service_ready_check: check '/r': unknown key staus"),
        ("service_systemctl_comand", [], "service_systemctl_comand is no .* mean service_systemctl_command"),
        ("update_strategy", "big_bang", "update_strategy: .*'zero_downtime', 'controlled_stop'"),
        ("update_window", "Sun 02:00", "update_window: the window .*Sun 02:00.* is wrong"),
        ("update_window_cutoff", 40, "update_window_cutoff: expected a duration"),
        ("update_window_exclusions", ["2026-13-01"], r"update_window_exclusions\[0\]: the exclusion .* is wrong"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_what_is_allowed(path: str, value: Any, told: str) -> None:
    assert [words for words in mistakes(changed(HOST, path, value)) if re.fullmatch(told + ".*", words)]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("service_namespace", None, "service_namespace is missing"),
        ("service_namespace", "Shop!", "service_namespace: expected the name of an object"),
        ("service_color_label", "a/b/c", "service_color_label: expected the key of a label"),
        ("service_colors.green.deployment", "shop-blue", "service_colors.green.deployment: is that of blue too"),
    ],
)
def test_mistakes_of_a_service_in_a_cluster(path: str, value: Any, told: str) -> None:
    assert [words.startswith(told) for words in mistakes(changed(KUBERNETES, path, value))] == [True]


def test_all_mistakes_are_told_at_once_each_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    variables = tmp_path / "group_vars" / "services.yml"
    variables.parent.mkdir()
    file.write_text("services:\n  hosts:\n    shop:\n      service_root: srv/shop\n")
    said = changed(changed(HOST, "service_colors.green.address", "127.0.0.1"), "service_root", None)
    variables.write_text(yaml.safe_dump(said))
    (found,) = read_services(file)
    line = variables.read_text().splitlines().index("    address: 127.0.0.1") + 1
    told = mistakes(found.variables, (str(file),))
    assert f"{file}:4:7: service_root: " in told[1]
    assert told[0].startswith(f"{variables}:{line}:5: service_colors.green.address: expected host:port")
    assert len(told) == 2
    # What -e says is no mistake of the file.
    assert mistakes({**found.variables, "service_root": "other"}, (str(file),))[1].startswith("service_root: expected")
    # What is missing is told near to where the others stand.
    variables.write_text(yaml.safe_dump(changed(HOST, "service_url", None)))
    told = mistakes(read_services(file)[0].variables, (str(file),))
    assert len(told) == 2
    assert re.match(rf"{re.escape(str(variables))}:\d+:\d+: service_url is missing", told[1])


def test_what_cannot_be_known_yet_is_no_mistake() -> None:
    """Templates, where nobody resolves them, and vaulted values."""
    given = changed(HOST, "service_root", "{{ base }}/shop")
    assert service.read("shop", changed(given, "service_url", {"__ansible_vault": "$ANSIBLE_VAULT;1.1"})) is None
    told = mistakes(given, unresolved={"service_root": "'base' is undefined"})
    assert told == ["service_root: cannot be resolved: 'base' is undefined"]


def test_a_runbook_that_does_not_touch_the_colors_needs_none() -> None:
    assert service.read("shop", {"service_platform": "host"}, complete=False) is None
    assert mistakes({"service_platform": "host", "service_url": "x"}, complete=False)[0].startswith("service_url: ")
    assert service.missing({"service_platform": "host", "service_root": ""}) == [
        "service_url", "service_colors", "service_root", "service_manager", "service_maintenance_address",
    ]  # fmt: skip


def test_a_password_in_a_url_is_not_told() -> None:
    given = changed(HOST, "service_url", "https://bob:cAnArY-3b77@shop.example.com:99999")
    assert "cAnArY" not in "".join(mistakes(given))
