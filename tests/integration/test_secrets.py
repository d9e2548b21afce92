"""No secret of an inventory, a vault, a check, a hook, a URL or the environment in anything that a run leaves or shows.

Certificates and keys have a test of their own: test_certificate_secrets.py.
"""

from __future__ import annotations

import json
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from operation import run_until_step, runs, serves
from sandbox_under_test import Sandbox
from ssh_under_test import PYTHON, Operator, SshMachine, remote_service, running, write_inventory
from watch_under_test import Watch

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SYSLOG = """
import os, syslog
def _syslog(*words):
    with open(os.environ["SECRETS_TOLD"] + ".syslog", "a") as stream:
        stream.write(f"{words}\\n")
syslog.syslog = _syslog
"""
INHERITED = ("environ", "process")
"""Where what is given in the environment of a process stands: that of the operator, and that of a hook."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SshMachine]:
    with running(tmp_path / "sshd") as started_machine:
        yield started_machine


def test_a_run_that_is_killed_and_put_back_over_ssh(sandbox: Sandbox, machine: SshMachine, tmp_path: Path) -> None:
    """Everything is asked to be shown; the plan is followed although it holds none of the secrets."""
    names = ("vaulted", "named", "query", "header", "body", "ready", "url", "environment", "proxy")
    planted = {f"what is {name}": f"{name[:3]}{secrets.token_urlsafe(18)}" for name in names}
    value = {name: planted[f"what is {name}"] for name in names}
    password = tmp_path / "password"
    password.write_text("of the vault")
    coded = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-vault")), "encrypt_string", "--vault-password-file",
            str(password), value["vaulted"],
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    service = remote_service(sandbox, machine)
    service["service_ready_check"] = {"name": "ready", "path": f"/ready?token={value['ready']}"}
    service["service_checks"] += [
        {
            "name": "orders",
            "path": f"/echo?of={value['query']}",
            "method": "POST",
            "headers": {"Authorization": "Bearer {{ from_vault }}", "X-Shop": value["header"]},
            "body": {"shop": value["body"]},
            "contains": "shop",
        }
    ]
    show = 'echo "$A $SHOP_TOKEN $SHOP_URL $DEPLOY_TOKEN $HTTPS_PROXY"; printf %s "$A" | base64 -w0'
    service["validate_preview_hooks"] = [
        {
            "name": "own check",
            "argv": ["sh", "-c", show],
            "environment": {
                "A": "{{ from_vault }}",
                "SHOP_TOKEN": value["named"],
                "SHOP_URL": f"https://me:{value['url']}@127.0.0.1:1/",
            },
        }
    ]
    there, here = (
        Watch(tmp_path / name, watched, at_home, planted_bytes)
        for planted_bytes in [{name: secret.encode() for name, secret in planted.items()}]
        for name, watched, at_home in (
            ("there", [sandbox.directory / "state"], []),
            ("here", [tmp_path / "operator"], []),
        )
    )
    # The Python of the machine tells what it starts and removes, and what it would write to the syslog.
    hook = tmp_path / "there/hook/sitecustomize.py"
    hook.write_text(hook.read_text() + SYSLOG)
    python = tmp_path / "python"
    marked = " ".join(f"{name}={shlex.quote(text)}" for name, text in there.environment.items())
    # A step's program starts Python without site, where the hook of the watch is: here it has it.
    isolated = 'while case "$1" in -E | -s | -S) true ;; *) false ;; esac; do shift; done'
    python.write_text(f'#!/bin/sh\n{isolated}\nexec env {marked} {PYTHON} "$@"\n')
    python.chmod(0o755)
    service["ansible_python_interpreter"] = str(python)
    inventory = write_inventory(tmp_path / "inventory/hosts.yml", {"agent-factory": service})
    (tmp_path / "inventory/group_vars").mkdir()
    (tmp_path / "inventory/group_vars/services.yml").write_text(f"from_vault: {coded.stdout}\n")
    operator = Operator(sandbox, tmp_path / "operator", inventory)
    operator.env |= {
        **here.environment,
        "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
        "ANSIBLE_LOG_PATH": str(tmp_path / "operator/ansible.log"),
        "DEPLOY_TOKEN": value["environment"],
        "HTTPS_PROXY": f"http://me:{value['proxy']}@127.0.0.1:1",
    }
    left = operator.home / "running"

    with there, here:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyrunbook", "maintenance", "--yes", "--json", "-vvv"], env=operator.env,
            cwd=operator.elsewhere, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            run, told = run_until_step(process, "verify")
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        here.saw("output of the one that was killed", (told + process.stdout.read()).encode())
        process.wait(30)
        assert list(left.iterdir()), "it left its inputs"
        outputs = [operator.run("history")]
        assert not [path for each in left.iterdir() for path in each.iterdir()], "the next command has removed them"
        outputs += [operator.run("recover", "-vvv")]
        assert outputs[-1].returncode == 0, outputs[-1].stdout
        assert serves(sandbox) == ("blue", "1.0.4")
        outputs += [operator.run("report", run, "--format", form) for form in ("json", "markdown")]
        outputs += [operator.run("docs", "show", "maintenance/production_update")]
        for done in outputs:
            assert done.returncode == 0, done.stderr
            here.saw("output of a command", (done.stdout + done.stderr).encode())
    assert runs(operator)[0]["outcome"] == "rolled_back"
    reported = json.loads(outputs[2].stdout)["services"][0]
    assert "not performed" not in outputs[2].stdout, "the inventory had what the plan refers to"
    shown = json.dumps([each for each in reported["evidence"] if each["step"] == "validate"])
    assert '"orders"' in shown and shown.count("[redacted]") >= 4, "the check and the hook were performed"
    kept = [*operator.home.glob("plans/*/*.json"), *sandbox.directory.glob("state/plans/*.json")]
    assert len(kept) == 2 and all("headers.X-Shop" in plan.read_text() for plan in kept)
    syslog = Path(there.environment["SECRETS_TOLD"] + ".syslog")
    there.saw("syslog of the machine", syslog.read_bytes() if syslog.exists() else b"")
    there.saw("log of sshd", machine.log().encode())
    assert not there.found(), "\n".join(there.found())
    given = ("environment", "proxy", "vaulted", "named", "url")
    expected = {f"what is {name} in {kind}" for name in given for kind in INHERITED}
    leaked = [one for one in here.found() if " ".join(one.split()[:5]) not in expected]
    assert not leaked, "\n".join(leaked)
    assert {"process", "environ", "cmdline", "file"} <= set(there.kinds), there.kinds
    assert {"process", "environ", "cmdline", "file", "output"} <= set(here.kinds), here.kinds
