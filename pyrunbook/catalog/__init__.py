"""Runbooks as data: finds playbooks, reads and validates their metadata, derives their steps."""

from __future__ import annotations

from pyrunbook.catalog.catalog import CATEGORIES, Catalog, load
from pyrunbook.catalog.metadata import DeclaredWindow, Metadata, Prerequisite, Trouble
from pyrunbook.catalog.playbook import STRATEGIES, Phase
from pyrunbook.catalog.runbook import Runbook, Step, after_switch, ways_back
from pyrunbook.catalog.step_notes import StepNotes
from pyrunbook.catalog.values import Duration, Text
from pyrunbook.project.problem import InvalidFile, Problem

__all__ = [
    "CATEGORIES",
    "STRATEGIES",
    "Catalog",
    "DeclaredWindow",
    "Duration",
    "InvalidFile",
    "Metadata",
    "Phase",
    "Prerequisite",
    "Problem",
    "Runbook",
    "Step",
    "StepNotes",
    "Text",
    "Trouble",
    "after_switch",
    "load",
    "ways_back",
]
