# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells the time for deleting by age: a clock that jumps must not delete everything.

The time of day counts while it agrees with the monotonic clock. If it does not, or if it advanced
by more than a day while the service did not run, the old time continues until the new one has been
steady for a day.
"""

from __future__ import annotations

import time

from ..log import logger

#: A clock that is corrected moves by less than this between two looks. If it moves more, it must be
#: steady for so long.
STEP_NS, STAND_NS = 600 * 10**9, 86400 * 10**9


class Calendar:
    """``seen_ns`` is the last time of an earlier run of the service; None if there was none."""

    def __init__(self, seen_ns: int | None) -> None:
        self._seen = seen_ns
        #: What is added to the steady clock; what would be added by the new time of day, and since
        #: when.
        self._offset: int | None = None
        self._other, self._since = 0, 0

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        return self._time_ns(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def _time_ns(self, wall: int, steady: int) -> int:
        offset = wall - steady
        if self._offset is None:
            known = self._seen is None or 0 <= wall - self._seen <= STAND_NS
            self._offset = offset if known or self._seen is None else self._seen - steady
            self._other, self._since = self._offset, steady
        if abs(offset - self._offset) <= STEP_NS:
            self._offset = self._other = offset
        elif abs(offset - self._other) > STEP_NS:
            self._other, self._since = offset, steady
            logger.warning(
                "the clock jumped by %+.1f days: no record is deleted by age until it has been steady for "
                "a day",
                (offset - self._offset) / STAND_NS,
            )
        elif steady - self._since >= STAND_NS:
            self._offset = offset
        return steady + self._offset
