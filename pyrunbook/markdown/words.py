"""Titles as people say them: without emoji, without the markup of bold type."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\N{VARIATION SELECTOR-16}\N{VARIATION SELECTOR-15}\N{ZERO WIDTH JOINER}\N{COMBINING ENCLOSING KEYCAP}"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FIRST_PICTOGRAM = 0x2300  # below it stand signs of texts, like ©, ° and №


def plain_title(text: str) -> str:
    """A title without emoji and doubled blanks."""
    kept = (character for character in text if not _is_emoji(character))
    return re.sub(r"\s+", " ", "".join(kept)).strip()


def _is_emoji(character: str) -> bool:
    code = ord(character)
    if character in _JOINERS or code in _SKIN_TONES:
        return True
    return code >= _FIRST_PICTOGRAM and unicodedata.category(character) == "So"
