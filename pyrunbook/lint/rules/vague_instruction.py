"""Words that leave the decision to a reader who has none to spare."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.subject import Purpose

# An order, not "if you cannot resolve the issue" or "to resolve the issue, …": it begins its sentence.
_FIRST = r"(?:(?<=^)|(?<=[.:;*] )|(?<=\d[.)] )|(?<=- )|(?<=then )|(?<=puis ))"
# Phrase to what is missing in its place. Only whole words count; code is not looked at.
_ENGLISH = {
    r"(?<!change )(if|as|when|where) (needed|necessary|required|appropriate)(?!\s+(by|for|to)\b)": "say when that is",
    r"appropriate (actions?|steps?|measures?|value|person|people|team)": "name it",
    r"relevant (team|person|people|stakeholders?)": "name them",
    r"(make sure|check|ensure|verify) (that )?everything (is|works|looks|runs)( (fine|ok(ay)?|good|well|right))?": (
        "say what to look at and what it should show"
    ),
    r"(wait|give it) (for )?(a (bit|while|moment|little|few (seconds|minutes))|some time)": "say how long, or for what",
    r"(the|in the) usual (way|procedure|steps|manner)": "write it down",
    r"as usual": "write it down",
    r"do the needful": "say what",
    rf"{_FIRST}(please )?(fix|resolve|solve) (the|any) (issues?|problems?|errors?)(?=[.,;!]|$)": "say how",
    r"use (your )?(common sense|(best )?judge?ment)": "say what decides",
    r"should be (fine|ok|okay)": "say what it should show",
    r"somehow": "say how",
    r"keep an eye on(?!.*\b(until|for|while|when|whether|to (see|ensure|make sure))\b)|monitor (it |them )?closely": (
        "say what to look at, and how long"
    ),
    r"(identify|find|determine) (the |and (fix|resolve) the )?(root[ -])?causes? and (then )?"
    r"(resolve|fix|solve|address|correct|remediate) (it|them|that|the (issue|problem|cause|error)s?)"
    r"(?!.*\b(common|possible|such as|include))": "say how",
    r"(refer to|see|consult) the (relevant|appropriate|corresponding|[\w -]+?) documentation(?=[.,;!]|$)": (
        "link the page"
    ),
}
_FRENCH = {
    r"si (nécessaire|necessaire|besoin|requis)|au besoin|le cas échéant": "say when that is",
    r"(actions?|mesures?|étapes?|valeurs?) appropriée?s?": "name it",
    r"(l'|les )?(équipes?|personnes?) (concernée?s?|appropriée?s?|compétente?s?)": "name them",
    r"(vérifier|s'assurer|contrôler) (que )?tout (va bien|fonctionne( bien)?|est (ok|bon|correct|en ordre))": (
        "say what to look at and what it should show"
    ),
    r"(attendre|patienter) (un peu|un moment|un instant|quelques (instants|minutes|secondes))": (
        "say how long, or for what"
    ),
    r"comme (d'habitude|à l'accoutumée)|(la )?procédure habituelle": "write it down",
    r"faire le nécessaire": "say what",
    rf"{_FIRST}(corriger|résoudre|régler) (le|les|tout) (problèmes?|soucis?|erreurs?)(?=[.,;!]|$)": "say how",
    r"surveiller de près|garder un œil(?!.*\b(jusqu'|pendant|tant que)\b)": "say what to look at, and how long",
    r"(identifier|trouver|déterminer) la cause( racine)? et (la |le )?(résoudre|corriger|traiter)( le problème)?": (
        "say how"
    ),
    r"d'une manière ou d'une autre": "say how",
}


def _compiled(phrases: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(rf"(?<![\w-])(?:{phrase})(?![\w-])", re.IGNORECASE), advice) for phrase, advice in phrases.items()
    ]


_PHRASES = {"en": _compiled(_ENGLISH), "fr": _compiled(_FRENCH)}
_BOTH = [*_PHRASES["en"], *_PHRASES["fr"]]


@rule("warning", "An instruction leaves open what to do, when or how long.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Each vague phrase in a text that says what to do."""
    if not subject.is_runbook:
        return
    for text in subject.texts:
        if text.purpose is not Purpose.INSTRUCTION:
            continue
        for line in text.lines:
            words = line.words.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
            for pattern, advice in _PHRASES.get(text.language, _BOTH):
                for found in pattern.finditer(words):
                    at = line.at._replace(column=line.at.column + found.start())
                    yield Finding(at, f'"{found[0].strip()}" leaves the decision to the reader: {advice}')
