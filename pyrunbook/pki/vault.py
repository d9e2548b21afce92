"""A session with a Vault or OpenBao: logs in when it is needed, keeps its token alive, explains what goes wrong."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from pyrunbook.pki.errors import NotIssued, missing
from pyrunbook.pki.secret import Secret
from pyrunbook.pki.vault_auth import Auth, Login
from pyrunbook.pki.vault_probe import Diagnosis, VaultAddress, VaultFault, probe

_RENEW_AT = 1 / 3
"""A token is renewed when only this share of its time is left."""
_LEAST = 30.0
"""Seconds that a token must have left when a request is made."""
_UNABLE = (429, 472, 473, 501, 502, 503, 504)
"""Statuses that are about the server, and not about what it was asked."""


class Vault:
    """A session. Use it as a context manager: a token that it has logged in for is revoked at the end.

    Raises:
        BadInput: the client library is not installed.
    """

    def __init__(self, place: VaultAddress, auth: Auth) -> None:
        try:
            import hvac
            import hvac.adapters
        except ModuleNotFoundError as error:
            raise missing(error, extra="vault", purpose="the issuer vault_pki") from None
        self.place = place
        self._auth = auth
        self._login: Login | None = None
        self._ends = 0.0
        # Every argument is given: the library would take tokens and authorities from the environment otherwise.
        self._client = hvac.Client(
            url=place.address,
            token="",
            cert=(),
            verify=str(place.ca_file) if place.ca_file else True,
            timeout=place.timeout,
            namespace=place.namespace or None,
            adapter=hvac.adapters.RawAdapter,
        )
        self._client.session.trust_env = False  # no proxy, no .netrc: the token goes to this address alone

    def __repr__(self) -> str:
        return f"<session with {self.place.address}>"

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        login, self._login = self._login, None
        if login is not None and login.ours:
            with contextlib.suppress(OSError, NotIssued):  # it ends by itself soon
                self._request("POST", "auth/token/revoke-self", {}, login.token)
        self._client.session.close()

    def read(self, path: str, **parameters: str) -> dict[str, Any]:
        """The data at a path. See `call` for what it raises."""
        return self.call("GET", path, parameters)

    def write(self, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write to a path and give the data of the answer. See `call` for what it raises."""
        return self.call("POST", path, data or {})

    def call(self, method: str, path: str, data: dict[str, Any]) -> dict[str, Any]:
        """Make one request with our token.

        Args:
            method: `GET`, `POST`, `LIST` or `DELETE`.
            path: below `/v1/`.
            data: parameters or body.

        Returns:
            `data` of the answer; empty where it has none.

        Raises:
            NotIssued: with the kind of what is wrong, what it means and what to type next.
        """
        token = self.token()
        status, answer = self._request(method, path, data, token)
        if status == 403 and self._again():
            status, answer = self._request(method, path, data, self.token())
        if status < 300:
            found = answer.get("data")
            return found if isinstance(found, dict) else {}
        raise self._explain(method, path, status, answer)

    def public(self, path: str, request: bytes | None = None, content_type: str = "") -> tuple[int, bytes]:
        """What anybody may read at a path (certificates, CRLs), or ask there with `request` (OCSP): status and body.

        Raises:
            NotIssued: the server cannot answer anybody: says why.
        """
        status, body = self._raw("GET" if request is None else "POST", path, request, None, content_type)
        found = probe(self.place) if status in _UNABLE else None
        if found is not None and not found.ok:
            raise _error(found)
        return status, body

    def token(self) -> Secret:
        """A token that lives long enough for a request: logs in, or renews, where that is needed.

        Raises:
            NotIssued: see `call`.
        """
        now = time.monotonic()
        if self._login is None:
            self._take(self._auth.login(self._ask))
        elif self._login.seconds and now > self._ends - max(_LEAST, self._login.seconds * _RENEW_AT):
            self._renew(self._login)
        assert self._login is not None  # noqa: S101  # _take has set it
        return self._login.token

    # --- parts -------------------------------------------------------------------------------------------------

    def _take(self, login: Login) -> None:
        self._login = login
        self._ends = time.monotonic() + login.seconds

    def _renew(self, login: Login) -> None:
        if login.renewable:
            status, answer = self._request("POST", "auth/token/renew-self", {}, login.token)
            auth = answer.get("auth") or {}
            seconds = int(auth.get("lease_duration", 0))
            if status == 200 and seconds > _LEAST:
                self._take(Login(login.token, seconds, bool(auth.get("renewable")), login.ours))
                return
        if login.ours or time.monotonic() >= self._ends:  # at its longest: a new login, where that makes one
            self._take(self._auth.login(self._ask))

    def _again(self) -> bool:
        """After a 403: whether a new login may help, because our token was revoked or has ended early."""
        login = self._login
        if login is None or not login.ours:
            return False
        status, _ = self._request("GET", "auth/token/lookup-self", {}, login.token)
        if status != 403:
            return False  # the token is good: it is the policy
        self._login = None
        return True

    def _ask(self, path: str, data: dict[str, Any], token: Secret | None) -> tuple[int, dict[str, Any]]:
        """For a login: distinguishes a server that does not work from one that refuses the login."""
        status, answer = self._request("POST", path, data, token)
        if status >= 500:
            raise self._explain("POST", path, status, answer)
        return status, answer

    def _request(
        self, method: str, path: str, data: dict[str, Any], token: Secret | None
    ) -> tuple[int, dict[str, Any]]:
        status, body = self._raw(method, path, data, token)
        try:
            answer = json.loads(body) if body else {}
        except ValueError:
            answer = {}
        return status, answer if isinstance(answer, dict) else {}

    def _raw(
        self, method: str, path: str, data: dict[str, Any] | bytes | None, token: Secret | None, content_type: str = ""
    ) -> tuple[int, bytes]:
        options: dict[str, Any] = {"raise_exception": False}
        if isinstance(data, bytes):
            options |= {"data": data, "headers": {"Content-Type": content_type}}
        elif method == "GET":
            options["params"] = data
        elif method == "POST":
            options["json"] = data
        self._client.token = token.reveal() if token else ""
        try:
            response = self._client.adapter.request(method, f"/v1/{path}", **options)
            return int(response.status_code), bytes(response.content)
        except OSError:  # the library's errors hold the request, and with it the token: they go no further
            pass
        finally:
            self._client.token = ""
        found = probe(self.place)
        if found.ok:
            found = Diagnosis(
                VaultFault.UNREACHABLE,
                f"{self.place.address} broke the connection at {path}, and answers again",
                "whether it has done what it was asked is not known",
                "try again",
            )
        raise _error(found)

    def _explain(self, method: str, path: str, status: int, answer: dict[str, Any]) -> NotIssued:
        """Say what is wrong, from the answer and, where that says too little, from a look at the server."""
        said = "; ".join(str(each).strip() for each in answer.get("errors") or []) or f"status {status}"
        if status in _UNABLE or "sealed" in said:
            found = probe(self.place)
            if not found.ok:
                return _error(found)
        capability = {"GET": "read", "LIST": "list", "DELETE": "delete"}.get(method, "update")
        return _error(self._judge(path, status, said, capability))

    def _judge(self, path: str, status: int, said: str, capability: str) -> Diagnosis:
        bao, mount = self.place.environment(), path.partition("/")[0]
        if "no handler for route" in said:
            return Diagnosis(
                VaultFault.WRONG_MOUNT,
                f"nothing is mounted at {mount}/ of {self.place.address}",
                "the inventory names another mount or namespace than the server has",
                f"{bao} bao secrets list",
            )
        if status == 403:
            token = self._login.token if self._login else None
            token_status, _ = self._request("GET", "auth/token/lookup-self", {}, token)
            if token_status == 403:
                return Diagnosis(
                    VaultFault.TOKEN_INVALID,
                    f"{self.place.address} does not accept our token any more",
                    "it has expired or was revoked",
                    f"{bao} bao token create -policy=pyrunbook, or look at the AppRole's token_ttl",
                )
            return Diagnosis(
                VaultFault.PERMISSION_DENIED,
                f"our policy does not allow {capability!r} on {path}",
                "the token is good, its policies lack this path, or the name is spelled otherwise in them",
                f"{bao} bao policy write pyrunbook docs/pki/openbao-policy.hcl",
            )
        if "unknown role" in said:
            return Diagnosis(
                VaultFault.WRONG_ROLE,
                f"there is no such role: {path}",
                "the inventory names another role than the server has",
                f"{bao} bao list {mount}/roles",
            )
        if "expiration of the CA certificate" in said or "beyond the expiration" in said:
            return Diagnosis(
                VaultFault.AUTHORITY_ENDS,
                f"{path}: the authority ends before the certificate would ({said})",
                "a certificate that outlives its issuer would be refused before its own end",
                f"{bao} bao read {mount}/cert/ca, then renew the authority, or ask for a shorter lifetime",
            )
        return Diagnosis(VaultFault.REJECTED, f"{path}: {said}", next_step=f"{bao} bao path-help {path}")


def _error(found: Diagnosis) -> NotIssued:
    return NotIssued(found.seen, means=found.means, next_step=found.next_step, kind=found.kind.value)
