# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects the service's counters from its threads."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..sinks.feeder import Feeder
from ..stats import Stats
from .answerer import Answerer
from .committer import Committer
from .explainer import Explainer
from .listener import Listener


def collect(
    listener: Listener,
    committer: Committer,
    explainer: Explainer,
    answerer: Answerer,
    feeders: Sequence[Feeder],
) -> Stats:
    """Return the counts since the start.

    ``packets``: by what became of them; ``lost``: dropped by the kernel; ``records``: by outcome;
    ``tests``: whole tests, by answer; ``crashes``: by severity; ``sinks``: by name; ``capture``:
    the ways of capturing; the numbers and bytes of what is in flight and queued now; ``trouble``:
    what keeps records from being stored, if anything.
    """
    reassembler = listener.intake.reassembler
    return {
        "written": time.time(),
        "capture": sorted({capture.way for capture in listener.captures}),
        "packets": dict(listener.intake.counts),
        "lost": sum(capture.lost() for capture in listener.captures),
        "records": dict(committer.counts),
        "tests": dict(answerer.counts),
        "crashes": dict(explainer.counts),
        "sinks": {feeder.name: dict(feeder.counts) for feeder in feeders},
        "in_flight": reassembler.in_flight,
        "in_flight_bytes": reassembler.memory,
        "queue_bytes": listener.queue_bytes,
        "trouble": committer.trouble,
    }
