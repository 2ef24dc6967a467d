# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses and makes the v1 wire format. Pure: it takes a UDP datagram and returns a Frame or why to
drop it.

docs/wire.md is the contract, tests/wire/vectors.json has examples.
"""

from __future__ import annotations

import enum
import struct
from hashlib import blake2b
from typing import NamedTuple

from .parity import block_of

MAGIC = b"PCST"
VERSION = 1
#: How every v1 datagram begins.
OURS = MAGIC + bytes([VERSION])
#: magic, version, type, flags, key id, boot id, event, seq, count, offset, text length, time, host
HEADER = struct.Struct(">4sBBBB16sIHHIIQ32s")
TYPES = {1: "panic", 2: "oops", 3: "test", 4: "hello", 5: "bye"}
_TYPE_IDS = {name: number for number, name in TYPES.items()}
#: Where a header's three parts end. All frames of a record have the first and the last in common (magic to
#: event; text length to host), and of the middle (seq, count, offset) the count.
PREFIX_END, PIECE_END = 28, 36
COUNT = slice(30, 32)
#: The bytes of a header in which the frames of a record differ: seq and offset.
DIFFERENT = (28, 29, 32, 33, 34, 35)
_NO_SEQ, _NO_OFFSET = bytes(2), bytes(4)
_PREFIX, _SUFFIX = slice(PREFIX_END), slice(PIECE_END, HEADER.size)
HOST_BYTES = 32
#: Bytes of a v1 record's identity after boot id and event.
_DIGEST_BYTES = 12
#: Types that tell a host's state and carry no text.
STATE_TYPES = frozenset({"hello", "bye"})
#: Events from here on are of records that were kept over a reboot: by firmware, or by kdump.
KEPT_EVENT = 1 << 31
FLAG_SEALED = 0x01
FLAG_OLDER_TEXT = 0x02
#: Bytes that sealing adds to a payload.
TAG_BYTES = 16
#: Bits that hold a seq.
SEQ_BITS = 10
MAX_COUNT = 1 << SEQ_BITS
#: Payload bytes of a datagram that we make: it fits into an Ethernet frame.
_PAYLOAD = 1392
MAX_TEXT = 1 << 20


class Drop(enum.Enum):
    """Why a packet is not used; the value is the name under which it is counted."""

    DUPLICATE = "duplicate"
    SHORT = "too short"
    MAGIC = "wrong magic"
    VERSION = "unknown version"
    TYPE = "unknown type"
    SEALED = "sealed, no key"
    FORGED = "sealed, but not with our key"
    UNSEALED = "not sealed"
    RATE = "sender begins too many records"
    COUNT = "count out of range"
    SEQ = "seq not below count"
    TEXT_LENGTH = "text length out of range"
    OFFSET = "payload outside the text"
    STATE = "hello or bye with text"
    TRUNCATED = "truncated"
    NOT_OURS = "neither raw nor UDP"
    FRAGMENT = "fragment"
    CHECKSUM = "bad IP checksum"
    UDP_CHECKSUM = "bad UDP checksum"
    NETCONSOLE = "no message of netconsole"
    RAW_LENGTH = "raw text empty or too long"


#: What all frames of a record have in common: the header as it is on the wire, but 0 for seq and offset.
#: Frames that differ in any of it belong to different records.
Key = bytes


class Frame(NamedTuple):
    """A valid v1 frame. ``payload`` is metadata if ``seq`` is 0, else text at ``offset``. If
    ``seq`` is not below ``frames``, it is parity, and ``offset`` is the size of the metadata."""

    type: str
    flags: int
    boot_id: bytes
    event: int
    seq: int
    frames: int
    offset: int
    text_length: int
    time_ns: int
    host_field: bytes
    payload: bytes
    key_id: int
    key: Key

    @property
    def host(self) -> str:
        """Return the node name as far as the header holds it."""
        return self.host_field.partition(b"\0")[0].decode("utf-8", "replace")

    @property
    def sealed(self) -> bool:
        """Tell whether the frame is sealed, or was before it was opened."""
        return bool(self.flags & FLAG_SEALED)

    @property
    def identity(self) -> bytes:
        """Return the identity of the record, which is the same everywhere: boot id, event, and a
        digest of what all frames' headers have in common. Somebody who forges boot id and event
        makes another record, which does not touch the honest one."""
        return _identity(self.boot_id, self.event, self.key)


def _identity(boot_id: bytes, event: int, key: Key) -> bytes:
    common = key[_PREFIX] + key[COUNT] + key[_SUFFIX]
    digest = blake2b(common, digest_size=_DIGEST_BYTES).digest()
    return boot_id + event.to_bytes(4, "big") + digest


def key_of(prefix: bytes, count: bytes, suffix: bytes) -> Key:
    """Return the key of a record by the parts of its frames' headers."""
    return b"".join((prefix, _NO_SEQ, count, _NO_OFFSET, suffix))


def key_in(datagram: bytes) -> Key:
    """Return the key of the record that a datagram belongs to."""
    return key_of(datagram[_PREFIX], datagram[COUNT], datagram[_SUFFIX])


def decode(datagram: bytes) -> Frame | Drop:
    """Return the frame in a UDP datagram, checked, or why it is dropped. A sealed frame's payload
    is not opened."""
    if len(datagram) < HEADER.size:
        return Drop.SHORT
    (
        magic,
        version,
        type_id,
        flags,
        key_id,
        boot_id,
        event,
        seq,
        count,
        offset,
        text_length,
        time_ns,
        host,
    ) = HEADER.unpack_from(datagram)
    if magic != MAGIC:
        return Drop.MAGIC
    if version != VERSION:
        return Drop.VERSION
    type_name = TYPES.get(type_id)
    if type_name is None:
        return Drop.TYPE
    if not 1 <= count <= MAX_COUNT:
        return Drop.COUNT
    if text_length > MAX_TEXT:
        return Drop.TEXT_LENGTH
    if type_name in STATE_TYPES and (count != 1 or text_length):
        return Drop.STATE
    payload = datagram[HEADER.size :]
    size = len(payload) - (TAG_BYTES if flags & FLAG_SEALED else 0)
    if size < 0:
        return Drop.SHORT
    if seq >= count:
        if type_name in STATE_TYPES or not block_of(seq, count, offset, size, text_length):
            return Drop.SEQ
    elif offset != 0 if seq == 0 else offset + size > text_length:
        return Drop.OFFSET
    return Frame(
        type_name,
        flags,
        boot_id,
        event,
        seq,
        count,
        offset,
        text_length,
        time_ns,
        host,
        payload,
        key_id,
        key_in(datagram),
    )


def identity_of(
    kind: str,
    flags: int,
    boot_id: bytes,
    event: int,
    frames: int,
    text_length: int,
    time_ns: int,
    host: str,
) -> bytes:
    """Return the identity of a record with these facts; its key id is 0."""
    # Not decoded: what another version has taken need not be what this one would take.
    header = _header(kind, flags, boot_id, event, 0, frames, 0, text_length, time_ns, host)
    return _identity(boot_id, event, key_in(header))


def _header(
    kind: str,
    flags: int,
    boot_id: bytes,
    event: int,
    seq: int,
    frames: int,
    offset: int,
    text_length: int,
    time_ns: int,
    host: str,
) -> bytes:
    """Return the header of a frame whose key id is 0."""
    field = host.encode("utf-8", "backslashreplace")[:HOST_BYTES]
    place = (boot_id, event, seq, frames, offset, text_length, time_ns, field)
    return HEADER.pack(MAGIC, VERSION, _TYPE_IDS[kind], flags, 0, *place)


def encode(
    type_name: str, boot_id: bytes, event: int, time_ns: int, host: str, metadata: bytes, text: bytes
) -> list[bytes]:
    """Return the datagrams of a record as a sender makes them: metadata, then the text, newest
    first."""
    ends = range(len(text), 0, -_PAYLOAD)
    pieces = [(0, metadata), *((max(0, end - _PAYLOAD), text[max(0, end - _PAYLOAD) : end]) for end in ends)]
    return [
        _header(type_name, 0, boot_id, event, seq, len(pieces), offset, len(text), time_ns, host) + payload
        for seq, (offset, payload) in enumerate(pieces)
    ]


def parse_metadata(payload: bytes) -> dict[str, str]:
    """Return seq 0's ``key=value`` lines as a dict. Keeps unknown keys, and the first of two equal
    keys.

    Bytes that are not UTF-8 become ``\\xNN``, so that nothing a host sends is lost or raises an
    error.
    """
    meta: dict[str, str] = {}
    for line in payload.decode("utf-8", "backslashreplace").split("\n"):
        key, _, value = line.partition("=")
        if key:
            meta.setdefault(key, value)
    return meta
