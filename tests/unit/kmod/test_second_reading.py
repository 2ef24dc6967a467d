# SPDX-License-Identifier: GPL-2.0-or-later
"""Records by an encoder that was written from docs/wire.md alone, with another library's cipher: the module's
encoder makes the same frames, and the receiver makes the record of them, also where frames are lost."""

from __future__ import annotations

import hmac
import random
import struct
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.records.record import Instant, Record, Source
from panicast_receiver.wire.sealing import MasterKey

from .conftest import Parity

HEADER, TAG, KEY_ID, MOST = 80, 16, 5, 1024
QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))

POWERS = [1]
for _ in range(254):
    doubled = POWERS[-1] << 1
    POWERS.append(doubled ^ 0x11D if doubled & 0x100 else doubled)
LOGARITHMS = {power: exponent for exponent, power in enumerate(POWERS)}


def times(a: int, b: int) -> int:
    return POWERS[(LOGARITHMS[a] + LOGARITHMS[b]) % 255] if a and b else 0


def over(a: int, b: int) -> int:
    return POWERS[(LOGARITHMS[a] - LOGARITHMS[b]) % 255] if a else 0


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """The key that XChaCha20 goes on with (draft-irtf-cfrg-xchacha)."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def mix(target: int, source: int, other: int, bits: int) -> None:
        state[target] = (state[target] + state[source]) & 0xFFFFFFFF
        turned = state[other] ^ state[target]
        state[other] = (turned << bits | turned >> (32 - bits)) & 0xFFFFFFFF

    for _ in range(10):
        for a, b, c, d in (*QUARTERS, *DIAGONALS):
            for target, source, other, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                mix(target, source, other, bits)
    return struct.pack("<8I", *state[:4], *state[12:])


@dataclass
class Made:
    """A record: its datagrams as they are sent, and before they are sealed."""

    chunk: int
    count: int
    parity: int
    meta: bytes
    text: bytes
    sealed: bool
    master: bytes
    plain: list[bytes]
    sent: list[bytes]


def make(draw: random.Random) -> Made:
    sealed = draw.random() < 0.5
    chunk = draw.choice([400, 988, 1392]) - TAG * sealed
    text = draw.randbytes(draw.choice([0, 1, 300, chunk, 5000, 70_000, 200_000]))[: (MOST - 1) * chunk]
    meta = b"".join(b"%s=%d\n" % (key, draw.getrandbits(40)) for key in (b"host", b"reason", b"new_key"))
    pieces = [(0, meta)]
    while end := pieces[-1][0] if len(pieces) > 1 else len(text):
        start = max(0, end - chunk)
        pieces.append((start, text[start:end]))
    count = len(pieces)
    blocks = -(-count // 128)
    parity = min(draw.choice([0, 1, count // 2, count]), 128 * blocks)
    host = (b"host-%d.example.net" % draw.getrandbits(30)).ljust(32, b"\0")
    boot_id, event, ns = draw.randbytes(16), draw.randrange(1, 1 << 32), draw.getrandbits(63)
    kind, flags = draw.choice([1, 2, 3]), sealed | 2 * draw.getrandbits(1)

    def header(seq: int, offset: int) -> bytes:
        first = struct.pack(">4sBBBB16sI", b"PCST", 1, kind, flags, KEY_ID * sealed, boot_id, event)
        return first + struct.pack(">HHIIQ", seq, count, offset, len(text), ns) + host

    size = max(len(piece) for _, piece in pieces)
    datagrams = [(header(seq, offset), piece) for seq, (offset, piece) in enumerate(pieces)]
    for number in range(parity):
        block, p = number % blocks, number // blocks
        total = 0
        for index in range(block, count, blocks):
            s = index // blocks
            factor = over(128 ^ s, (128 + p) ^ s)
            product = (
                pieces[index][1].ljust(size, b"\0").translate(bytes(times(factor, x) for x in range(256)))
            )
            total ^= int.from_bytes(product, "big")
        datagrams.append((header(count + number, len(meta)), total.to_bytes(size, "big")))
    master = draw.randbytes(32)
    secret = hmac.digest(bytes(32), master, "sha256")
    key = hmac.digest(secret, b"panicast host key 1\0" + host + b"\1", "sha256")

    def seal(head: bytes, payload: bytes) -> bytes:
        nonce = head[8:30] + bytes(2)
        cipher = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
        return cipher.encrypt(bytes(4) + nonce[16:], payload, head)

    plain = [head + payload for head, payload in datagrams]
    sent = [head + seal(head, payload) for head, payload in datagrams] if sealed else plain
    return Made(chunk, count, parity, meta, text, sealed, master, plain, sent)


def received(made: Made, lost: frozenset[int]) -> list[Record]:
    """What the receiver makes of the datagrams but those."""
    intake = Intake(Limits(), 60)
    intake.keys, intake.require_sealed = {KEY_ID: MasterKey(made.master)}, made.sealed
    records = []
    for number, datagram in enumerate(made.sent):
        if number not in lost:
            records += intake.feed(Packet(datagram, Source()), Instant(0.0, 0))
    return records or intake.flush()


@pytest.mark.parametrize("seed", range(25))
def test_both_sides_read_the_format_alike(parity: Parity, seed: int) -> None:
    draw = random.Random(seed)
    made = make(draw)
    assert parity.frames(made.plain[0], made.meta, made.text, made.chunk, made.parity) == made.plain
    blocks = -(-made.count // 128)
    losses = [frozenset[int]()]
    if made.parity:
        each = min(made.parity // blocks, 5)
        losses.append(
            frozenset(
                index
                for block in range(blocks)
                for index in draw.sample(range(block, made.count, blocks), each)
            )
        )
    for lost in losses:
        (record,) = received(made, lost)
        assert record.complete and record.sealed == made.sealed and record.restored == len(lost)
        assert (record.received_text, record.metadata) == (made.text, made.meta)
