"""What all tests start from."""

from __future__ import annotations

import signal

# A script that starts the tests in the background, or nohup, has these ignored, and every child would inherit that.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
