"""The plugins call the Python package pyrunbook, and refuse where it is missing or of another version than they are.

A collection that `ansible-galaxy collection install` has brought may stand alone; the one of the package does not.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from ansible.errors import AnsibleError

MANIFEST = Path(__file__).parent.parent / "MANIFEST.json"
"""Where the version of an installed collection stands; the package's own collection has none."""


def require_package() -> None:
    """Refuse to load a plugin that could not do its work.

    Raises:
        AnsibleError: with what to type.
    """
    if not MANIFEST.is_file():
        return
    try:
        package = metadata.version("pyrunbook")
    except metadata.PackageNotFoundError:
        package = ""
    wanted = json.loads(MANIFEST.read_text(encoding="utf-8"))["collection_info"]["version"]
    if package != wanted:
        raise AnsibleError(
            f"The collection pyrunbook.core {wanted} in {MANIFEST.parent} needs the Python package pyrunbook {wanted} "
            f"beside ansible-core; there is {package or 'none'}.\n"
            f"Next: pip install pyrunbook=={wanted}; a package brings its own collection, and this one may be removed"
        )


require_package()
