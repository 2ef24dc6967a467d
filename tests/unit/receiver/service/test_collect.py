# SPDX-License-Identifier: GPL-2.0-or-later
"""The collector keeps the messages that it works on, however long PostgreSQL takes."""

import asyncio

from panicast_receiver.service.collect import ACK_S, Collector


class Clockless(asyncio.SelectorEventLoop):
    """A loop that waits for no time: when nothing else is to do, the next timer is due."""

    now = 0.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()


class Message:
    """A message; notes when the server was told that somebody works on it."""

    def __init__(self):
        self.told = []

    async def in_progress(self):
        self.told.append(asyncio.get_running_loop().time())


def test_a_slow_commit_gives_no_message_to_another():
    """The server gives it away ACK_S after it last heard of it; one word that is late must not do that."""
    messages = [Message(), Message()]

    async def work():
        collector = Collector(None, None, 0.0)
        await collector._meanwhile(asyncio.ensure_future(asyncio.sleep(10 * ACK_S)), messages)

    loop = Clockless()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()
    for message in messages:
        times = [0.0, *message.told, 10 * ACK_S]
        assert max(after - before for before, after in zip(times, times[1:])) <= ACK_S / 2
