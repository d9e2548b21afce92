"""Archive a release, the configuration and the data of a service, and prove the archive by a restore."""

from __future__ import annotations

import os
from typing import Any

from .. import archive
from . import CallFailed


def backup(root: str, parts: list[str], destination: str, check_mode: bool = False) -> dict[str, Any]:
    """See the module `host_backup`."""
    if check_mode:
        return {"changed": not os.path.exists(destination), "detail": "would back up {}".format(", ".join(parts))}
    try:
        summary = archive.create(root, parts, destination)
    except (archive.ArchiveError, OSError) as error:
        raise CallFailed(f"The backup is not sound: {error}") from error
    detail = f"{summary['files']} files, restored and compared"
    return {"changed": summary["created"], "backup": summary, "evidence": summary, "detail": detail}
