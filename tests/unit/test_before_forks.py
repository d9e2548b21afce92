"""What is made before Ansible forks its workers is there in each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import ansible.cli, os, sys
from types import SimpleNamespace
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.plugins.loader import action_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template
from pyrunbook.plugins import before_forks

init_plugin_loader()
tasks = [SimpleNamespace(action="drain"), SimpleNamespace(action="no_such_plugin")]
before_forks.prepare(SimpleNamespace(compile=lambda: tasks, get_loader=DataLoader), [{"ansible_connection": "local"}])
known = set(sys.modules)
if os.fork() == 0:
    Templar(loader=DataLoader(), variables={"a": "x"}).template(trust_as_template("{{ a | upper is match('X') }}"))
    action_loader.get_with_context("drain", class_only=True)
    print(sorted(set(sys.modules) - known))
else:
    os.wait()
"""


def test_a_worker_imports_nothing_that_all_of_them_need() -> None:
    root = Path(__file__).resolve().parents[2]
    env = {"ANSIBLE_CONFIG": str(root / "ansible.cfg"), "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": "/tmp"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stdout + done.stderr
