"""What locks and opens a backup: age recipients and identities, or a passphrase. Through the library pyrage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.pki.errors import missing
from pyrunbook.pki.secret import Secret


def _age() -> Any:
    try:
        import pyrage
    except ModuleNotFoundError as error:
        raise missing(error, extra="age", purpose="an encrypted backup") from None
    return pyrage


@dataclass(frozen=True)
class Passphrase:
    """One passphrase that locks and opens.

    Attributes:
        secret: from a file (`Secret.from_file`), never from an argument.
    """

    secret: Secret

    def lock(self, content: bytes) -> bytes:
        """Encrypt; takes about a second on purpose (scrypt)."""
        locked: bytes = _age().passphrase.encrypt(content, self.secret.reveal())
        return locked

    def open(self, content: bytes, origin: str) -> bytes:
        """Decrypt.

        Raises:
            BadInput: another passphrase, or a file that is damaged.
        """
        age = _age()
        return _open(lambda: age.passphrase.decrypt(content, self.secret.reveal()), age, origin, self.secret.origin)

    def __str__(self) -> str:
        return f"the passphrase from {self.secret.origin}"


@dataclass(frozen=True)
class Recipients:
    """Public keys for whom a backup is locked: nothing secret is needed to make one.

    Attributes:
        keys: `age1…`, or SSH public keys (`ssh-ed25519 …`, `ssh-rsa …`).
    """

    keys: tuple[str, ...]

    @classmethod
    def from_file(cls, path: Path) -> Recipients:
        """A file with one recipient a line; `#` begins a comment.

        Raises:
            BadInput: it cannot be read, or names no recipient.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: {getattr(error, 'strerror', None) or 'no text'}") from None
        return cls(_entries(lines, str(path)))

    def lock(self, content: bytes) -> bytes:
        """Encrypt for every one of them.

        Raises:
            BadInput: one of them is no recipient, or there is none.
        """
        age = _age()
        if not self.keys:
            raise BadInput("a backup without a recipient could never be opened: name one")
        found = []
        for number, each in enumerate(self.keys, 1):
            kind = age.ssh.Recipient if each.startswith("ssh-") else age.x25519.Recipient
            try:
                found.append(kind.from_str(each))
            except age.RecipientError:
                # Not quoted: it may be a secret key that was put here by mistake.
                raise BadInput(
                    f"recipient {number} is neither an age recipient (age1…) nor an SSH public key",
                    next_step="age-keygen -y IDENTITY_FILE prints the recipient of an identity",
                ) from None
        locked: bytes = age.encrypt(content, found)
        return locked

    def __str__(self) -> str:
        return f"{len(self.keys)} recipients" if len(self.keys) != 1 else "1 recipient"


@dataclass(frozen=True)
class Identity:
    """A secret key that opens what was locked for its recipient.

    Attributes:
        secret: the content of an identity file (`AGE-SECRET-KEY-1…`, comments allowed), or an SSH private key.
    """

    secret: Secret

    def open(self, content: bytes, origin: str) -> bytes:
        """Decrypt.

        Raises:
            BadInput: it was encrypted for another recipient, the identity is invalid, or the file is damaged.
        """
        age = _age()
        text, found = self.secret.reveal(), []
        try:
            if "PRIVATE KEY-----" in text:
                found.append(age.ssh.Identity.from_buffer(text.encode() + b"\n"))
            else:
                found += [age.x25519.Identity.from_str(e) for e in _entries(text.splitlines(), self.secret.origin)]
        except age.IdentityError:
            found = []
        if not found:
            raise BadInput(f"{self.secret.origin} holds no age identity and no SSH private key without a passphrase")
        return _open(lambda: age.decrypt(content, found), age, origin, self.secret.origin)

    def __str__(self) -> str:
        return f"the identity from {self.secret.origin}"


Lock = Passphrase | Recipients
"""What a backup is made with."""
Opener = Passphrase | Identity
"""What a backup is opened with."""


def _entries(lines: Iterable[str], origin: str) -> tuple[str, ...]:
    found = tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
    if not found:
        raise BadInput(f"{origin} is empty")
    return found


def _open(decrypt: Callable[[], bytes], age: Any, origin: str, opener: str) -> bytes:
    try:
        return decrypt()
    except age.DecryptError:
        pass
    raise BadInput(
        f"{origin} cannot be opened with what {opener} holds",
        means="it was locked with something else, or it is damaged",
    )
