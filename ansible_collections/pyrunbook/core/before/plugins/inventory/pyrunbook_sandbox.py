"""The inventory of the sandbox by its short name, for the ansible.cfg of a project that an older version has made."""

from ansible_collections.pyrunbook.core.plugins.inventory.pyrunbook_sandbox import DOCUMENTATION, InventoryModule

__all__ = ["DOCUMENTATION", "InventoryModule"]
