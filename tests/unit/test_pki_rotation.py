"""The flow of a rotation on real files, with the local authority and a server that a client connects to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pki_pairs import authority, hand_made
from tls_under_test import TlsServer

from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import going_back, rotation
from pyrunbook.pki.errors import NotServed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.pair import Pair
from pyrunbook.pki.rotation import Done
from pyrunbook.pki.served import look
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.wanted import WantedCertificate, read_certificates

NAME = "a.example"


class Killed(BaseException):
    """The process ends between two moves."""


class Machine(Pair):
    """The pair of a server that reads its files when it is told to.

    A test sets what the server does when it is told: `on_reload`; and after which move the process dies: `dies_after`.
    """

    server: TlsServer
    moves: list[str]
    on_reload: str
    dies_after: str

    @classmethod
    def beside(cls, directory: Path, server: TlsServer) -> Machine:
        made = cls(directory)
        for name, value in {"server": server, "moves": [], "on_reload": "read", "dies_after": ""}.items():
            made.set(name, value)
        return made

    def set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def reload(self) -> str:
        if self.on_reload == "fail":
            raise NotServed("the server was not reloaded: reload ended with 1")
        if self.on_reload == "read":
            if not (self.directory / "current").exists():
                raise NotServed("the server was not reloaded: no such file")
            self.server.read(self.certificate_file, self.key_file)
        return "reload ended with 0"


def dying(name: str) -> Callable[..., Any]:
    real = getattr(Machine, name)

    def move(self: Machine, *arguments: Any, **options: Any) -> Any:
        result = real(self, *arguments, **options)
        done = f"mark {arguments[1]}" if name == "mark" else name
        self.moves.append(done)
        if done == self.dies_after:
            raise Killed
        return result

    return move


for _name in ("stage", "activate", "reload", "mark", "put_back", "conclude", "reinstate"):
    setattr(Machine, _name, dying(_name))


@dataclass
class Scene:
    """A certificate, its place, its issuers and its server."""

    wanted: WantedCertificate
    store: Machine
    issuers: Issuers
    server: TlsServer
    authority: LocalAuthority

    def serial(self) -> str:
        """What a client is given and accepts; it fails where it accepts nothing."""
        (seen,) = look(self.wanted.addresses[0], roots=certificates.pem(*self.authority.trust()), timeout=2)
        assert seen.outcome.value == "pass", seen.detail
        assert seen.facts is not None
        return seen.facts.serial

    def rotate(self, run: str) -> Done:
        rotation.stage(self.wanted, self.store, self.issuers, run)
        done = rotation.deploy(self.wanted, self.store, run)
        rotation.conclude(self.store)
        return done

    def put_back(self, run: str) -> Done:
        return going_back.put_back(self.wanted, self.store, run)

    def current(self) -> str:
        return self.store.read().standing.current


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("state") / "ca"
    authority(directory)
    return directory


@pytest.fixture
def scene(tmp_path: Path, ca: Path) -> Iterator[Scene]:
    """Nothing is deployed yet; the server serves a certificate of nobody."""
    certificate, key = hand_made()
    with (
        TlsServer(Issued(certificate, (), key, "0a", ())) as server,
        Issuers({"local": {"kind": "local_ca", "directory": str(ca)}}) as issuers,
    ):
        entry = {
            "name": "public",
            "issuer": "local",
            "dns_names": [NAME],
            "lifetime": "30d",
            "overlap": "1h",
            "addresses": [f"127.0.0.1:{server.port}"],
            "server_name": NAME,
            "directory": str(tmp_path / "tls"),
        }
        (wanted,) = read_certificates([entry], issuers.names, "host")
        wanted = replace(wanted, prove_within=timedelta(seconds=0.3))
        yield Scene(wanted, Machine.beside(tmp_path / "tls", server), issuers, server, LocalAuthority(ca))


# --- when all is well -------------------------------------------------------------------------------------------------


def test_two_rotations_are_served_and_the_replaced_one_is_kept(scene: Scene) -> None:
    first = scene.rotate("run1")
    assert scene.serial() == first.serial == scene.current()
    second = scene.rotate("run2")
    assert scene.serial() == second.serial != first.serial
    (retired,) = scene.store.read().retired
    assert (retired.version, retired.run, retired.replaced_by) == (first.serial, "run2", second.serial)
    assert "1 of 1 addresses" in second.detail
    assert second.evidence["replaces"] == first.serial
    json.dumps(second.evidence)
