"""Keys, tokens and passphrases never show: in representations, messages, tracebacks, pickles, files, children."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pki_pairs import authority, issue

from pyrunbook.errors import BadInput, PyrunbookError
from pyrunbook.pki.age_lock import Identity, Passphrase
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.pki.pair import Pair
from pyrunbook.pki.secret import Secret
from pyrunbook.pki.vault import Vault
from pyrunbook.pki.vault_auth import AppRole, Kubernetes, Login, Token, auth_from
from pyrunbook.pki.vault_probe import VaultAddress

CANARY = "hvs.canary-3f1c-do-not-show"


def chain(error: BaseException | None) -> str:
    """All that a log, a traceback with local variables or a debugger of an error could show."""
    shown = []
    while error is not None:
        shown += [str(error), repr(error), repr(error.args), repr(getattr(error, "__dict__", {}))]
        captured = traceback.TracebackException.from_exception(error, capture_locals=False)
        shown += list(captured.format())
        assert not hasattr(error, "request"), "a request holds its headers, and with them the token"
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


@pytest.mark.parametrize(
    "holder",
    [
        Secret(CANARY), Token(Secret(CANARY)), AppRole("role", Secret(CANARY), wrapped=True),
        Passphrase(Secret(CANARY)), Identity(Secret(CANARY)), Login(Secret(CANARY), 1, renewable=True, ours=True),
    ],
    ids=lambda holder: type(holder).__name__,
)  # fmt: skip
def test_what_holds_a_secret_does_not_show_it(holder: Any) -> None:
    shown = [repr(holder), str(holder), f"{holder}", f"{holder!s:>40}", repr([holder])]
    assert CANARY not in " ".join(shown)
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            take(holder)


def test_a_private_key_does_not_show_itself(tmp_path: Path) -> None:
    issued = issue(authority(tmp_path / "ca"))
    body = issued.key.pem().decode().splitlines()[1]
    shown = [repr(issued), str(issued), f"{issued.key}", repr(vars(issued)), repr([issued.key])]
    assert body not in " ".join(shown)
    assert "<private key ec-p256>" in repr(issued)
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            take(issued.key)


def test_a_session_does_not_show_its_token() -> None:
    with Vault(VaultAddress("http://127.0.0.1:9"), Token(Secret(CANARY))) as session:
        session._take(Login(Secret(CANARY), 0, renewable=False, ours=False))
        assert CANARY not in repr(session)
        assert CANARY not in repr(vars(session))
        with pytest.raises(PyrunbookError) as caught:
            session.write("pki/sign/x", {"csr": "…"})
        assert CANARY not in chain(caught.value)
        assert CANARY not in repr(vars(session._client._adapter)), "not even in between"


def broken_key(path: Path) -> None:
    path.write_text(f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n")
    PrivateKey.from_file(path)


def binary_secret(path: Path) -> None:
    path.write_bytes(b"\xff" + CANARY.encode())
    Secret.from_file(path)


def empty_secret(path: Path) -> None:
    path.write_bytes(b"\n")
    Secret.from_file(path)


def wrong_identity(path: Path) -> None:
    path.write_text(f"AGE-SECRET-KEY-1{CANARY}")
    Identity(Secret.from_file(path)).open(b"x", "y")


def unknown_method(path: Path) -> None:
    path.write_text(CANARY)
    auth_from({"method": "token", "token_file": str(path), "tokn": "x"})


@pytest.mark.parametrize("action", [broken_key, binary_secret, empty_secret, wrong_identity, unknown_method])
def test_an_error_about_a_secret_does_not_quote_it(tmp_path: Path, action: Callable[[Path], None]) -> None:
    path = tmp_path / "secret"
    path.touch(0o600)
    with pytest.raises(BadInput) as caught:
        action(path)
    assert CANARY not in chain(caught.value)


def test_logins_come_from_files_that_are_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(CANARY + "\n")
    given = auth_from({"method": "token", "token_file": str(path)})
    assert isinstance(given, Token)
    assert given.token.reveal() == CANARY
    role = auth_from({"method": "approle", "role_id": "r", "secret_id_file": str(path), "wrapped": True})
    assert isinstance(role, AppRole)
    assert (role.wrapped, role.mount) == (True, "approle")
    assert auth_from({"method": "kubernetes", "role": "r"}) == Kubernetes("r")
    path.chmod(0o640)
    with pytest.raises(BadInput, match="known to them"):
        auth_from({"method": "token", "token_file": str(path)})
    for data, said in (
        ({"method": "password"}, "unknown method 'password'"),
        ({}, "unknown method None"),
        ({"method": "approle"}, "secret_id_file is missing"),
        ({"method": "token", "token": "x"}, "unknown key token"),
    ):
        with pytest.raises(BadInput, match=said):
            auth_from(data)


def test_a_rotation_leaves_the_key_in_one_file_only(tmp_path: Path) -> None:
    """Everything that a rotation writes, looked through for the key."""
    issued = issue(authority(tmp_path / "ca"))
    pair = Pair(tmp_path / "tls")
    pair.stage("run1", issued, {"names": ["a.example"]})
    pair.activate("run1")
    pair.put_back("run1")
    body = issued.key.pem().splitlines()[1]
    holding = [path.name for path in (tmp_path / "tls").rglob("*") if path.is_file() and body in path.read_bytes()]
    assert holding == ["key.pem"]
    pair.conclude("run1")
    assert not any(body in path.read_bytes() for path in (tmp_path / "tls").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [
        ("hvac", "from pyrunbook.pki.vault import Vault; Vault(VaultAddress('https://x'), None)", "vault"),
        ("pyrage", "from pyrunbook.pki.age_lock import Recipients; Recipients(('age1',)).lock(b'')", "age"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_what_to_type(module: str, call: str, extra: str) -> None:
    program = f"""
import sys
sys.modules[{module!r}] = None
from pyrunbook.errors import BadInput
from pyrunbook.pki import backup, signing_keys, vault_health
from pyrunbook.pki.vault_probe import VaultAddress
try:
    {call}
except BadInput as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"needs the Python package {module}, which is not installed" in done.stdout
    assert f"Next: pip install 'pyrunbook[{extra}]'" in done.stdout


def test_a_process_that_crashes_leaves_no_core_file(tmp_path: Path) -> None:
    program = "from pyrunbook.pki.secret import forbid_core_dumps as f; f(); import os, resource; "
    program += "print(resource.getrlimit(resource.RLIMIT_CORE), flush=True); os.abort()"
    done = subprocess.run(
        ["sh", "-c", 'ulimit -c unlimited; exec "$0" -c "$1"', sys.executable, program],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-6, "(0, 0)\n")
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_package_imports_the_optional_libraries() -> None:
    program = """
import pkgutil, sys, importlib, pyrunbook.pki
for each in pkgutil.walk_packages(pyrunbook.pki.__path__, "pyrunbook.pki."):
    importlib.import_module(each.name)
print({"hvac", "pyrage", "requests"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
