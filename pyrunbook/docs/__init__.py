"""Pages: Markdown made from the catalog and an inventory, and the check that they have not drifted."""
