"""The certificate of a test sandbox: what is deployed, what a client sees, and inventories with something wrong."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from typing import Any

from cryptography import x509
from sandbox_under_test import Sandbox

from pyrunbook.on_target import rotation_state
from pyrunbook.pki.certificate import serial_text
from pyrunbook.plugins.inventory.pyrunbook_sandbox import host_variables
from pyrunbook.sandbox import state

ROTATION = "maintenance/certificate_rotation"
FORCED = ("-e", "certificate_force=true")


def served(sandbox: Sandbox) -> str:
    """The serial that a client sees on a new connection; an error where it would refuse what is served."""
    context = ssl.create_default_context(cafile=str(sandbox.layout.trust_file))
    port = sandbox.status()["tls_port"]
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        found = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
    return serial_text(found.serial_number)


def deployed(sandbox: Sandbox) -> str:
    """The serial that is deployed."""
    return rotation_state.linked(str(sandbox.layout.certificate))


def step(sandbox: Sandbox) -> str:
    """How far the rotation has come that is under way; empty between two."""
    rotation = rotation_state.rotation(str(sandbox.layout.certificate))
    return str(rotation["step"]) if rotation else ""


def at_rest(sandbox: Sandbox) -> str:
    """The serial that is both deployed and served, while no rotation is under way and nobody holds the lock."""
    assert step(sandbox) == ""
    assert not (sandbox.directory / "state" / "lock.json").exists()
    assert served(sandbox) == deployed(sandbox)
    return deployed(sandbox)


def given(sandbox: Sandbox, **changes: Any) -> tuple[str, ...]:
    """Options that change fields of the sandbox's certificate in its inventory."""
    (certificate,) = host_variables(state.read(sandbox.directory, probe=False))["service_certificates"]
    return ("-e", json.dumps({"service_certificates": [{**certificate, **changes}]}))


def reload_command(sandbox: Sandbox) -> list[str]:
    """What has the sandbox's proxy read the pair again."""
    (certificate,) = host_variables(state.read(sandbox.directory, probe=False))["service_certificates"]
    command: list[str] = certificate["reload"]
    return command


def rotate(sandbox: Sandbox, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`pyrunbook run maintenance/certificate_rotation`, which must exit with `code`."""
    done = sandbox.run("run", ROTATION, "-i", "sandbox", "--yes", *args)
    assert done.returncode == code, f"exit {done.returncode}, wanted {code}\n{done.stdout}\n{done.stderr}"
    return done
