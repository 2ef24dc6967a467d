# SPDX-License-Identifier: GPL-2.0-or-later
"""NATS JetStream: publishes records to a stream that any number of receivers fill, each record
once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import nats.errors
from nats.aio.client import Client
from nats.js.errors import NoStreamResponseError

from . import Notice, Refused
from .broker import Broker, pack, subject, words

#: Seconds that an acknowledgement may take, and all of a batch, looking for a server included.
_ACK_S, _BATCH_S = 10, 60


class JetStream:
    """Publishes the records of a batch in parallel and waits until the stream has acknowledged
    each.

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
        try:
            asyncio.run(asyncio.wait_for(self._publish(batch), _BATCH_S))
        except (nats.errors.Error, asyncio.TimeoutError) as error:
            raise OSError(f"NATS: {words(error)}") from error

    async def _publish(self, batch: Sequence[Notice]) -> None:
        async with self._broker.connected() as client:
            try:
                await self._publish_all(client, batch)
            except NoStreamResponseError:
                # There is none yet, or nobody leads it at the moment.
                await self._broker.make_stream(client)
                await self._publish_all(client, batch)

    async def _publish_all(self, client: Client, batch: Sequence[Notice]) -> None:
        stream = client.jetstream()
        messages = []
        for notice in batch:
            packed = pack(notice.record, client.max_payload)
            if packed is None:
                raise Refused(f"it is larger than the max_payload of the server, {client.max_payload} bytes")
            messages.append((subject(notice.record), *packed))
        tasks = [
            stream.publish(to, data, timeout=_ACK_S, headers=dict(headers)) for to, data, headers in messages
        ]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
