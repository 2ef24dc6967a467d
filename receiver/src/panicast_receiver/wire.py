# SPDX-License-Identifier: GPL-2.0-or-later
"""The v1 wire format: one UDP datagram in, a Frame or the reason for dropping it out.

Pure: no socket, no clock. docs/wire.md is the contract, tests/wire/vectors.json holds examples.
"""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

MAGIC = b"PCST"
VERSION = 1
#: magic, version, type, flags, key id, boot id, event, seq, count, offset, text length, time, host
HEADER = struct.Struct(">4sBBBB16sIHHIIQ32s")
TYPES = {1: "panic", 2: "oops", 3: "test", 4: "hello", 5: "bye"}
#: Types that tell a host's state and carry no text.
STATE_TYPES = frozenset({"hello", "bye"})
FLAG_SEALED = 0x01
FLAG_OLDER_TEXT = 0x02
MAX_COUNT = 1024
MAX_TEXT = 1 << 20


class Drop(enum.Enum):
    """Why a packet is not used; the value is the name under which it is counted."""

    SHORT = "too short"
    MAGIC = "wrong magic"
    VERSION = "unknown version"
    TYPE = "unknown type"
    SEALED = "sealed, no key"
    COUNT = "count out of range"
    SEQ = "seq not below count"
    TEXT_LENGTH = "text length out of range"
    OFFSET = "payload outside the text"
    STATE = "hello or bye with text"
    TRUNCATED = "truncated"
    NOT_RAW = "not a raw frame"
    FRAGMENT = "fragment"
    CHECKSUM = "bad IP checksum"
    RAW_LENGTH = "raw text empty or too long"


class Frame(NamedTuple):
    """One valid v1 frame. ``payload`` is metadata when ``seq`` is 0, else text at ``offset``."""

    type: str
    flags: int
    boot_id: bytes
    event: int
    seq: int
    frames: int
    offset: int
    text_length: int
    time_ns: int
    host: str
    payload: bytes


def decode(datagram: bytes) -> Frame | Drop:
    """Decode and check the payload of one UDP datagram."""
    if len(datagram) < HEADER.size:
        return Drop.SHORT
    (
        magic,
        version,
        type_id,
        flags,
        _key_id,
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
    if flags & FLAG_SEALED:
        return Drop.SEALED
    if not 1 <= count <= MAX_COUNT:
        return Drop.COUNT
    if seq >= count:
        return Drop.SEQ
    if text_length > MAX_TEXT:
        return Drop.TEXT_LENGTH
    if type_name in STATE_TYPES and (count != 1 or text_length):
        return Drop.STATE
    payload = datagram[HEADER.size :]
    outside = offset != 0 if seq == 0 else offset + len(payload) > text_length
    if outside:
        return Drop.OFFSET
    host_name = host.partition(b"\0")[0].decode("utf-8", "replace")
    return Frame(
        type_name, flags, boot_id, event, seq, count, offset, text_length, time_ns, host_name, payload
    )


def parse_metadata(payload: bytes) -> dict[str, str]:
    """Turn seq 0's ``key=value`` lines into a dict; unknown keys are kept, the first of two wins.

    Bytes that are not UTF-8 come out as ``\\xNN`` so that nothing a host sends can be lost or raise.
    """
    meta: dict[str, str] = {}
    for line in payload.decode("utf-8", "backslashreplace").split("\n"):
        key, _, value = line.partition("=")
        if key:
            meta.setdefault(key, value)
    return meta
