# SPDX-License-Identifier: GPL-2.0-or-later
"""What the NATS sink and ``collect`` share: the connection, the stream, and the contents of a
message."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import nats
import nats.errors
import zstandard
from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from ..compressed import expand
from ..secretfile import read_line
from ..settings.kinds import parse_servers
from .document import checked, checked_boots


class Stream(NamedTuple):
    """A stream of the cluster: for how many seconds it keeps a message, and how many bytes of them (-1:
    as the server allows)."""

    name: str
    subjects: str
    keep_s: int
    most_bytes: int = -1


RECORDS = Stream("PANICAST", "panicast.records.*", 30 * 86400)
#: What hosts are known by. A newer message says all that an older one of the same boots said.
HOSTS = Stream("PANICAST_HOSTS", "panicast.hosts", 7 * 86400, 128 << 20)
#: Seconds for which a stream remembers ids: longer than a sink's longest pause.
_REMEMBER_S = 900
#: More copies than this make a cluster slower, not safer.
_MOST_COPIES = 3
_CONNECT_S = 5
#: What a message's headers take at most, of what the server lets a message have.
_HEADER_ROOM = 1024
_ENCODING = "Content-Encoding"
#: A document unpacked: the longest text, each byte escaped, and the rest.
_MOST_BYTES = 16 << 20


class Login(NamedTuple):
    """Our login to the servers: user and password, or a token; None means no login."""

    user: str | None = None
    password: str | None = None
    token: str | None = None


def read_login(path: str) -> Login:
    """Return the login in a file of one line, USER:PASSWORD or a token. Raises ReceiverError."""
    if not path:
        return Login()
    line = read_line(path, "the login: USER:PASSWORD or a token")
    user, colon, password = line.partition(":")
    return Login(user, password) if colon else Login(token=user)


class Broker:
    """The servers of one cluster, and our login to them. Raises ReceiverError."""

    def __init__(self, servers: str, login_file: str) -> None:
        self._servers = parse_servers(servers)
        self._login = read_login(login_file)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """Yield a connection and close it at the end. It looks for another server if its own is
        gone."""
        complaints: list[str] = []

        async def complain(error: Exception) -> None:
            complaints.append(words(error))

        try:
            client: Client = await nats.connect(
                self._servers,
                name="panicast-receiver",
                error_cb=complain,
                connect_timeout=_CONNECT_S,
                reconnect_time_wait=1,
                max_reconnect_attempts=2,
                **{key: value for key, value in self._login._asdict().items() if value is not None},
            )
        except nats.errors.NoServersError as error:
            said = ", ".join(sorted(set(complaints))) or words(error)
            raise OSError(f"no server of {', '.join(self._servers)} takes us: {said}") from error
        try:
            yield client
        finally:
            # Without a word to servers that are gone: what was to be heard was awaited.
            with contextlib.suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
                await asyncio.wait_for(client.close(), _CONNECT_S)

    async def make_stream(self, client: Client, stream: Stream) -> None:
        """Create a stream if there is none, with a replica on each server that was named, at most
        three. An existing one does not change."""
        copies = min(len(self._servers), _MOST_COPIES)
        try:
            await client.jetstream().stream_info(stream.name)
        except NotFoundError:
            await client.jetstream().add_stream(
                StreamConfig(
                    name=stream.name,
                    subjects=[stream.subjects],
                    max_age=stream.keep_s,
                    max_bytes=stream.most_bytes,
                    duplicate_window=_REMEMBER_S,
                    num_replicas=copies,
                )
            )


def message_id(record: Mapping[str, Any]) -> str:
    """Return an id that is the same for the same sighting of a record, whichever receiver publishes
    it. It depends on what is missing."""
    missing = [record["sealed"], record["metadata_missing"], record["gaps"]]
    return f"{record['identity']}-{blake2b(json.dumps(missing).encode(), digest_size=8).hexdigest()}"


def pack(record: Mapping[str, Any], most: int) -> tuple[bytes, dict[str, str]] | None:
    """Return a record as a message and its headers: JSON, or zstd of it if a server that accepts
    ``most`` bytes would refuse the JSON; None if it refuses both."""
    plain = json.dumps(record).encode()
    headers = {"Nats-Msg-Id": message_id(record)}
    if len(plain) + _HEADER_ROOM <= most:
        return plain, headers
    packed, its_headers = _packed(plain)
    return (packed, {**headers, **its_headers}) if len(packed) + _HEADER_ROOM <= most else None


def pack_hosts(hosts: Sequence[Mapping[str, Any]]) -> tuple[bytes, dict[str, str]]:
    """Return what is known of boots as a message and its headers."""
    return _packed(json.dumps(hosts).encode())


def _packed(plain: bytes) -> tuple[bytes, dict[str, str]]:
    return zstandard.ZstdCompressor(level=3).compress(plain), {_ENCODING: "zstd"}


def expanded(data: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the JSON of a message. Raises ValueError."""
    return expand(data, _MOST_BYTES) if headers.get(_ENCODING) else data


def unpack(plain: bytes) -> dict[str, Any]:
    """Return the record that a message's JSON is. Raises ValueError."""
    return checked(_read(plain))


def unpack_hosts(plain: bytes) -> list[dict[str, Any]]:
    """Return what a message's JSON tells of boots. Raises ValueError."""
    return checked_boots(_read(plain))


def _read(plain: bytes) -> Any:
    try:
        return json.loads(plain)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def subject(record: Mapping[str, Any]) -> str:
    """Return the subject of a record, by its type."""
    return RECORDS.subjects.replace("*", record["type"])


def words(error: BaseException) -> str:
    """Return the words of the client library's errors, some of which have none."""
    return str(error) or type(error).__name__
