# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes log lines to stderr, escaped; with a priority prefix if the journal reads them."""

from __future__ import annotations

import logging
import os
import sys

from .text import escape

#: Between information and warning, as in syslog: what a crashed machine sent.
NOTICE = 25
LOG_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "notice": NOTICE, "warning": logging.WARNING}
logger = logging.getLogger("panicast_receiver")
#: syslog priorities for sd-daemon's <N> prefix.
_PRIORITIES = {logging.ERROR: 3, logging.WARNING: 4, NOTICE: 5, logging.INFO: 6, logging.DEBUG: 7}


class _Formatter(logging.Formatter):
    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        # A message is one line, whatever the names in it hold; what says where it failed has many, none of
        # which looks like a message.
        trace = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        lines = [escape(line) for line in (record.getMessage(), *(f"| {line}" for line in trace))]
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        return "\n".join(prefix + line for line in lines)


def start(level: str) -> None:
    """Send the service's log to stderr, from this level on, and what libraries complain of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("JOURNAL_STREAM" in os.environ))
    for one in (logger, logging.getLogger()):
        one.addHandler(handler)
    set_level(level)
    logger.propagate = False


def set_level(level: str) -> None:
    """Log from this level on."""
    logger.setLevel(LOG_LEVELS[level])
