"""Callback plugins. Ansible imports every file here, enabled or not: keep imports at module level light."""
