"""What sections of runbooks are called, in English and in French."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class SectionName(StrEnum):
    """The sections that a reader looks for; those of a procedure first, then those of an alert."""

    INFORMATION = "information"
    PREREQUISITES = "prerequisites"
    PROCEDURE = "procedure"
    VERIFICATION = "verification"
    ROLLBACK = "rollback"
    TROUBLESHOOTING = "troubleshooting"
    CONTACTS = "contacts"
    ESCALATION = "escalation"
    SYMPTOMS = "symptoms"
    IMPACT = "impact"
    WHEN_TO_IGNORE = "when_to_ignore"
    MEANING = "meaning"
    DIAGNOSIS = "diagnosis"
    MITIGATION = "mitigation"


# Without accents, in lower case; a name is recognised by how it begins. The first that fits is taken.
_BEGINNINGS = {
    SectionName.INFORMATION: r"informations?$|general information|informations generales|about this runbook",
    SectionName.PREREQUISITES: r"pre-?requis|pre-?requisites?|requirements|before you (begin|start)|avant de commencer",
    SectionName.ROLLBACK: r"roll-?back|retour arriere|back-?out|how to (undo|revert)|undo|revert|annulation"
    r"|comment (revenir|annuler)"
    r"|plan rollback|procedure de (retour|rollback)",
    SectionName.PROCEDURE: r"procedure\b|procedures?$|etapes\b|steps\b|actions immediates|immediate actions"
    r"|first action|premiere action|instructions|deroulement|marche a suivre|how to (?!(verify|check|see))|commandes\b",
    SectionName.VERIFICATION: r"how to see that it worked|comment voir que c'est reussi"
    r"|verif|validation|post-?checks|controle final|check-?list|checks?$",
    SectionName.TROUBLESHOOTING: r"trouble-?shooting|depannage|known (errors|issues|problems)|erreurs connues"
    r"|problemes connus|faq\b",
    SectionName.ESCALATION: r"escalation|escalade|escalate",
    SectionName.CONTACTS: r"contacts?\b|who to (call|contact)|qui appeler|on-?call|astreinte",
    SectionName.SYMPTOMS: r"symptom",
    SectionName.IMPACT: r"impacts?\b",
    SectionName.WHEN_TO_IGNORE: r"when (it|this) (may|can) be ignored|when to ignore|quand (on peut )?l'ignorer"
    r"|false positives?|faux positifs?",
    SectionName.MEANING: r"meaning|signification",
    SectionName.DIAGNOSIS: r"diagnos(is|tics?|e)\b",
    SectionName.MITIGATION: r"mitigat|remediation|resolution|attenuation",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in _BEGINNINGS.items()}
_NUMBER = re.compile(r"(?:\d+[.)]\s*)+")


def plain(title: str) -> str:
    """A title to compare: lower case, without accents, number and punctuation around it."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    bare = bare.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").lower().strip(" :*_#-\u2013\u2014\u00b7")
    return _NUMBER.sub("", bare, count=1) if _NUMBER.match(bare) else bare


def recognised(title: str) -> tuple[SectionName, ...]:
    """The sections that a title names; "Contacts & Escalation" names two."""
    bare = plain(title)
    found = [name for name, pattern in _COMPILED.items() if pattern.match(bare)]
    for _, behind in re.findall(r"(&|\band\b|\bet\b|/)\s*([^&/]+)", bare):
        found += [name for name, pattern in _COMPILED.items() if pattern.match(behind.strip()) and name not in found]
    return tuple(found)
