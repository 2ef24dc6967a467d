# SPDX-License-Identifier: GPL-2.0-or-later
"""``collect``: moves records, and what is known of hosts, from a JetStream cluster into PostgreSQL, for the
central store.

It acknowledges a message only after what it says is committed; a repeated message is merged into the
same row. Several may run: they share the durable consumers. What is in memory at once is limited, whatever
is published: messages by what the server lets one have, and what they become when they are unpacked.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

import nats.errors
import sdnotify
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.client import JetStreamContext

from .. import log
from ..errors import UsageError
from ..log import logger
from ..settings import Settings
from ..sinks import Notice, Refused, hand_over, hear
from ..sinks.broker import HOSTS, RECORDS, Broker, Stream, expanded, unpack, unpack_hosts, words
from ..sinks.choice import central_retention, postgresql_dsn
from ..sinks.postgresql import PostgreSQL

DURABLE = "panicast-collect"
#: Messages that are fetched at once, at most, and bytes of them; bytes of JSON in a transaction.
BATCH, FETCH_BYTES, BATCH_BYTES = 128, 32 << 20, 4 << 20
#: Seconds after which the cluster delivers a message again if nobody reported on it.
ACK_S = 30.0
#: Seconds between tries at first, and at most.
RETRY_S, LONGEST_S = 1.0, 30.0


class Kind(NamedTuple):
    """What is collected: how a message is read, and how what was read is stored."""

    stream: Stream
    #: Seconds that a fetch waits for the first message.
    fetch_s: float
    read: Callable[[bytes], Sequence[Any]]
    store: Callable[[Any, Sequence[Any], Counter[str]], Any]


KINDS = (
    Kind(RECORDS, 5.0, lambda plain: [Notice(unpack(plain), "")], hand_over),
    Kind(HOSTS, 0.5, unpack_hosts, hear),
)


def run(settings: Settings) -> int:
    """Collect until SIGTERM or SIGINT; returns the exit code. Raises ReceiverError when it cannot start."""
    log.start(settings.log_level)
    dsn = postgresql_dsn(settings)
    for key, value in (("nats", settings.nats), ("postgresql", dsn)):
        if not value:
            raise UsageError(f"collect moves records from nats to postgresql; set {key}")
    broker, sink = Broker(settings.nats, settings.nats_login), PostgreSQL(dsn, central_retention(settings))

    async def collect() -> None:
        await Collector(broker, sink, settings.stats_s).run()

    asyncio.run(collect())
    return 0


class Collector:
    """Runs until SIGTERM or SIGINT. ``counts``: what was delivered, what failed, what was unreadable."""

    def __init__(self, broker: Broker, sink: PostgreSQL, stats_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self._broker = broker
        self._sink = sink
        self._complaint: str | None = None
        self._stats_s = stats_s
        self._stats_at = time.monotonic() + stats_s
        self._stopping = asyncio.Event()
        self._notifier = sdnotify.SystemdNotifier()

    async def run(self) -> None:
        """Collect. Whatever fails is retried less and less often."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGUSR1, self._say_counters)
        self._notifier.notify("READY=1")
        logger.info("records are collected from the stream %s", RECORDS.name)
        pause = RETRY_S
        while not self._stopping.is_set():
            before = self.counts["fetched"]
            try:
                await self._collect()
            except (OSError, nats.errors.Error, asyncio.TimeoutError) as error:
                pause = RETRY_S if self.counts["fetched"] > before else min(LONGEST_S, 2 * pause)
                self._failed(f"NATS: {words(error)}")
                await self._wait(pause)
        self._notifier.notify("STOPPING=1")
        self._say_counters()

    async def _collect(self) -> None:
        """Collect over one connection, until it fails or we must stop."""
        async with self._broker.connected() as client:
            consumers = []
            for kind in KINDS:
                try:
                    consumers.append((kind, await self._consumer(client, kind.stream)))
                except (nats.errors.Error, asyncio.TimeoutError) as error:
                    if kind.stream is RECORDS:
                        raise
                    logger.warning("hosts are not collected, only records: %s: %s", HOSTS.name, words(error))
            self._works()
            # So many have room, if each is as large as the server lets it be.
            most = max(1, min(BATCH, FETCH_BYTES // client.max_payload))
            while not self._stopping.is_set():
                await self._expire()
                for kind, consumer in consumers:
                    self._beat()
                    try:
                        messages = await consumer.fetch(most, kind.fetch_s)
                    except asyncio.TimeoutError:
                        # Nothing came, or nobody answers: asking tells.
                        await consumer.consumer_info()
                        continue
                    self.counts["fetched"] += len(messages)
                    await self._store_all(kind, messages)
                    await client.flush()

    async def _consumer(self, client: Client, stream: Stream) -> JetStreamContext.PullSubscription:
        await self._broker.make_stream(client, stream)
        config = ConsumerConfig(ack_wait=ACK_S, max_ack_pending=20 * BATCH)
        return await client.jetstream().pull_subscribe(stream.subjects, DURABLE, stream.name, config=config)

    async def _store_all(self, kind: Kind, messages: Sequence[Msg]) -> None:
        """Store and acknowledge messages, as many at a time as fit into a transaction."""
        begin, size, batch = 0, 0, list[Any]()
        for place, message in enumerate(messages, 1):
            found, its_size = self._read(kind, message)
            batch += found
            size += its_size
            if size < BATCH_BYTES and place < len(messages):
                continue
            if not await self._store(kind, batch, messages[begin:]):
                return
            for done in messages[begin:place]:
                await done.ack()
            begin, size, batch = place, 0, []

    async def _store(self, kind: Kind, batch: Sequence[Any], messages: Sequence[Msg]) -> bool:
        """Commit what was read, however often that must be tried, while these messages wait; return
        False if we must stop first."""
        pause = RETRY_S
        while not self._stopping.is_set():
            counts: Counter[str] = Counter()
            try:
                # In a thread, so that the connection stays alive meanwhile.
                work = asyncio.get_running_loop().run_in_executor(None, kind.store, self._sink, batch, counts)
                await self._meanwhile(work, messages)
            except OSError as error:
                self._failed(str(error))
                await self._meanwhile(asyncio.ensure_future(self._wait(pause)), messages)
                pause = min(LONGEST_S, 2 * pause)
            else:
                self._works()
                self.counts.update(counts)
                return True
        return False

    async def _expire(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._sink.expire)
        except (OSError, Refused) as error:
            # Whoever stores next says that it works again.
            self._failed(str(error))

    async def _meanwhile(self, work: asyncio.Future[Any], messages: Sequence[Msg]) -> None:
        """Wait for ``work``, and report now and then that the messages are in progress."""
        while not (await asyncio.wait({work}, timeout=ACK_S / 3))[0]:
            self._beat()
            for message in messages:
                await message.in_progress()
        await work

    def _read(self, kind: Kind, message: Msg) -> tuple[Sequence[Any], int]:
        """Return what a message says, and how many bytes of JSON it is."""
        try:
            plain = expanded(message.data, message.headers or {})
            return kind.read(plain), len(plain)
        except ValueError as error:
            self.counts["unreadable"] += 1
            what = "a record" if kind.stream is RECORDS else "about hosts"
            logger.error("message %s is not %s: %s", message.metadata.sequence.stream, what, error)
            return (), 0

    def _failed(self, what: str) -> None:
        if what != self._complaint:
            logger.warning("%s; trying again until it works", what)
        self._complaint = what
        self.counts["failed"] += 1

    def _works(self) -> None:
        if self._complaint is not None:
            logger.warning("works again")
        self._complaint = None

    async def _wait(self, seconds: float) -> None:
        self._beat()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _beat(self) -> None:
        self._notifier.notify("WATCHDOG=1")
        if self._stats_s and time.monotonic() >= self._stats_at:
            self._stats_at = time.monotonic() + self._stats_s
            self._say_counters()

    def _say_counters(self) -> None:
        parts = [f"{name} {count}" for name, count in sorted(self.counts.items()) if count]
        logger.info("records %s", "; ".join(parts) or "none yet")
