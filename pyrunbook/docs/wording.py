"""What stands on a page, said in its language: texts of the metadata, what the inventory says, values."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from pyrunbook.catalog import Text
from pyrunbook.catalog.templates import SECRET, Values
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import code, plain_text
from pyrunbook.redaction import MASK, redact, redact_text


class Wording:
    """How a page speaks: its language, and the values that fill its templates."""

    def __init__(self, values: Values, language: str) -> None:
        self.values = values
        self.language = language
        self.t = partial(label, language=language)

    def words(self, text: Text | str) -> str:
        """A text of the metadata in the page's language, templates filled, on one line; Markdown within it stays."""
        return plain_text(self._filled(text))

    def public(self, text: Text | str) -> str:
        """What the inventory says in its own words; as `words`, and without what looks like a secret."""
        return plain_text(redact_text(self._filled(text)).replace(MASK, SECRET))

    def _filled(self, text: Text | str) -> str:
        return self.values.fill(text.in_language(self.language) if isinstance(text, Text) else text)


def shown(value: Any) -> str:
    """A value as inline code, without its secrets; empty where there is nothing."""
    if value is None or value == "":
        return ""
    public = redact(value)
    return code((public if isinstance(public, str) else json.dumps(public, ensure_ascii=False)).replace(MASK, SECRET))
