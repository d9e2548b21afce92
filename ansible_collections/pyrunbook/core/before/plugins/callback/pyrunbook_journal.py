"""The journal's callback by its short name, for the ansible.cfg of a project that an older version has made."""

from ansible_collections.pyrunbook.core.plugins.callback.pyrunbook_journal import DOCUMENTATION, CallbackModule

__all__ = ["DOCUMENTATION", "CallbackModule"]
