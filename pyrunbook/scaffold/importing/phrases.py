"""Words of a page: their language, lengths of time, dates, windows, and how they are written into a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from textwrap import shorten

from pyrunbook.catalog import CATEGORIES
from pyrunbook.errors import BadInput
from pyrunbook.markdown.page import Definition
from pyrunbook.markdown.section_names import SectionName, plain, recognised
from pyrunbook.markdown.words import plain_title
from pyrunbook.scaffold.draft import BLANK, Words

_FRENCH = frozenset({
    "le", "la", "les", "un", "une", "des", "du", "et", "est", "sont", "pour", "par", "sur", "dans", "avec",
    "si", "en", "au", "aux", "ce", "cette", "ou", "pas", "que", "qui", "ne", "de", "à", "être",
})  # fmt: skip
_ENGLISH = frozenset({
    "the", "a", "an", "of", "and", "is", "are", "for", "by", "on", "in", "with", "if", "to", "this", "that",
    "or", "not", "be", "it", "from", "when", "which", "as", "at", "can",
})  # fmt: skip
_UNITS = {"s": r"s|sec\w*", "m": r"m|mn|min\w*", "h": r"h|hours?|hrs?|heures?", "d": r"d|days?|j|jours?"}
_LENGTH = re.compile(
    r"(?<![\w.,])(?P<number>\d{1,4})\s*(?P<unit>" + "|".join(f"(?P<{name}>{p})" for name, p in _UNITS.items()) + r")\b",
    re.IGNORECASE,
)
_DAYS = {
    "Mon": r"lundi|monday", "Tue": r"mardi|tuesday", "Wed": r"mercredi|wednesday", "Thu": r"jeudi|thursday",
    "Fri": r"vendredi|friday", "Sat": r"samedi|saturday", "Sun": r"dimanche|sunday",
    "daily": r"quotidien\w*|chaque jour",
}  # fmt: skip
_PLACES = {
    "first": r"premier|1er|1st", "second": r"deuxieme|2nd", "third": r"troisieme|3rd", "fourth": r"quatrieme|4th",
    "last": r"dernier",
}  # fmt: skip
_REFERENCE = re.compile(r"\[(?P<text>[^\[\]]+)\](?:\[(?P<label>[^\[\]]*)\])?(?![(\[:])")
_CATEGORY = {
    "incidents": r"urgence|incident|panne|echec|alert|outage|emergenc|critique|down\b|failure|disaster",
    "deployment": r"deploi|deploy|release|rollback|retour arriere|mise en production",
    "maintenance": r"maintenance|nettoyage|cleanup|rotation|backup|sauvegarde|mise a jour|upgrade|update|renew",
}
_CONDITION = re.compile(
    r"\b(?:[Ss]i(?= |l\b)|[Ss]'il|[Ii]f|[Uu]nless|[Ee]n cas d[e'\u2019]|[Ii]n case of|[Ll]e cas échéant|[Aa]u besoin"
    r"|[Oo]n failure|(?:[Ww]hen|[Aa]s|[Ww]here) (?:needed|necessary|required)"
    r"|[Oo]ptional(?:ly)?|[Oo]ptionnel|[Ff]acultatif)\b.*"
)
_ASKED = re.compile(
    r"(?i)\b(check|see|verify|determine|test|ask|find out|look|know|vérifi|voir|contrôl|détermin|regard|savoir|demand)"
)
"""Before `if` it asks whether something is so: `Check if the pod runs` is always done."""
_UNDO = re.compile(
    r"(?:(?:if|when|in case|en cas|si)\b[^,:]{0,60}[,:] *)?(?:(?:to|you can|pour|how to|then) )?"
    r"(?:undo|revert|roll(?:ing)?[ -]?back|back(?:ing)? out|put (?:it |this |that |all )?back|annuler|retablir)\b"
)
_SEVERITY = {
    "critical": r"critical|critique|p1|sev-?1", "high": r"high|haute?|elevee?|majeure?|major|p2|sev-?2",
    "medium": r"medium|moyenne?|moderee?|warning|p3|sev-?3", "low": r"low|basse?|faible|minor|mineure?|info|p4|sev-?4",
}  # fmt: skip


def language_of(text: str) -> str:
    """`fr` or `en`, by the small words of which there are more."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return "fr" if sum(w in _FRENCH for w in words) > sum(w in _ENGLISH for w in words) else "en"


class PageWording:
    """Puts texts of a page into a file, the targets that its links refer to among them."""

    def __init__(self, language: str, definitions: Iterable[Definition]) -> None:
        self.language = language
        self._targets = {each.label: each.target for each in definitions}

    def words(self, text: str) -> Words:
        """A text of the page; French gets a blank for its English. Links name their targets themselves."""
        said = verbatim(_REFERENCE.sub(self._link, text.strip()))
        return said if self.language == "en" else {"en": f"{BLANK} (English): {said}", self.language: said}

    def _link(self, found: re.Match[str]) -> str:
        label = " ".join((found["label"] or found["text"]).split()).upper()
        return f"[{found['text']}]({self._targets[label]})" if label in self._targets else found[0]


def verbatim(text: str) -> str:
    """A text in which nothing is taken for a template: braces of Go, PromQL or bash stay braces."""
    if not re.search(r"\{[{%#]", text):
        return text
    if "endraw" not in text:
        return f"{{% raw %}}{text}{{% endraw %}}"
    return re.sub(r"\{[{%#]", lambda found: f"{{{{ '{found[0]}' }}}}", text)


def bare_title(text: str) -> str:
    """A title without what numbers it: `Étape 1: [Stop]` → `Stop`; its first letter is a capital."""
    title = re.sub(r"[*_`]+(?=\S)|(?<=\S)[*_`]+", lambda found: "_" if "_" in found[0] else "", plain_title(text))
    title = re.sub(r"\{\{|\}\}|\{%|%\}", "", title)
    before = None
    while before != title:
        before = title
        title = re.sub(
            r"(?i)^(?:runbook|(?:étape|etape|step|phase)\s+\d+|\d+(?:\.\d+)*[.)]?(?=\s|$))\s*[:.\u2013\u2014-]?\s*",
            "",
            title,
        )
        title = re.sub(r"^\[(.*)\]$", r"\1", title.strip().rstrip(":").strip())
    return title[:1].upper() + title[1:] if title else ""


def condition_in(title: str) -> str:
    """The words by which a title says that something is done only at times: `Flush if needed` → `if needed`."""
    found = _CONDITION.search(title)
    if found is None or _ASKED.search(title[: found.start()]):
        return ""
    return shorten(found[0].strip("()[] "), 50, placeholder=" …")


def is_failure(condition: str) -> bool:
    """Whether a condition is that something has gone wrong."""
    words = r"echou|echec|erreur|fail|error|problem|anomal|incident|issue|wrong|degrad|\bko\b"
    return re.search(words, plain(condition)) is not None


def is_undo(text: str) -> bool:
    """Whether a title, or words that begin like this, tell how to go back: `To undo: …`, `Retour arrière si …`."""
    return SectionName.ROLLBACK in recognised(text) or _UNDO.match(plain(text)) is not None


def length_in(text: str) -> tuple[str, bool] | None:
    """A length of time as metadata has it, and whether that is all that the text says: `30 minutes` → `30m`."""
    found = list(_LENGTH.finditer(text))
    if not found:
        return None
    last = found[-1]
    unit = next(name for name in _UNITS if last[name])
    rest = text.replace(last[0], "", 1).strip(" .~")
    return f"{int(last['number'])}{unit}", rest == ""


def date_in(text: str) -> date | None:
    """The day that a text is, `YYYY-MM-DD`."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def window_in(text: str) -> str | None:
    """A window in pyrunbook's grammar: `Dimanche 02:00-04:00 UTC` → `Sun 02:00-04:00 UTC`; `None` where it is none."""
    from pyrunbook.windows.grammar import parse

    spec = " ".join(re.sub(r"[\u2013\u2014]", "-", text).replace("h00", ":00").split())
    for names in (_PLACES, _DAYS):
        for name, pattern in names.items():
            spec = re.sub(rf"(?i)\b(?:{pattern})\b", name, spec)
    try:
        parse(spec)
    except BadInput:
        return None
    return spec


def severity_in(text: str) -> str | None:
    """The severity or risk that a text names."""
    bare = plain(text)
    return next((name for name, pattern in _SEVERITY.items() if re.match(rf"(?:{pattern})\b", bare)), None)


def category_in(texts: list[str]) -> str | None:
    """The category that titles speak of; what comes first in the list decides."""
    for text in texts:
        bare = plain(text)
        named = [category for category in CATEGORIES if re.search(_CATEGORY[category], bare)]
        if named:
            return named[0] if len(named) == 1 or "incidents" not in named else "incidents"
    return None


def first_sentence(text: str, longest: int = 100) -> str:
    """The first sentence of a text, for a title or a short description."""
    line = " ".join(text.split())
    sentence = re.split(r"(?<=[.!?:;])\s", line, maxsplit=1)[0].rstrip(".:; ")
    if len(sentence) <= longest:
        return sentence
    return sentence[: longest - 1].rpartition(" ")[0].rstrip(",;: ") + "…"
