"""Certificates that rotate, prove it and can go back: what the steps do, as plain Python.

`wanted` and `sources` read the inventory. A rotation is decided by `due`, made by one of `issuers`, stopped by `check`
when there is any doubt, put on disk by `pair`, proven by `served` and ended by `revocation`. `rotation`, `going_back`
and `overlap` put these together for any place that holds a pair; `status` and `validation` only look.

Nothing here knows Ansible, the command line or the journal.
Private keys and tokens are held in objects that do not show them (`secret`, `keys`), and never leave by argv, the
environment of a child, a message or a log.
"""
