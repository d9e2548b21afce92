"""Who we are to a Vault or OpenBao: a token, an AppRole, or a Kubernetes service account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyrunbook.errors import BadInput
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.secret import Secret, read_private
from pyrunbook.pki.vault_probe import VaultFault

Ask = Callable[[str, dict[str, Any], Secret | None], tuple[int, dict[str, Any]]]
"""Posts data to a path with a token or without, and gives status and answer."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True)
class Login:
    """What a login gave.

    Attributes:
        token: to be sent with every request.
        seconds: how long it lives; 0: it does not end.
        renewable: whether that can be extended.
        ours: whether the login made it: then it is revoked at the end.
    """

    token: Secret
    seconds: int
    renewable: bool
    ours: bool


class Auth(Protocol):
    """A way to log in."""

    def login(self, ask: Ask) -> Login:
        """Log in.

        Raises:
            NotIssued: the server did not let us in.
        """


@dataclass(frozen=True)
class Token:
    """A token that was made elsewhere. It is renewed, and not revoked."""

    token: Secret

    def login(self, ask: Ask) -> Login:
        """Look the token up: how long does it live?"""
        status, answer = ask("auth/token/renew-self", {}, self.token)
        if status == 200:  # renewed, and the answer says for how long
            auth = answer.get("auth") or {}
            return Login(self.token, int(auth.get("lease_duration", 0)), bool(auth.get("renewable")), ours=False)
        if status == 403:
            raise NotIssued(
                f"the {self.token!r} is not accepted",
                means="it has expired, was revoked, or never was one of this server and namespace",
                next_step="make a new one: bao token create -policy=pyrunbook -period=24h",
                kind=VaultFault.TOKEN_INVALID.value,
            )
        return Login(self.token, 0, renewable=False, ours=False)  # a root token, or one that cannot be renewed


@dataclass(frozen=True)
class AppRole:
    """A role id with a secret id, or with a token that wraps the secret id.

    A wrapped secret id can be opened once. Where it was opened before, somebody else has it, and the error says so.

    Attributes:
        role_id: names the role; no secret.
        secret_id: the secret id, or its wrapping token.
        wrapped: whether `secret_id` is a wrapping token.
        mount: where the method is mounted.
    """

    role_id: str
    secret_id: Secret
    wrapped: bool = False
    mount: str = "approle"

    def login(self, ask: Ask) -> Login:
        """Log in with the role."""
        secret = self._unwrap(ask) if self.wrapped else self.secret_id
        data = {"role_id": self.role_id, "secret_id": secret.reveal()}
        status, answer = ask(f"auth/{self.mount}/login", data, None)
        return _login(status, answer, f"AppRole {self.role_id[:8]}… at auth/{self.mount}", "the role id or the secret "
                      "id is wrong, used up, expired, or not allowed from this address",
                      f"bao write -f -wrap-ttl=5m auth/{self.mount}/role/ROLE/secret-id")  # fmt: skip

    def _unwrap(self, ask: Ask) -> Secret:
        origin = f"auth/{self.mount}/role/"
        status, answer = ask("sys/wrapping/lookup", {"token": self.secret_id.reveal()}, None)
        made_by = str((answer.get("data") or {}).get("creation_path", ""))
        if status == 200 and not (made_by.startswith(origin) and made_by.endswith("/secret-id")):
            raise NotIssued(
                f"the {self.secret_id!r} wraps what {made_by or 'an unknown path'} gave, not a secret id of {origin}",
                means="it may have been put in place of the real one; it was not opened",
                next_step="get a new one from whoever gives them out, and tell the security team",
                kind=VaultFault.WRAPPING_USED.value,
            )
        secret = ""
        if status == 200:
            status, answer = ask("sys/wrapping/unwrap", {}, self.secret_id)
            secret = str((answer.get("data") or {}).get("secret_id", ""))
        if status != 200 or not secret:
            raise NotIssued(
                f"the {self.secret_id!r} cannot be opened: it was used before, or has expired",
                means="if nobody here has used it, somebody else has: the secret id in it is known to them",
                next_step=f"bao list auth/{self.mount}/role/ROLE/secret-id, destroy what is not yours, wrap a new one",
                kind=VaultFault.WRAPPING_USED.value,
            )
        return Secret(secret, f"the {self.secret_id!r}")


@dataclass(frozen=True)
class Kubernetes:
    """The service account of the pod that this runs in.

    Attributes:
        role: of the authentication method.
        token_file: the account's token; read anew for each login, because the kubelet replaces it.
        mount: where the method is mounted.
    """

    role: str
    token_file: Path = SERVICE_ACCOUNT
    mount: str = "kubernetes"

    def login(self, ask: Ask) -> Login:
        """Log in with the account's token."""
        # The kubelet decides who may read the token in the pod.
        content = read_private(self.token_file, allowed=0o777).decode("ascii", "replace").strip()
        status, answer = ask(f"auth/{self.mount}/login", {"role": self.role, "jwt": content}, None)
        return _login(status, answer, f"role {self.role} at auth/{self.mount}", "the role is not bound to this service "
                      "account and namespace, or the server cannot ask the cluster about its token",
                      f"bao read auth/{self.mount}/role/{self.role}")  # fmt: skip


def auth_from(data: dict[str, Any]) -> Auth:
    """A way to log in, from an inventory's data; secrets come from files, never from the inventory itself.

    `{method: token, token_file: …}`, `{method: approle, role_id: …, secret_id_file: …, wrapped: true, mount: …}`,
    `{method: kubernetes, role: …, token_file: …, mount: …}`.

    Raises:
        BadInput: an unknown method or key, one that is missing, or a file that is open to others.
    """
    given = dict(data)
    method = given.pop("method", None)
    known = {
        "token": {"token_file"},
        "approle": {"role_id", "secret_id_file", "wrapped", "mount"},
        "kubernetes": {"role", "token_file", "mount"},
    }
    if method not in known:
        raise BadInput(f"unknown method {method!r} to log in: token, approle or kubernetes")
    unknown = sorted(set(given) - known[method])
    if unknown:
        raise BadInput(f"login {method}: unknown key {', '.join(unknown)}")
    try:
        if method == "token":
            return Token(Secret.from_file(Path(given["token_file"]).expanduser()))
        if method == "approle":
            secret = Secret.from_file(Path(given["secret_id_file"]).expanduser())
            mount = str(given.get("mount", "approle"))
            return AppRole(str(given["role_id"]), secret, given.get("wrapped", False) is True, mount)
        place = Path(given.get("token_file", SERVICE_ACCOUNT)).expanduser()
        return Kubernetes(str(given["role"]), place, str(given.get("mount", "kubernetes")))
    except KeyError as error:
        raise BadInput(f"login {method}: {error.args[0]} is missing") from None


def _login(status: int, answer: dict[str, Any], who: str, means: str, next_step: str) -> Login:
    auth = answer.get("auth") or {}
    if status == 200 and auth.get("client_token"):
        token = Secret(str(auth["client_token"]), "the login")
        return Login(token, int(auth.get("lease_duration", 0)), bool(auth.get("renewable")), ours=True)
    said = "; ".join(str(each) for each in answer.get("errors") or []) or f"status {status}"
    raise NotIssued(
        f"{who} is not let in: {said}", means=means, next_step=next_step, kind=VaultFault.LOGIN_REFUSED.value
    )
