"""Blanks such as `<volume-name>`: whether a reader can tell from the page what to put in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyrunbook.lint.masks import BLANKS

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_GENERIC = frozenset([
    "a", "an", "the", "name", "id", "value", "key", "new", "old", "current", "some", "any", "one", "given",
    "specific", "actual", "target", "here", "address", "host", "hostname", "ip", "port", "url", "endpoint",
    "file", "filename", "path", "hash", "obj", "object", "index", "no",
])  # fmt: skip
"""Words that say nothing about what is meant."""
_READERS_OWN = frozenset([
    "branch", "region", "zone", "instructions", "question", "target", "location", "destination", "snip", "redacted",
    "your", "my", "user", "username", "password", "email", "date", "day", "time", "timestamp", "yyyy", "mm", "dd",
    "hh", "ss", "number", "count", "size", "limit", "minutes", "seconds", "hours", "days", "lines", "duration",
    "message", "comment", "reason", "description",
])  # fmt: skip
"""What the reader has or decides: nobody else can say it."""
_PRINTED = frozenset(["none", "unset", "all", "nil", "pending", "unknown", "invalid", "no value"])
"""What programs print in angle brackets."""
_SAYING = frozenset([
    "of", "from", "with", "for", "that", "which", "above", "previous", "output", "eg", "or",
])  # fmt: skip
"""Words of a blank that is a sentence by itself: `<value of the label instance>`."""
_LABELS = frozenset([
    "namespace", "pod", "node", "instance", "container", "job", "service", "persistentvolumeclaim", "pvc", "vm",
    "vmi",
])  # fmt: skip
"""What the labels of an alert name."""
_SHORT = {
    "ns": "namespace", "svc": "service", "dep": "deployment", "deploy": "deployment", "db": "database", "po": "pod",
    "cm": "configmap", "vmi": "vm", "repo": "repository", "env": "environment", "acct": "account",
}  # fmt: skip


def words_of(text: str) -> list[str]:
    """The words of a name or a text in lower case, without a plural's s: `SecurityGroups` → security, group."""
    return [_singular(word.lower()) for word in _WORD.findall(text)]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def speaks_for_itself(name: str) -> bool:
    """Whether a blank's own words say what to put in: a choice, an example, a phrase, or something of the reader's."""
    words = re.findall(r"[a-z]+", name.lower())
    if name in _PRINTED or not set(words_of(name)) - _GENERIC or all(len(word) == 1 for word in words):
        return True  # `<name>`, `<x.y.z>`: whatever the command is about
    return (
        re.search(r"[|/(]|\be\.?g\b", name) is not None
        or len(words) >= 4
        or name.lower().startswith(("your", "my"))
        or bool((_SAYING | _READERS_OWN).intersection(words))
    )


class Surroundings:
    """What a page says around a command.

    Args:
        texts: in which words are looked for.
        of_an_alert: whether the reader comes from an alert, which names what it is about.
    """

    def __init__(self, texts: Iterable[str], *, of_an_alert: bool = False) -> None:
        self._labels = _LABELS if of_an_alert else frozenset()
        said = BLANKS.sub(" ", "\n".join(texts))
        said = re.sub(r"(?<=\s)-A\b", " namespace ", said)  # kubectl get pods -A names the namespace of each
        self._words = frozenset(words_of(said))
        self._all = re.sub(r"[^a-z]", "", said.lower())
        self._initials = "".join(word[0] for word in words_of(said))

    def tell(self, name: str) -> bool:
        """Whether the page has a meaningful word of the blank: as a word, inside of one, or as initials."""
        telling = [word for word in words_of(name) if word not in _GENERIC | _READERS_OWN]
        return any(self._tells(form) for word in telling for form in (word, _SHORT.get(word, word)))

    def _tells(self, word: str) -> bool:
        if len(word) < 2:
            return False
        if word in self._words | self._labels or (len(word) >= 4 and word in self._all):
            return True
        bare = word.removesuffix("name").removesuffix("id")
        if bare != word and len(bare) >= 2:  # podname
            return self._tells(bare)
        return 2 <= len(word) <= 3 and word in self._initials
