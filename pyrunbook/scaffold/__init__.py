"""Starts a runbook, a step role, a project; turns a Markdown runbook into one that runs."""
