"""Reads a Markdown runbook: sections, steps, commands, checklists, each with its line. Knows no rules."""
