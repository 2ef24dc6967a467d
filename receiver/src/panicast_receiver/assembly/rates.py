# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits how many records each sender may begin, so that none pushes out the others. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from ..records.record import Source

#: Senders whose rates are remembered; one costs about 300 bytes.
REMEMBERED = 65536


class Rate:
    """Token buckets: each key has ``at_once`` tokens, refilled at ``per_minute``; 0 means no
    limit."""

    def __init__(self, per_minute: int, at_once: int = 0) -> None:
        self.per_minute = per_minute
        self._at_once = at_once
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def allows(self, key: Hashable, now: float) -> bool:
        """Take a token of ``key`` at ``now``, seconds; return False if there is none."""
        if not self.per_minute:
            return True
        most = self._at_once or self.per_minute
        tokens, at = self._buckets.pop(key, (float(most), now))
        tokens = min(most, tokens + (now - at) * self.per_minute / 60)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - allowed, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return allowed


class Allowance:
    """One token bucket: ``at_once`` tokens, refilled at ``per_minute``."""

    def __init__(self, per_minute: int, at_once: int) -> None:
        self._per_minute, self._at_once = per_minute, at_once
        self._tokens, self._at = float(at_once), 0.0

    def allows(self, now: float) -> bool:
        """Take a token at ``now``, seconds; return False if there is none."""
        if now != self._at:
            self._tokens = min(self._at_once, self._tokens + (now - self._at) * self._per_minute / 60)
            self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class SenderRates:
    """Limits senders: by MAC and IP address together, and by MAC alone."""

    def __init__(self, per_source: int = 0, per_mac: int = 0) -> None:
        self.sources = Rate(per_source)
        self.macs = Rate(per_mac)

    def allows(self, source: Source, now: float) -> bool:
        """Tell whether this sender may begin another record."""
        # A UDP socket shows no MAC, and some senders have no address: they cannot be told apart.
        known = source.mac is not None or source.ip is not None
        if known and not self.sources.allows((source.mac, source.ip), now):
            return False
        return source.mac is None or self.macs.allows(source.mac, now)
