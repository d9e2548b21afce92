"""6: what pages cost: a thousand runbooks, beside the tools that write a page for a role; and checking our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.figures import Figure, NotMeasured, ratio
from benchmarks.programs import Start, start

PART = 6
NAME = "pages"
SIZES = (10, 500, 1000)
ROUNDS = 3
STARTS = 5
SPEED_BOUND = 0.1  # of their time for a page: ten times as fast
# From 10 to 1000 runbooks is 2.02 times as far as from 10 to 500; what grows with the square comes out at 4.
LINEAR_BOUND = 2.5
CHECK_BOUND = 1.0
THEIRS = ("docsible==0.8.0", "aar-doc==2.4.0")
SAMPLE = ROOT / "playbooks" / "maintenance" / "production_update.yml"
# VmHWM is this program's own; the kernel's ru_maxrss keeps what the parent had before the exec.
MEASURED = """
import json, re, sys
from pyrunbook.cli.main import main
try:
    main(sys.argv[2:])
except SystemExit as ended:
    if ended.code:
        raise
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
open(sys.argv[1], "w").write(json.dumps(peak / 1024))
"""


@dataclass(frozen=True)
class Build:
    """One `docs build`: what it took, and the most memory it had, in MiB."""

    start: Start
    peak: float


def measure() -> list[Figure]:
    """Write the pages of 10, 500 and 1000 runbooks; document the same roles with the others; check our own pages."""
    with tempfile.TemporaryDirectory(prefix="pyrunbook-pages-") as directory:
        top = Path(directory)
        builds: dict[int, list[Build]] = {size: [] for size in SIZES}
        projects = {size: generate(top / str(size), size) for size in SIZES}
        roles = top / "roles"
        shutil.copytree(ROOT / "roles", roles, ignore=shutil.ignore_patterns("molecule"))
        for meta in roles.glob("*/meta"):  # aar-doc fails on a role that does not name these
            (meta / "main.yml").write_text(
                "galaxy_info: {author: us, description: A role, license: MIT, platforms: []}\n"
            )
        tools = _installed(top)
        theirs: dict[str, list[float]] = {name: [] for name in tools}
        for _ in range(ROUNDS):  # by turns: what else the machine does is the same for all
            for size, project in projects.items():
                builds[size].append(_build(project, size, top))
            for name, argv in tools.items():
                theirs[name].append(_a_page(argv, roles))
        return [*judge(builds, theirs), *_check(top)]


def generate(project: Path, size: int) -> Path:
    """A project of `size` runbooks, copies of our own update, that share our roles and our inventory."""
    category = project / "playbooks" / "maintenance"
    category.mkdir(parents=True)
    shutil.copytree(ROOT / "roles", project / "roles", ignore=shutil.ignore_patterns("molecule"))
    shutil.copytree(ROOT / "inventories" / "production", project / "inventories" / "production")
    (project / ".pyrunbook.yml").write_text("docs: {inventory: inventories/production, languages: [en]}\n")
    playbook = SAMPLE.read_text(encoding="utf-8")
    metadata = {end: SAMPLE.with_suffix(end).read_text(encoding="utf-8") for end in (".meta.yml", ".meta.fr.yml")}
    for number in range(size):
        name = f"update_{number:04}"
        (category / f"{name}.yml").write_text(playbook.replace("maintenance/production_update", f"maintenance/{name}"))
        for ending, text in metadata.items():
            (category / f"{name}{ending}").write_text(text)
    return project


def _build(project: Path, size: int, top: Path) -> Build:
    pages, peak = top / "pages", top / "peak.json"
    shutil.rmtree(pages, ignore_errors=True)
    argv = [
        sys.executable,
        "-c",
        MEASURED,
        str(peak),
        "docs",
        "build",
        "--project",
        str(project),
        "--output",
        str(pages),
    ]
    took = start(argv, dict(os.environ))
    found = len(list(pages.rglob("update_*.md")))
    if found != size:
        raise NotMeasured(f"docs build made {found} pages of {size} runbooks")
    return Build(took, json.loads(peak.read_text()))


def _installed(top: Path) -> dict[str, list[str]]:
    """The others, from PyPI in an environment of their own: name to the command, `{role}` in place of its role."""
    environment = top / "venv"
    for argv in (
        [sys.executable, "-m", "venv", str(environment)],
        [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *THEIRS],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise NotMeasured(f"{' '.join(THEIRS)} cannot be installed: {done.stderr.strip()[-500:]}")
    return {
        "docsible": [str(environment / "bin" / "docsible"), "--no-backup", "--no-docsible", "--role", "{role}"],
        "aar-doc": [str(environment / "bin" / "aar-doc"), "--output-mode", "replace", "{role}", "markdown"],
    }


def _a_page(argv: Sequence[str], roles: Path) -> float:
    """Processor time for the page of a role, in seconds: the mean of all roles, one program each, as they are used."""
    seconds = []
    for role in sorted(roles.iterdir()):
        readme = role / "README.md"
        readme.unlink(missing_ok=True)
        seconds.append(start([part.replace("{role}", str(role)) for part in argv], dict(os.environ)).processor)
        if not readme.is_file():
            raise NotMeasured(f"{Path(argv[0]).name} wrote no page for {role.name}")
    return sum(seconds) / len(seconds)


def judge(builds: dict[int, list[Build]], theirs: dict[str, list[float]]) -> list[Figure]:
    """The figures. Processor time, because it is what a page costs on a machine that is busy too."""
    few, half, many = SIZES
    seconds = {size: min(build.start.processor for build in made) for size, made in builds.items()}
    peaks = {size: min(build.peak for build in made) for size, made in builds.items()}
    rates = tuple(many / build.start.wall for build in builds[many])
    figures = [
        Figure(PART, f"pages a second, {many} runbooks", max(rates), "/s", "maximum", None, rates, "start included"),
        Figure(
            PART, "processor time, growth to 1000 / to 500 runbooks",
            (seconds[many] - seconds[few]) / (seconds[half] - seconds[few]), "x", "ratio of minimums", LINEAR_BOUND,
            note="; ".join(f"{size}: {value:.2f} s" for size, value in seconds.items()),
        ),
        Figure(
            PART, "peak memory, growth to 1000 / to 500 runbooks",
            (peaks[many] - peaks[few]) / (peaks[half] - peaks[few]), "x", "ratio of minimums", LINEAR_BOUND,
            note="; ".join(f"{size}: {value:.0f} MiB" for size, value in peaks.items()),
        ),
    ]  # fmt: skip
    ours = [build.start.processor / many for build in builds[many]]
    for name, seconds_a_page in theirs.items():
        note = f"a page: ours {min(ours) * 1000:.1f} ms, theirs {min(seconds_a_page) * 1000:.0f} ms, one program a role"
        figures.append(ratio(PART, f"a page: pyrunbook docs build / {name}", ours, seconds_a_page, SPEED_BOUND, note))
    return figures


def _check(top: Path) -> list[Figure]:
    """`docs check` of this project, in all its languages, against pages that are right; beyond Python's own start."""
    pages = str(top / "own")
    command = [sys.executable, "-m", "pyrunbook", "docs"]
    environment = dict(os.environ)
    start([*command, "build", "--output", pages], environment)
    python = min(start([sys.executable, "-c", "pass"], environment).wall for _ in range(STARTS))
    walls = tuple(start([*command, "check", "--output", pages], environment).wall - python for _ in range(STARTS))
    note = f"python -c pass: {python:.3f} s"
    return [Figure(PART, "pyrunbook docs check beyond Python", min(walls), "s", "minimum", CHECK_BOUND, walls, note)]
