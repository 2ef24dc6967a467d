# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes raw frames and returns records, dropping repeats. Pure, like reassembly."""

from __future__ import annotations

from collections import Counter, OrderedDict
from hashlib import blake2b

from ..records.record import Instant, Record, Source, headerless
from ..wire.raw import RawFrame

#: Raw records remembered for telling repeats; one costs about 300 bytes.
REMEMBERED = 16384


class RawRecords:
    """Makes a record of each raw frame, except when the same MAC sent the same text a moment ago."""

    def __init__(self, window_s: float, counts: Counter[str]) -> None:
        self.window_s = window_s
        self._counts = counts
        self._heard: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def feed(self, frame: RawFrame, source: Source, now: Instant) -> list[Record]:
        """Return the record of ``frame``, or nothing if it repeats a recent one."""
        key = (frame.mac, blake2b(frame.text, digest_size=16).digest())
        last = self._heard.pop(key, None)
        self._heard[key] = now.mono
        if len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)
        if last is not None and now.mono - last < self.window_s:
            self._counts["duplicate"] += 1
            return []
        # The same text an hour later is another crash, so the time is part of what identifies it.
        identity_of = b"raw" + frame.mac.encode() + key[1] + now.wall_ns.to_bytes(8, "big")
        sender = source._replace(mac=frame.mac, ip=frame.ip)
        return [headerless("raw", identity_of, frame.text, 1, now.wall_ns, sender, b"")]
