# SPDX-License-Identifier: GPL-2.0-or-later
"""What the receiver knows of one record, complete or not: the value that capture passes to the
store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from ..wire.answer import is_test
from ..wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, HEADER, HOST_BYTES, KEPT_EVENT, parse_metadata
from .extents import Gap, Run, gaps

ID_BYTES = 6
#: The metadata key, set by us, that counts netconsole's messages that came incomplete or not at
#: all.
LOST_MESSAGES = "lost_messages"
#: Who kept the text over a reboot: a key of those records' metadata.
KEPT = "kept"
#: Keeps what the metadata does not say, or did not arrive to say.
UNKNOWN_KEEPER = "unknown"
#: printk cuts its own lines at 1 KiB.
_LONGEST_REASON = 1024
#: Bytes of a DNS name; Linux's own have 64. Each list is as wide as its longest name.
_LONGEST_NAME = 255
_PANIC_LINE = re.compile(rb"Kernel panic - not syncing: ([^\n]{0,%d})" % _LONGEST_REASON)


class Reply(NamedTuple):
    """What an answer to a test takes: the header of one of its datagrams, the UDP port that it came from, and
    the address that it was sent to."""

    header: bytes
    port: int
    to: bytes


class Source(NamedTuple):
    """Where a record was first heard from; ``iface`` is the receiver's own interface."""

    mac: str | None = None
    ip: str | None = None
    iface: str | None = None
    #: None for all that nobody answers.
    reply: Reply | None = None


def reply_to(datagram: bytes, port: int, to: bytes) -> Reply | None:
    """Return how a datagram from this port is answered, if it is one of a test."""
    return Reply(datagram[: HEADER.size], port, to) if is_test(datagram) else None


class Instant(NamedTuple):
    """One reading of the clocks: ``mono`` in seconds for waiting, ``wall_ns`` since the epoch for
    people."""

    mono: float
    wall_ns: int


def id_of(identity: bytes) -> str:
    """Return the short id of an identity, for people."""
    return blake2b(identity, digest_size=ID_BYTES).hexdigest()


@dataclass
class Record:
    """One record. ``metadata`` is seq 0's payload, None while it is missing; raw records have b''.

    Treat it as immutable: enforcing that would double what the capture pays to create one. ``runs``
    are the known pieces of the text, sorted, none overlapping. ``time_ns`` is the sender's clock
    (None for raw), ``received_ns`` ours. Properties are computed once, so change a record only by
    ``dataclasses.replace``.
    """

    identity: bytes
    format: str
    type: str
    header_host: str
    boot_id: bytes | None
    event: int | None
    flags: int
    frames: int
    time_ns: int | None
    received_ns: int
    text_length: int
    metadata: bytes | None
    runs: Sequence[Run]
    source: Source
    #: How many lost frames parity restored.
    restored: int = 0

    @cached_property
    def id(self) -> str:
        """Return the short id: the same on every receiver that has the record (raw: only on this
        one)."""
        return id_of(self.identity)

    @cached_property
    def meta(self) -> dict[str, str]:
        """Return the metadata's keys and values; empty while seq 0 is missing."""
        return parse_metadata(self.metadata or b"")

    @cached_property
    def host(self) -> str:
        """Return the whole node name from the metadata if it begins like the name in the header
        and is no longer than names are, else the header's.

        The header has only 32 bytes of it, but a host's own key stands for those.
        """
        stated = self.meta.get("host", "")
        name = stated.encode("utf-8", "backslashreplace")
        begins = name[:HOST_BYTES].decode("utf-8", "replace")
        fits = len(name) <= _LONGEST_NAME and begins == (self.header_host or begins)
        return stated if fits else self.header_host

    @cached_property
    def mac(self) -> str | None:
        """Return the sender's Ethernet address as the metadata states it (on the wire it may be a
        router's)."""
        return self.meta.get("mac", "").lower() or self.source.mac

    @cached_property
    def gaps(self) -> list[Gap]:
        """Return what is missing of the text."""
        return gaps(self.runs, self.text_length)

    @property
    def complete(self) -> bool:
        """Tell whether text and metadata are complete, and no message of unknown length is
        missing."""
        whole = self.metadata is not None and not self.gaps
        return whole and not (self.format == "netconsole" and LOST_MESSAGES in self.meta)

    @property
    def sealed(self) -> bool:
        """Tell whether it was sealed with one of our keys."""
        return bool(self.flags & FLAG_SEALED)

    @property
    def older_text(self) -> bool:
        """Tell whether the sender's log held older text that is not part of the record."""
        return bool(self.flags & FLAG_OLDER_TEXT)

    @property
    def kept(self) -> str:
        """Return who kept it over the reboot: ``pstore``, ``kdump``, or ``unknown`` while its metadata is
        missing. Empty for what the crashed kernel itself sent."""
        return kept_by(self.event, self.meta)

    @cached_property
    def reason(self) -> str:
        """Return why the machine died: from the metadata, else from the text's panic line, else
        empty."""
        stated = self.meta.get("reason", "")
        if stated or self.type != "panic":
            return stated
        found = _PANIC_LINE.search(self.received_text)
        return found.group(1).decode("utf-8", "backslashreplace") if found else ""

    @cached_property
    def received_text(self) -> bytes:
        """Return the bytes that arrived, in order, with nothing in place of gaps."""
        return b"".join(run.data for run in self.runs)

    @property
    def marked_text(self) -> bytes:
        """Return the text with a line ``[panicast: N bytes missing]`` in place of each gap."""
        parts = [(run.offset, run.data) for run in self.runs]
        parts += [(gap.offset, b"\n[panicast: %d bytes missing]\n" % gap.length) for gap in self.gaps]
        return b"".join(data for _, data in sorted(parts))


def kept_by(event: int | None, meta: Mapping[str, str]) -> str:
    """Return the value of ``Record.kept``."""
    return meta.get(KEPT) or UNKNOWN_KEEPER if event is not None and event >= KEPT_EVENT else ""


def headerless(
    format: str,
    identity_of: bytes,
    text: bytes,
    frames: int,
    received_ns: int,
    source: Source,
    metadata: bytes,
) -> Record:
    """Return the record of a panic in a format without v1's header. Its identity is a digest of
    ``identity_of``."""
    return Record(
        identity=blake2b(identity_of, digest_size=20).digest(),
        format=format,
        type="panic",
        header_host="",
        boot_id=None,
        event=None,
        flags=0,
        frames=frames,
        time_ns=None,
        received_ns=received_ns,
        text_length=len(text),
        metadata=metadata,
        runs=(Run(0, text),),
        source=source,
    )
