"""A project's files, read once for all: YAML with positions, plays and tasks, roles, inventories. Nothing is run."""
