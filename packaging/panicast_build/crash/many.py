# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes many guests: one boots for all that need the same machine, and they continue from its memory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from panicast_build.crash import guest
from panicast_build.crash.cases import Case
from panicast_build.crash.kit import Kit
from panicast_build.smoke.failure import SmokeFailure

# Each waits for a clock or a card more than it works.
GUESTS = 2 * (os.cpu_count() or 1)


@contextmanager
def crashes(kit: Kit, nic: str, chosen: Sequence[Case]) -> Iterator[Mapping[str, Future[guest.Outcome]]]:
    """Yields how the guest of each case ends, by the case's name. Leaving waits for those that run,
    and starts no other.

    To boot is most of what a crash costs, above all without KVM.
    """
    machines = defaultdict(list)
    for case in chosen:
        machines[guest.machine_of(case)].append(case)

    def crash(case: Case, booted: Future[guest.Booted] | None) -> guest.Outcome:
        return guest.crash(kit, nic, case, _booted(booted))

    pool = ThreadPoolExecutor(GUESTS)
    try:
        # Who waits for a boot came after it, so that it has begun.
        boots = [
            (
                pool.submit(guest.boot, kit, nic, like) if len(like) > 1 and guest.can_wait(kit) else None,
                like,
            )
            for like in machines.values()
        ]
        yield {case.name: pool.submit(crash, case, booted) for booted, like in boots for case in like}
    finally:
        pool.shutdown(cancel_futures=True)


def _booted(boot: Future[guest.Booted] | None) -> guest.Booted | None:
    """Returns the guest to continue from, or None where each boots for itself."""
    try:
        return boot.result() if boot else None
    except SmokeFailure:
        return None
