# SPDX-License-Identifier: GPL-2.0-or-later
"""Wait for what another thread, process or machine does: until it is done, however slow this machine is.

A test never sleeps and then looks, for a busy machine needs longer; and it never takes a port that it gave
back, for somebody else may have it by then.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
#: A port that the kernel gives to nobody who does not ask for it.
OWN_PORT = 26666
#: Seconds that what takes one at most may take where other work keeps the machine busy.
PATIENCE_S = 120


def wait_until(look: Callable[[], T], what: str = "", patience_s: float = PATIENCE_S) -> T:
    """What ``look`` finds as soon as it finds something; fails, and says ``what`` did not come true."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what or look}"
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A TCP port of the loopback at which nobody answers, ours until the end: the kernel gives it to nobody,
    and a server that binds it by number, with SO_REUSEADDR as all do, may listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def own_address() -> str:
    """An address of the loopback that is this process's alone: OWN_PORT of UDP is free there. Whoever held a
    port of UDP would take what is sent to it."""
    return f"127.66.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
