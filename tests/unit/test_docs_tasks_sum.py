"""What a page's commands by hand were compared with: the tasks, our action, and what it does on the page's platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrunbook import places
from pyrunbook.docs import tasks_sum as module

HOST = "class Host:\n    def drain(self):\n        return 1\n\n    def switch(self):\n        return 1\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("tasks/main.yml", "drain:", "drain: {color: blue}", False),
        ("tasks/main.yml", " drain:", " pyrunbook.core.drain:", True),
        ("tasks/main.yml", "---", "---\n# Gently.", True),
        ("plugins/action/drain.py", "platform.drain()", "platform.drain(now=True)", False),
        ("platforms/host.py", "drain(self):\n        return 1", "drain(self):\n        return 2", False),
        ("platforms/host.py", "switch(self):\n        return 1", "switch(self):\n        return 2", True),
        ("platforms/kubernetes.py", "return 1", "return 2", True),
    ],
)
def test_the_sum_is_of_what_the_step_does(
    file: str, old: str, new: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "package", lambda: tmp_path)
    monkeypatch.setattr(places, "collection", lambda: tmp_path)
    for name, text in {
        "tasks/main.yml": "---\n- name: Drain\n  drain:\n",
        "plugins/action/drain.py": "def act(self):\n    self.platform.drain()\n",
        "platforms/host.py": HOST,
        "platforms/kubernetes.py": HOST,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = module.tasks_sum(tmp_path / "tasks", ["host"], ["kubernetes"])
    (tmp_path / file).write_text((tmp_path / file).read_text().replace(old, new))
    module._methods.cache_clear()
    assert (module.tasks_sum(tmp_path / "tasks", ["host"], ["kubernetes"]) == before) is same
