# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture thread: waits on the captures, feeds the intake, hands records over."""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Sequence

from ..assembly.intake import Intake
from ..capture import Capture, Read
from ..log import logger
from ..records.record import Instant, Record
from ..threads import name_thread
from .handoff import Handoff

#: Seconds after which a ring hands over an unfinished block: waited for when the service stops.
_LAST_BLOCK_S = 0.05
#: Seconds between looks at the clock while records are arriving, and while none are.
BUSY_S, QUIET_S = 0.1, 1.0
#: Seconds between looks for interfaces that were gone, and at how much comes.
_REFRESH_S = 1.0
#: Seconds after which this thread gives Python's lock away when another waits for it.
SWITCH_S = 0.001


def clock() -> Instant:
    """Read both clocks."""
    return Instant(time.monotonic(), time.time_ns())


class Listener(threading.Thread):
    """Runs until ``stop``; then takes what the sockets still hold and closes the hand-off."""

    def __init__(self, captures: Sequence[Capture], intake: Intake, handoff: Handoff) -> None:
        super().__init__(name="capture", daemon=True)
        self.captures = captures
        self.intake = intake
        self.beat_at = time.monotonic()
        self._handoff = handoff
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._stopping = False
        self._refresh_at = 0.0
        #: Packets a second, lately.
        self.rate = 0.0
        self._packets = 0

    def stop(self) -> None:
        """Ask the thread to finish; ``join`` waits for it."""
        self._stopping = True
        self._wake_writer.send(b"x")

    @property
    def queue_bytes(self) -> int:
        """Return the bytes that wait for the store."""
        return self._handoff.bytes

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        # In a flood others wait for Python's lock at each step that they take.
        sys.setswitchinterval(SWITCH_S)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_reader, selectors.EVENT_READ)
                for capture in self.captures:
                    selector.register(capture, selectors.EVENT_READ, capture)
                while not self._stopping:
                    self._beat()
                    self._balance()
                    waiting = selector.select(BUSY_S if self.intake.reassembler.in_flight else QUIET_S)
                    reads = [self._read(key.data) for key, _ in waiting if key.data is not None]
                    self._give(self.intake.tick(clock()))
                    self._refresh()
                    time.sleep(min((read.rest_s for read in reads), default=0.0))
            time.sleep(_LAST_BLOCK_S)
            for capture in self.captures:
                while self._read(capture).packets:
                    pass
            self._give(self.intake.flush())
        finally:
            self._handoff.close()

    def _read(self, capture: Capture) -> Read:
        try:
            read = capture.read(self.intake, clock())
        except OSError as error:
            # An interface that goes down reports it once; frames come again when it is up.
            logger.warning("%s: %s", capture.name, error.strerror)
            self.intake.counts["socket errors"] += 1
            return Read(0, [])
        self._give(read.records)
        return read

    def _balance(self) -> None:
        """Share the granted memory between what waits for the store and what is in flight."""
        reassembler, handoff = self.intake.reassembler, self._handoff
        reassembler.reserved = max(0, handoff.bytes - handoff.limit)
        handoff.spare = max(0, reassembler.limits.memory - reassembler.memory)

    def _refresh(self) -> None:
        if self.beat_at >= self._refresh_at:
            packets = self.intake.counts["packets"]
            self.rate = (packets - self._packets) / _REFRESH_S
            self._packets = packets
            self._refresh_at = self.beat_at + _REFRESH_S
            for capture in self.captures:
                capture.refresh()

    def _give(self, records: list[Record]) -> None:
        if not records:
            return
        self._balance()
        lost = len(records) - self._handoff.put(records, self._beat)
        if lost:
            self.intake.counts["records lost: store failed"] += lost
        if self._handoff.dropped:
            self.intake.counts["small records dropped for room"] = self._handoff.dropped

    def _beat(self) -> None:
        self.beat_at = time.monotonic()
