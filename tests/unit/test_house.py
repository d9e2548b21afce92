"""The house keeps its own rules (CONTRIBUTING.md): roles, playbooks, configuration, commands, exit codes."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

import pyrunbook.on_target
from pyrunbook.cli.main import COMMANDS, root
from pyrunbook.errors import ExitCode, PyrunbookError

CHECKOUT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted(path for path in (CHECKOUT / "playbooks").glob("*/*.yml") if ".meta." not in path.name)
CATEGORIES = {"deployment", "incidents", "maintenance"}
PLATFORMS = ("host", "kubernetes")
UNSPECIFIED = {"service_checks"}
"""Inputs that the role's own validation cannot look at: they name `validate_release`, which only `validate` has."""
ON_TARGET = sorted(
    path
    for folder in ("on_target", "plugins/modules")
    for path in (CHECKOUT / "pyrunbook" / folder).rglob("*.py")
    if path.name != "__init__.py"
)
SENT = {
    module.name.replace("pyrunbook.on_target", "ansible_collections.pyrunbook.core.plugins.module_utils")
    for module in pkgutil.walk_packages(pyrunbook.on_target.__path__, "pyrunbook.on_target.")
}
"""Names by which modules import what goes to the machine with them."""
TASK_KEYWORDS = {
    "always", "any_errors_fatal", "args", "async", "become", "become_user", "block", "changed_when", "check_mode",
    "delay", "delegate_to", "diff", "environment", "failed_when", "ignore_errors", "ignore_unreachable", "loop",
    "loop_control", "name", "no_log", "notify", "poll", "register", "rescue", "retries", "run_once", "tags",
    "throttle", "until", "vars", "when",
}  # fmt: skip


def load(path: Path | str) -> Any:
    return yaml.safe_load((CHECKOUT / path).read_text(encoding="utf-8"))


def defaults_of(role: str) -> dict[str, Any]:
    file = CHECKOUT / f"roles/{role}/defaults/main.yml"
    return load(file) or {} if file.is_file() else {}


def templated(value: object) -> bool:
    return "{{" in repr(value)


def options_of(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return found


def tasks_of(data: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All tasks, those inside of blocks too."""
    for task in data or []:
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part, []))
        if "block" not in task:
            yield task


ROLE_TASKS = [
    pytest.param(role, task, id=f"{role}/{path.name}: {task.get('name')}")
    for role in ROLES
    for folder in ("tasks", "handlers")
    for path in sorted((CHECKOUT / "roles" / role / folder).glob("*.yml"))
    for task in tasks_of(load(path))
]


# --- runbooks by name ---------------------------------------------------------------------------------------------

NAMES_RUNBOOKS = {
    "catalog/metadata.py": "the default of undone_by",
    "catalog/leftovers.py": "what earlier versions have copied into projects",
    "cli/certs.py": "is about these runbooks",
    "cli/main.py": "help",
    "cli/options.py": "what maintenance runs",
    "cli/unlock.py": "is about this runbook",
    "lint/calls.py": "what maintenance runs",
    "pki/": "next steps",
    "plugins/action/": "next steps",
}
"""Modules in which ids of our runbooks stand, and why. The rest finds them in the catalog, by what they declare."""


def test_the_runner_knows_no_runbook_by_name() -> None:
    ids = [f"{path.parent.name}/{path.stem}" for path in PLAYBOOKS]
    found = set()
    for path in (CHECKOUT / "pyrunbook").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if not any(name in source for name in ids):
            continue
        tree = ast.parse(source)
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in prose else ""
            if isinstance(text, str) and any(re.search(rf"{name}\b", text) for name in ids):
                found.add(str(path.relative_to(CHECKOUT / "pyrunbook")))
    assert {name for name in found if not name.startswith(tuple(NAMES_RUNBOOKS))} == set()


# --- roles -------------------------------------------------------------------------------------------------------


def steps() -> set[str]:
    """The roles that a playbook imports: those are steps; the others help steps."""
    return set(re.findall(r"import_role:\s+name: (\w+)", "\n".join(path.read_text() for path in PLAYBOOKS)))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_what_the_contract_asks_for(role: str) -> None:
    assert re.fullmatch("[a-z][a-z0-9_]*", role)  # as ansible-lint's role-name has it
    wanted = [
        "README.md", "meta/argument_specs.yml", "tasks/main.yml",
        "molecule/default/molecule.yml", "molecule/default/verify.yml",
        *(["meta/step.yml"] if role in steps() else []),
    ]  # fmt: skip
    assert [name for name in wanted if not (CHECKOUT / "roles" / role / name).is_file()] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_branches_by_platform_serves_both(role: str) -> None:
    folder = CHECKOUT / "roles" / role / "tasks"
    for path in folder.glob("*.yml"):
        for name in re.findall(r'(?:include|import)_tasks: "?(.*\{\{ service_platform \}\}.*\.yml)', path.read_text()):
            for platform in PLATFORMS:
                assert (folder / name.replace("{{ service_platform }}", platform)).is_file(), f"{path}: {name}"


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_agree(role: str) -> None:
    """Names and values: a literal default is the same in both; what has none, or a template, is `required`.

    A template that ends in `default(<literal>)` may have that literal as its default in the specs. An action takes the
    defaults of the specs, so what no task names needs no other.
    """
    defaults, options = defaults_of(role), options_of(role)
    tasks = "\n".join(path.read_text() for path in (CHECKOUT / "roles" / role / "tasks").glob("*.yml"))
    assert set(defaults) - set(options) - UNSPECIFIED == set(), "in defaults/main.yml, not in meta/argument_specs.yml"
    for name, option in options.items():
        assert option.get("description"), name
        assert option.get("type"), name
        if name in defaults and not templated(defaults[name]):
            assert not option.get("required"), f"{name} has a default"
            assert option.get("default") == defaults[name], name
        elif name in defaults and "default" in option:
            assert str(defaults[name]).endswith(f"default({option['default']!r}) }}}}"), name
        elif "default" in option:
            assert name not in tasks, f"{name} has no default for this task"
        else:
            assert option.get("required") is True, f"{name} has no literal default"
            assert "default" not in option, name


@pytest.mark.parametrize("role", ROLES)
def test_defaults_have_the_type_that_the_specs_declare(role: str) -> None:
    literal = {k: v for k, v in defaults_of(role).items() if not templated(v)}
    spec = {name: {**option, "required": False} for name, option in options_of(role).items()}
    assert ArgumentSpecValidator(spec).validate(literal).error_messages == []


def names_set_by(task: dict[str, Any]) -> Iterator[str]:
    facts = task.get("ansible.builtin.set_fact") or {}
    yield from (name for name in facts if name != "cacheable")
    if "register" in task:
        yield task["register"]
    loop_variable = task.get("loop_control", {}).get("loop_var")
    if loop_variable:
        yield loop_variable


@pytest.mark.parametrize(("role", "task"), ROLE_TASKS)
def test_a_role_sets_its_own_names_and_the_shared_ones(role: str, task: dict[str, Any]) -> None:
    """Stands in for ansible-lint's var-naming[no-role-prefix], which knows no facts that roles share."""
    for name in names_set_by(task):
        assert name.startswith((f"{role}_", f"__{role}", "service_")), name


@pytest.fixture(scope="session")
def modules() -> dict[str, Any]:
    """Argument specs of our modules by name, as each gives its own to `AnsibleModule`."""
    found: dict[str, Any] = {}
    for shipped in pkgutil.walk_packages(pyrunbook.on_target.__path__, "pyrunbook.on_target."):
        name = shipped.name.replace("pyrunbook.on_target", "ansible_collections.pyrunbook.core.plugins.module_utils")
        sys.modules[name] = importlib.import_module(shipped.name)

    class Asked(Exception):
        pass

    def record(*, argument_spec: dict[str, Any], **_: Any) -> None:
        found[path.stem] = argument_spec
        raise Asked

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(basic, "AnsibleModule", record)
        for path in (CHECKOUT / "pyrunbook/plugins/modules").glob("[!_]*.py"):
            with pytest.raises(Asked):
                runpy.run_path(str(path), run_name="__main__")
    return found


@pytest.fixture(scope="session")
def actions() -> dict[str, Any]:
    """Argument specs of our action plugins by name."""
    found = {}
    for path in (CHECKOUT / "pyrunbook/plugins/action").glob("[!_]*.py"):
        found[path.stem] = importlib.import_module(f"pyrunbook.plugins.action.{path.stem}").ActionModule.ARGUMENTS
    return found


@pytest.mark.parametrize(("role", "task"), ROLE_TASKS)
def test_a_task_calls_something_that_exists_with_arguments_that_it_takes(
    role: str, task: dict[str, Any], modules: dict[str, Any], actions: dict[str, Any]
) -> None:
    """The syntax check does not look into files that are included when a play runs; this does."""
    (action,) = set(task) - TASK_KEYWORDS
    if action.startswith("ansible.builtin."):
        assert importlib.util.find_spec(action.replace("ansible.builtin.", "ansible.modules.")), action
        return
    name = action.removeprefix("pyrunbook.core.")
    assert name != action, f"{action}: without the name of its collection it is found in no other project"
    spec = actions.get(name, modules.get(name))
    assert spec is not None, f"{action}: neither in plugins/action nor in plugins/modules"
    given = task[action] or {}
    assert set(given) - set(spec) == set(), "unknown arguments"
    assert {name for name, option in spec.items() if option.get("required")} - set(given) == set(), "missing arguments"
    for name, value in given.items():
        choices = spec[name].get("choices")
        assert not choices or templated(value) or value in choices, f"{name}: {value}"


def test_modules_are_documented_as_they_are(modules: dict[str, Any]) -> None:
    for name, spec in modules.items():
        source = (CHECKOUT / "pyrunbook/plugins/modules" / f"{name}.py").read_text()
        match = re.search(r'^DOCUMENTATION = r?"""\n(.*?)^"""', source, re.M | re.S)
        assert match is not None, f"{name} has no DOCUMENTATION"
        documented = yaml.safe_load(match.group(1))
        assert documented["module"] == name
        assert documented["description"], "ansible-doc shows no module without one"
        assert set(documented["options"]) == set(spec), name
        for option, entry in documented["options"].items():
            for word in ("type", "required", "default", "choices"):
                assert entry.get(word) == spec[option].get(word), f"{name}: {word} of {option}"


@pytest.mark.parametrize("path", ON_TARGET, ids=lambda path: path.stem)
def test_what_runs_on_a_service_machine_needs_only_python_38(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:  # relative: within what is sent
            names = [str(node.module)]
        for name in names:
            ours = name in SENT or name == "ansible.module_utils.basic"
            assert name.partition(".")[0] in sys.stdlib_module_names or ours, name


# --- playbooks ---------------------------------------------------------------------------------------------------


def test_playbooks_stand_in_their_category_with_their_metadata() -> None:
    folder = CHECKOUT / "playbooks"
    assert {path.name for path in folder.iterdir()} <= CATEGORIES
    for path in folder.glob("*/*"):
        found = re.fullmatch(r"([a-z][a-z0-9_]*)(\.meta(\.fr)?)?\.yml", path.name)
        assert found, path
        for ending in (".yml", ".meta.yml", ".meta.fr.yml"):
            assert path.with_name(found[1] + ending).is_file(), f"{path}: no {ending} beside it"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_knows_its_id_and_operates_on_services(path: Path) -> None:
    for play in load(path):
        assert play["hosts"] == "services"
        assert play["vars"]["runbook_id"] == f"{path.parent.name}/{path.stem}"


# --- configuration -----------------------------------------------------------------------------------------------


def test_the_collection_of_a_checkout_is_links_to_what_the_wheel_puts_there() -> None:
    core = CHECKOUT / "ansible_collections/pyrunbook/core"
    links = {path.relative_to(core).as_posix(): path.resolve() for path in core.glob("**/*") if path.is_symlink()}
    build = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    hook = ast.parse((CHECKOUT / "hatch_build.py").read_text())
    (twice,) = (node.value for node in hook.body if ast.unparse(node).startswith("FILES ="))  # type: ignore[attr-defined]
    put = {
        place.removeprefix("ansible_collections/pyrunbook/core/"): CHECKOUT / source
        for source, place in (build["sources"] | ast.literal_eval(twice)).items()
    }
    wanted = {name: path for name, path in put.items() if name == "roles" or name.startswith("plugins/")}
    assert links == wanted | {f"playbooks/{category}": CHECKOUT / "playbooks" / category for category in CATEGORIES}


def test_every_playbook_has_a_name_in_the_collection() -> None:
    core = CHECKOUT / "ansible_collections/pyrunbook/core/playbooks"
    named = {path.name: yaml.safe_load(path.read_text()) for path in core.glob("*.yml")}
    assert named == {
        path.name: [{"ansible.builtin.import_playbook": f"{path.parent.name}/{path.name}"}] for path in PLAYBOOKS
    }


def test_no_setting_says_where_roles_or_plugins_stand() -> None:
    settings = (CHECKOUT / "ansible.cfg").read_text()
    assert not re.search(r"^(\w+_plugins|library|module_utils|roles_path|collections_path)\b", settings, re.MULTILINE)


@pytest.mark.parametrize("path", sorted((CHECKOUT / "pyrunbook").rglob("*.py")), ids=lambda path: path.stem)
def test_nobody_imports_what_ansible_loads(path: Path) -> None:
    """It is not in the package of a wheel."""
    assert not re.search(
        r"^\s*(from|import) pyrunbook\.plugins\.(action|callback|inventory|modules)\b", path.read_text(), re.M
    )


# --- the command line --------------------------------------------------------------------------------------------


def commands(prefix: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield prefix, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(f"{prefix} {name}", below)


def test_every_command_can_be_imported_and_says_what_it_does() -> None:
    found = dict(commands("pyrunbook", root))
    for name in COMMANDS:
        assert f"pyrunbook {name}" in found
        assert COMMANDS[name][1].endswith(".")
    for name, command in found.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


def test_exit_codes_are_what_the_help_and_the_readme_say() -> None:
    codes = {int(code) for code in ExitCode}
    assert codes == {0, 1, 2, 3, 4, 5, 7, 8, 130}, "part of the interface"
    help_text = (root.help or "").partition("Exit codes:")[2]
    assert {int(number) for number in re.findall(r"\b(\d+) ", help_text)} == codes
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^#+ .*exit codes.*?$(.*?)(?=^#|\Z)", readme, re.M | re.S | re.I)
    assert section is not None, "README.md has no section on exit codes"
    assert {int(number) for number in re.findall(r"^[|*\s-]*`?(\d+)`?\b", section.group(1), re.M)} == codes


def test_every_error_has_an_exit_code_and_a_next_step_reads_as_one() -> None:
    def below(kind: type[PyrunbookError]) -> Iterator[type[PyrunbookError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    for kind in below(PyrunbookError):
        assert kind.exit_code in set(ExitCode), kind
    shown = str(PyrunbookError("It broke.", means="Nothing works.", next_step="pyrunbook doctor"))
    assert shown == "It broke.\nNothing works.\nNext: pyrunbook doctor"
