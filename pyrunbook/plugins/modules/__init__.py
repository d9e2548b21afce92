"""Modules: what runs on the machine of a service; the standard library alone."""
