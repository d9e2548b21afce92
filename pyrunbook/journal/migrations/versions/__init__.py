"""One module a revision: `r0001_….py`, `r0002_….py`."""
