# SPDX-License-Identifier: GPL-2.0-or-later
"""NATS JetStream: publishes records to a stream that any number of receivers fill, each record
once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import nats.errors
from nats.aio.client import Client
from nats.js.errors import NoStreamResponseError

from . import Notice, Refused
from .broker import HOSTS, RECORDS, Broker, Stream, pack, pack_hosts, subject, words

#: Seconds that an acknowledgement may take, and all of a batch, looking for a server included.
_ACK_S, _BATCH_S = 10, 60
#: Subject, contents and headers.
Message = tuple[str, bytes, dict[str, str]]


class JetStream:
    """A Sink and a Register. Publishes the records of a batch in parallel and waits until the stream has
    acknowledged each.

    It makes a connection and an event loop for each batch, because panics are rare and not worth a
    thread. What was acknowledged before something failed is sent again under the same id, and the
    stream drops it.
    """

    def __init__(self, broker: Broker) -> None:
        self.name = "nats"
        self.most = 64
        self._broker = broker

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""

        def pack_all(most: int) -> list[Message]:
            messages = []
            for notice in batch:
                packed = pack(notice.record, most)
                if packed is None:
                    raise Refused(f"it is larger than the max_payload of the server, {most} bytes")
                messages.append((subject(notice.record), *packed))
            return messages

        self._publish(RECORDS, pack_all)

    def hear(self, hosts: Sequence[Mapping[str, Any]]) -> None:
        """See Register."""
        self._publish(HOSTS, lambda _: [(HOSTS.subjects, *pack_hosts(hosts))])

    def _publish(self, stream: Stream, made: Callable[[int], list[Message]]) -> None:
        """Publish to a stream; ``made`` returns the messages that a server takes with so many bytes."""
        try:
            asyncio.run(asyncio.wait_for(self._publish_to(stream, made), _BATCH_S))
        except (nats.errors.Error, asyncio.TimeoutError) as error:
            raise OSError(f"NATS: {words(error)}") from error

    async def _publish_to(self, stream: Stream, made: Callable[[int], list[Message]]) -> None:
        async with self._broker.connected() as client:
            messages = made(client.max_payload)
            try:
                await self._publish_all(client, messages)
            except NoStreamResponseError:
                # There is none yet, or nobody leads it at the moment.
                await self._broker.make_stream(client, stream)
                await self._publish_all(client, messages)

    @staticmethod
    async def _publish_all(client: Client, messages: Sequence[Message]) -> None:
        stream = client.jetstream()
        tasks = [
            stream.publish(to, data, timeout=_ACK_S, headers=dict(headers)) for to, data, headers in messages
        ]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
