"""Revisions of the journal's schema, for Alembic."""
