"""The issuers and signing keys that an inventory names, opened when they are asked for.

The variables are `certificate_issuers` and `service_signing_keys`; docs/guides/certificates.md has their fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.pki.entries import Duration, at, named, read
from pyrunbook.pki.issuers import Issuer
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.signing_keys import SigningKeyFiles, SigningKeys, TransitKeys
from pyrunbook.pki.vault import Vault
from pyrunbook.pki.vault_auth import auth_from
from pyrunbook.pki.vault_probe import VaultAddress


class _LocalCa(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="local_ca"):
    directory: str = ""
    title: str = "pyrunbook"


class _VaultPki(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="vault_pki"):
    address: str
    role: str
    auth: dict[str, Any]
    ca_file: str = ""
    namespace: str = ""
    mount: str = "pki"
    trust_file: str = ""


class _SigningKey(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kind: Literal["files", "transit"]
    directory: str = ""
    issuer: str = ""
    key: str = ""
    mount: str = "transit"
    every: Duration = Duration(days=90)
    keep: Duration = Duration(days=365)


@dataclass(frozen=True)
class WantedSigningKey:
    """A key that signs templates.

    Attributes:
        name: its id among the service's.
        keys: where it is.
        every: how often it is rotated.
        keep: how long signatures of a replaced version stay good.
    """

    name: str
    keys: SigningKeys
    every: timedelta
    keep: timedelta


class Issuers:
    """The issuers of an inventory, each opened when it is asked for. A context manager: sessions end with it.

    Args:
        given: `certificate_issuers`.

    Raises:
        BadInput: it is malformed; names the field.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        if not isinstance(given, Mapping):
            raise BadInput("certificate_issuers does not give each issuer its name")
        self._settings: dict[str, _LocalCa | _VaultPki] = {
            str(name): read(entry, _LocalCa | _VaultPki, f"certificate_issuers.{name}") for name, entry in given.items()
        }
        self._opened: dict[tuple[str, str], Issuer] = {}
        self._vaults: dict[str, Vault] = {}
        self._sessions = ExitStack()

    def __enter__(self) -> Issuers:
        return self

    def __exit__(self, *_: object) -> None:
        self._sessions.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The issuers' names, in the inventory's order."""
        return tuple(self._settings)

    def issuer(self, name: str, role: str = "") -> Issuer:
        """The issuer of that name; one and the same object however often it is asked for.

        Args:
            role: another role of a Vault than the inventory's.

        Raises:
            BadInput: there is none, or what it needs (a file, a library) is missing.
        """
        settings = self._of(name)
        if isinstance(settings, _LocalCa) and not role:
            directory = Path(settings.directory).expanduser() if settings.directory else places.home() / "pki" / name
            return self._opened.setdefault((name, role), LocalAuthority(directory, settings.title))
        vault, settings = self.vault(name), self._vault_settings(name)
        from pyrunbook.pki.issuers.vault_pki import VaultPki

        trust = Path(settings.trust_file).expanduser() if settings.trust_file else None
        opened = VaultPki(vault, role or settings.role, mount=settings.mount, trust_file=trust)
        return self._opened.setdefault((name, role), opened)

    def vault(self, name: str) -> Vault:
        """The session with the Vault of that issuer; it logs in when it is first needed.

        Raises:
            BadInput: the issuer is no Vault, or what it needs is missing.
        """
        settings = self._vault_settings(name)
        if name not in self._vaults:
            ca_file = Path(settings.ca_file).expanduser() if settings.ca_file else None
            place = at(f"certificate_issuers.{name}", VaultAddress, settings.address, settings.namespace, ca_file)
            auth = at(f"certificate_issuers.{name}.auth", auth_from, settings.auth)
            self._vaults[name] = self._sessions.enter_context(Vault(place, auth))
        return self._vaults[name]

    def logs_in_once(self, name: str) -> bool:
        """Whether its secret opens one login only: a wrapped secret id."""
        settings = self._of(name)
        return isinstance(settings, _VaultPki) and settings.auth.get("wrapped") is True

    def _vault_settings(self, name: str) -> _VaultPki:
        settings = self._of(name)
        if not isinstance(settings, _VaultPki):
            raise BadInput(f"certificate_issuers.{name} is no Vault (kind local_ca)")
        return settings

    def _of(self, name: str) -> _LocalCa | _VaultPki:
        if name not in self._settings:
            raise BadInput(
                f"there is no issuer {name!r} in certificate_issuers ({', '.join(self._settings) or 'empty'})"
            )
        return self._settings[name]


def read_signing_keys(given: Sequence[Any], issuers: Issuers) -> list[WantedSigningKey]:
    """Read `service_signing_keys`. Those of kind transit use the session of the issuer that they name.

    Raises:
        BadInput: a mistake, with its field.
    """
    found = []
    for index, entry in enumerate(given):
        where = f"service_signing_keys[{index}]"
        one = read(entry, _SigningKey, where)
        named(one.name, where)
        keys: SigningKeys
        if one.kind == "files":
            directory = Path(one.directory).expanduser()
            if not one.directory or not directory.is_absolute() or one.issuer or one.key:
                raise BadInput(f"{where}: kind files takes `directory`, absolute, and neither `issuer` nor `key`")
            keys = SigningKeyFiles(directory)
        else:
            if not one.issuer or not one.key or one.directory:
                raise BadInput(f"{where}: kind transit takes `issuer` and `key`, and no `directory`")
            keys = TransitKeys(at(f"{where}.issuer", issuers.vault, one.issuer), one.key, one.mount)
        found.append(WantedSigningKey(one.name, keys, one.every, one.keep))
    return found
