"""The figures that pyrunbook promises, measured in one run: `make bench`, or `python -m benchmarks`.

The sandbox and the stand-in Kubernetes API are those of the tests, which is why their directories are on the path.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "cluster")]
