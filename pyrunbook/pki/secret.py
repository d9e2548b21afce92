"""Texts that must not be shown: tokens, secret ids, passphrases."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path
from typing import NoReturn

from pyrunbook.errors import BadInput

_LONGEST = 1 << 16
"""Bytes of a secret that are read; a longer file is not one."""


class Secret:
    """A text that neither `repr`, `str`, a format string nor pickle gives away.

    Args:
        value: the secret text; must not be empty.
        origin: where it came from, for messages: a path, `the login`.
    """

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "given") -> None:
        if not value:
            raise BadInput(f"the secret from {origin} is empty")
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """The secret itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.origin}>"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled or copied")

    @classmethod
    def from_file(cls, path: Path) -> Secret:
        """The content of a file that only its owner may read, without the newline at its end.

        Raises:
            BadInput: the file is missing, open to others, empty or no text.
        """
        return cls(_text(read_private(path, limit=_LONGEST), str(path)), str(path))


def _text(content: bytes, origin: str) -> str:
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pass  # the error would carry the content
    raise BadInput(f"{origin} does not hold a text in UTF-8")


def forbid_core_dumps() -> None:
    """See that this process and its children write no core file, which would hold every key that they have read."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_private(path: Path, *, allowed: int = 0o600, limit: int = 1 << 20) -> bytes:
    """Read a file that holds a secret, after a look at who else may read it.

    The look is at the open file, so that nobody can swap it in between.

    Args:
        path: the file; a link is followed.
        allowed: permission bits that it may have; any other bit is refused.
        limit: bytes; a larger file is refused.

    Raises:
        BadInput: it is missing, unreadable, no file, open to others or too large.
    """
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            mode = stat.S_IMODE(status.st_mode)
            if not stat.S_ISREG(status.st_mode):
                raise BadInput(f"{path} is not a file")
            if mode & ~allowed:
                raise BadInput(
                    f"{path} has mode {mode:04o}, {allowed:04o} is the most allowed",
                    means="others on this machine can read or change what must stay secret; take it for known to them",
                    next_step=f"chmod {allowed:04o} {path}, and replace what it holds",
                )
            content = stream.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if len(content) > limit:
        raise BadInput(f"{path} is larger than {limit} bytes")
    return content
