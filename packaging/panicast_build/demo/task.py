# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv demo: writes the week, starts the receiver and the page, and keeps the fleet alive until
Ctrl-C. Nothing is left behind."""

from __future__ import annotations

import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from panicast_build.bench import services
from panicast_build.core import progress
from panicast_build.core.errors import Terminated
from panicast_build.demo.week import DARK, FLAPS, HELLO_S, Week, name, write

# Seconds until the first crash that comes in while somebody looks, between crashes, and until a host is back.
FIRST_S, CRASH_S, BACK_S = 15.0, 60.0, 20.0
LIVE = ("nvme", "ext4", "memory")


class Due(NamedTuple):
    """What a host sends, and when, in the clock's seconds."""

    at: float
    host: int
    kind: str


def run(port: int = 0) -> None:
    """Shows the demo on a TCP port of loopback (0: any free one) until Ctrl-C."""
    try:
        with tempfile.TemporaryDirectory(prefix="panicast-demo-") as folder:
            _show(Path(folder), port)
    except Terminated:
        raise
    except KeyboardInterrupt:
        progress.say("\nthe demo has ended, and nothing of it is left")


def _show(state: Path, port: int) -> None:
    week = Week(time.time_ns())
    with progress.step("making up a week of crashes"):
        write(state, week)
    with services.running(state, port) as (page, receiver):
        tool = Path(sys.executable).with_name("panicast-receiver")
        print(
            f"\nThe page:          http://127.0.0.1:{page}/\n"
            f"The same by hand:  {tool} groups --state-dir {state}\n\n"
            f"In this week a crash came back that was resolved (nvme_unmap_data), {name(FLAPS)} crashed\n"
            f"again and again, and rack r{DARK} lost its power. Hosts go on crashing. Ctrl-C ends it.",
            flush=True,
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for due in what_comes(week):
                time.sleep(max(0.0, due.at - time.monotonic()))
                _send(sock, receiver, week, due)


def _send(sock: socket.socket, receiver: int, week: Week, due: Due) -> None:
    crash = due.kind if due.kind in LIVE else ""
    for frame in week.frames("panic" if crash else "hello", due.host, time.time_ns(), crash):
        sock.sendto(frame, ("127.0.0.1", receiver))
    if crash:
        week.boots[due.host] += 1


def what_comes(week: Week) -> Iterator[Due]:
    """Yields for ever what is to be sent: hellos of all that have power, a crash now and then, and
    the hello of its host's next boot."""
    chance, now = random.Random(2), time.monotonic()
    crash_at, hosts = now + FIRST_S, week.alive()
    coming = [Due(now + HELLO_S * number / len(hosts), host, "hello") for number, host in enumerate(hosts)]
    while True:
        coming.sort()
        due = coming.pop(0)
        if crash_at < due.at:
            coming.append(due)
            due = Due(crash_at, chance.choice(hosts), chance.choice(LIVE))
            crash_at += CRASH_S
            coming = [one for one in coming if one.host != due.host]
            coming.append(Due(due.at + BACK_S, due.host, "hello"))
        else:
            coming.append(due._replace(at=due.at + HELLO_S))
        yield due
