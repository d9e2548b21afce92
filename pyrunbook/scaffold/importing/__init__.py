"""Turns a Markdown runbook into one that runs: metadata, playbook, a role for each step; lists what is left over."""
