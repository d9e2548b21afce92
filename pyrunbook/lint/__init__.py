"""Reads runbooks and Markdown pages for what will hurt at night."""
