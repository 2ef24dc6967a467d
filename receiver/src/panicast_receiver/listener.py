# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture thread: waits on the captures, feeds the intake, hands records over."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Sequence

from .capture import Capture
from .handoff import Handoff
from .intake import Intake
from .log import logger
from .record import Instant, Record

#: Packets read from one capture before the others and the clock get their turn.
BATCH = 256
#: Seconds between looks at the clock while records are arriving, and while none are.
BUSY_S, QUIET_S = 0.1, 1.0


def clock() -> Instant:
    """Both clocks, now."""
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

    def stop(self) -> None:
        """Ask the thread to finish; ``join`` waits for it."""
        self._stopping = True
        self._wake_writer.send(b"x")

    def run(self) -> None:
        """The thread."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_reader, selectors.EVENT_READ)
                for capture in self.captures:
                    selector.register(capture, selectors.EVENT_READ, capture)
                while not self._stopping:
                    self._beat()
                    waiting = selector.select(BUSY_S if self.intake.reassembler.in_flight else QUIET_S)
                    for key, _ in waiting:
                        if key.data is not None:
                            self._read(key.data)
                    self._give(self.intake.reassembler.tick(clock()))
            for capture in self.captures:
                while self._read(capture) == BATCH:
                    pass
            self._give(self.intake.reassembler.flush())
        finally:
            self._handoff.close()

    def _read(self, capture: Capture) -> int:
        try:
            packets = capture.read(BATCH)
        except OSError as error:
            # An interface that goes down reports it once; frames come again when it is up.
            logger.warning("%s: %s", capture.name, error.strerror)
            self.intake.counts["socket errors"] += 1
            return 0
        now = clock()
        ready: list[Record] = []
        for packet in packets:
            ready += self.intake.feed(packet, now)
        self._give(ready)
        return len(packets)

    def _give(self, records: list[Record]) -> None:
        for record in records:
            if not self._handoff.put(record, self._beat):
                self.intake.counts["records lost: store failed"] += 1

    def _beat(self) -> None:
        self.beat_at = time.monotonic()
