"""Applies the rules, and drops the findings that are waived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pyrunbook.catalog.settings import Level, LintSettings
from pyrunbook.errors import BadInput
from pyrunbook.lint.collecting import Linted
from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Edit, Finding, Rule
from pyrunbook.lint.rules import WAIVERS, rules
from pyrunbook.lint.subject import Subject
from pyrunbook.lint.waivers import Waiver, in_page, in_yaml
from pyrunbook.project.problem import Spot


@dataclass(frozen=True, order=True)
class Reported:
    """A finding with its rule, ready to be shown; ordered by its place."""

    at: Spot
    rule: str
    message: str
    level: Level
    edit: Edit | None = None


def chosen_rules(settings: LintSettings, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> dict[Rule, Level]:
    """The rules to ask, each with the level of its findings.

    Args:
        settings: of the project.
        select: only these; goes before the selection of the settings.
        ignore: not these, besides those of the settings.

    Raises:
        BadInput: there is no such rule.
    """
    every = rules()
    for names, where in (
        (select, "--select"),
        (ignore, "--ignore"),
        (settings.select, "lint.select"),
        (settings.ignore, "lint.ignore"),
        (settings.levels, "lint.levels"),
    ):
        for name in names:
            rule_named(name, f"{where}: ")
    wanted = set(select or settings.select or every) - set(ignore) - set(settings.ignore)
    return {rule: settings.levels.get(rule.id, rule.level) for rule in every.values() if rule.id in wanted}


def rule_named(name: str, where: str = "") -> Rule:
    """A rule by its id.

    Raises:
        BadInput: there is none; names one that is close.
    """
    every = rules()
    if name in every:
        return every[name]
    close = get_close_matches(name.replace("_", "-").lower(), every, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise BadInput(f"{where}there is no rule {name!r}{hint}", next_step="pyrunbook lint --rules")


def lint(collection: Linted, context: Context, chosen: Mapping[Rule, Level]) -> list[Reported]:
    """What the rules find, in the order of files and lines; the same thing once, however many runbooks share it."""
    found: dict[tuple[Spot, str, str], Reported] = {}

    def report(rule: Rule, finding: Finding) -> None:
        if not collection.only or finding.at.file in collection.only:
            key = (finding.at, rule.id, finding.message)
            found.setdefault(key, Reported(finding.at, rule.id, finding.message, chosen[rule], finding.edit))

    waivers = _waivers(collection.subjects, context)
    last = rules()[WAIVERS]
    for rule in chosen:
        for subject in collection.subjects:
            for finding in rule.check(subject, context):
                report(rule, finding)
    left = [each for each in found.values() if not _waived(each, waivers)]
    if last in chosen:
        found.clear()
        for finding in _bad(waivers, chosen):
            report(last, finding)
        left += found.values()
    return sorted(left, key=lambda each: (each.at, each.rule, each.message))


def _waivers(subjects: Sequence[Subject], context: Context) -> dict[Path, list[Waiver]]:
    found: dict[Path, list[Waiver]] = {}
    for subject in subjects:
        files = [*subject.files, *(contact.at.file for contact in subject.contacts)]
        for file in files:
            if file in found:
                continue
            lines = context.project.lines(file)
            if not any("pyrunbook:" in line for line in lines):
                found[file] = []
            elif subject.kind == "page":
                found[file] = list(in_page(file, lines, subject.blocks))
            else:
                found[file] = list(in_yaml(file, lines))
    return found


def _waived(reported: Reported, waivers: Mapping[Path, Sequence[Waiver]]) -> bool:
    hit = False
    for waiver in waivers.get(reported.at.file, ()):
        if waiver.rule == reported.rule and waiver.reason and reported.at.line in waiver.lines:
            waiver.used = hit = True
    return hit


def _bad(waivers: Mapping[Path, Sequence[Waiver]], chosen: Mapping[Rule, Level]) -> Iterator[Finding]:
    asked = {rule.id for rule in chosen}
    for waiver in (each for file in waivers.values() for each in file):
        try:
            rule_named(waiver.rule)
        except BadInput as error:
            yield Finding(waiver.at, f"{error.seen}, so this waives nothing")
            continue
        if not waiver.reason:
            yield Finding(waiver.at, f"the waiver of {waiver.rule} gives no reason (… because REASON), so it is none")
        elif not waiver.used and waiver.rule in asked:
            yield Finding(waiver.at, f"{waiver.rule} finds nothing here: take the waiver away")
