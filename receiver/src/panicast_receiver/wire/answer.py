# SPDX-License-Identifier: GPL-2.0-or-later
"""What a receiver answers to a test record: one small datagram that no receiver takes for a record.

Pure. docs/wire.md is the contract, tests/wire/answers.json holds examples.
"""

from __future__ import annotations

import struct

from .sealing import seal_answer
from .v1 import FLAG_SEALED, HEADER, TYPES, VERSION

MAGIC = b"PCSA"
#: magic, version, type, flags, key id, boot id, event, restored, frames, salt, host: as long as a record's.
_HEADER = struct.Struct(">4sBBBB16sIHH16s32s")
assert _HEADER.size == HEADER.size
SALT_BYTES = 16
#: What is said of the receiver's name.
NAME_BYTES = 64
#: Where a record's header has its type, and those that are answered.
_TYPE_AT = 5
_ANSWERED = frozenset(number for number, name in TYPES.items() if name == "test")


def is_test(datagram: bytes) -> bool:
    """Tell whether a datagram, if it is one of a record at all, is one that is answered."""
    return len(datagram) >= HEADER.size and datagram[_TYPE_AT] in _ANSWERED


def encode(header: bytes, restored: int, name: str, key: bytes | None, salt: bytes) -> bytes:
    """Return the answer to the record with this header, of which ``restored`` frames were lost and
    came back.

    ``key`` is the record's, None if it was not sealed. ``salt``: 16 random bytes, never used twice.
    """
    fields = HEADER.unpack(header)
    _, _, kind, flags, key_id, boot_id, event, _, count, _, _, _, host = fields
    flags &= FLAG_SEALED
    salt = salt if flags else bytes(SALT_BYTES)
    answer = _HEADER.pack(
        *(MAGIC, VERSION, kind, flags, key_id if flags else 0, boot_id, event, restored, count, salt, host)
    )
    said = _cut(name)
    return answer + (seal_answer(answer, said, key) if key is not None else said)


def _cut(name: str) -> bytes:
    """Return a name in UTF-8, no letter of it in halves; a question mark if there is none."""
    whole = name.encode("utf-8", "replace")[:NAME_BYTES]
    return whole.decode("utf-8", "ignore").encode() or b"?"
