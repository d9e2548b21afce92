"""Read files that hold keys, for an encrypted backup."""

from __future__ import annotations

import base64
import os
import stat
from typing import Any

from . import CallFailed

LARGEST = 1 << 20


def private_files(paths: list[str], check_mode: bool = False) -> dict[str, Any]:  # noqa: ARG001  # it changes nothing
    """See the module `host_private_files`."""
    files = {}
    try:
        for path in paths:
            with open(path, "rb") as stream:
                status = os.fstat(stream.fileno())
                content = stream.read(LARGEST + 1)
            if not stat.S_ISREG(status.st_mode) or len(content) > LARGEST:
                raise CallFailed(f"{path} is no file of a key or a certificate")
            files[path] = [stat.S_IMODE(status.st_mode), base64.b64encode(content).decode()]
    except OSError as error:
        raise CallFailed(f"{error.filename}: {error.strerror}") from error
    return {"changed": False, "files": files}
