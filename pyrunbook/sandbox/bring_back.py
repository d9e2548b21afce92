"""A program under the sandbox's supervisor: whenever supervisor starts, start the color that the proxy dials."""

from __future__ import annotations

import sys
from pathlib import Path

from pyrunbook.sandbox.layout import Layout
from pyrunbook.sandbox.state import settings
from pyrunbook.sandbox.supervision import Supervisor, bring_back, serving_color


def main(root: Path) -> None:
    """Bring back what should run in the sandbox at `root`."""
    layout = Layout(root)
    known = settings(layout)
    if known is None:
        return
    color = serving_color(layout, known.addresses)
    bring_back(Supervisor(Path(known.socket)), {color} if color else set())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
