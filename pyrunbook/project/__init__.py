"""The one reader of a project: YAML with positions, plays and tasks, inventories, where playbooks and roles are.

Nothing is run, and no template is resolved.
"""
