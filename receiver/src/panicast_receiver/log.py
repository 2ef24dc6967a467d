# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines on stderr, escaped; with a priority prefix when the journal reads them."""

from __future__ import annotations

import logging
import os
import sys

from .text import escape

logger = logging.getLogger("panicast_receiver")
#: syslog priorities for sd-daemon's <N> prefix.
_PRIORITIES = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


class _Formatter(logging.Formatter):
    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        lines = [escape(line) for line in super().format(record).split("\n")]
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        return "\n".join(prefix + line for line in lines)


def start() -> None:
    """Send the service's log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("JOURNAL_STREAM" in os.environ))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
