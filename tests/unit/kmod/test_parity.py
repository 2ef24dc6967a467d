# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod/parity.c against the recorded vectors and against an arithmetic of its own, under the sanitizers."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.wire.sealing import seal_frame

from .conftest import VECTORS, Encoder, Parity, chunk

WITH_PARITY = [vector for vector in VECTORS if "parity" in vector]
HEADER = bytes.fromhex(VECTORS[0]["frames"][0])[:80]


def times(a: int, b: int) -> int:
    """The product in GF(2^8) with the polynomial 0x11d, as one learns it."""
    product = 0
    for bit in range(8):
        product ^= (a << bit) if b >> bit & 1 else 0
    for bit in range(14, 7, -1):
        product ^= (0x11D << (bit - 8)) if product >> bit & 1 else 0
    return product


def inverse(a: int) -> int:
    return next(b for b in range(256) if times(a, b) == 1)


def factor(p: int, s: int) -> int:
    return times(128 ^ s, inverse((128 + p) ^ s))


@pytest.mark.parametrize("vector", WITH_PARITY, ids=lambda vector: vector["name"])
def test_vectors_byte_for_byte(encoder: Encoder, parity: Parity, vector: dict) -> None:
    header, meta = bytes.fromhex(vector["frames"][0]), encoder.meta(vector["meta"])
    frames = parity.frames(header, meta, vector["text"].encode(), chunk(vector), len(vector["parity"]))
    if vector["key"]:
        key = bytes.fromhex(vector["key"])
        frames = [seal_frame(frame[:80], frame[80:], key) for frame in frames]
    assert [frame.hex() for frame in frames] == vector["frames"] + vector["parity"]


def test_the_vectors_have_parity_of_every_kind() -> None:
    assert {bool(vector["key"]) for vector in WITH_PARITY} == {True, False}
    assert min(vector["count"] for vector in WITH_PARITY) == 2
    assert max(vector["count"] for vector in WITH_PARITY) > 128


@settings(max_examples=60, deadline=None)
@given(
    meta=st.binary(max_size=500),
    text=st.binary(max_size=4000),
    size=st.integers(1, 500),
    frames=st.integers(1, 6),
)
def test_parity_is_the_sum_of_the_contract(
    parity: Parity, meta: bytes, text: bytes, size: int, frames: int
) -> None:
    meta = meta[:size]
    made = [frame[80:] for frame in parity.frames(HEADER, meta, text, size, frames)]
    sources, sums = made[:-frames], made[-frames:]
    longest = max(map(len, sources))
    blocks = -(-len(sources) // 128)
    for j, got in enumerate(sums):
        block, p = sources[j % blocks :: blocks], j // blocks
        wanted = bytearray(longest)
        for s, source in enumerate(block):
            by = factor(p, s)
            for at, byte in enumerate(source):
                wanted[at] ^= times(by, byte)
        assert got == wanted


def test_a_block_of_the_largest_size_has_128_parities(parity: Parity) -> None:
    text = bytes(range(256)) * 8
    made = [frame[80:] for frame in parity.frames(HEADER, b"m", text[: 127 * 8], 8, 128)]
    sources, last = [frame.ljust(8, b"\0") for frame in made[:128]], made[-1]
    assert len(sources) == 128
    for at in range(8):
        wanted = 0
        for s, source in enumerate(sources):
            wanted ^= times(factor(127, s), source[at])
        assert last[at] == wanted


@pytest.mark.parametrize("percent", [1, 10, 33, 50, 99, 100])
def test_a_record_has_no_fewer_parity_frames_than_were_asked_for(encoder: Encoder, percent: int) -> None:
    """A record of one frame has one, too: that is where losing one loses all."""
    for count in range(1, 1200):
        made = encoder.parity_count(count, percent)
        assert made * 100 >= count * percent > (made - 1) * 100, count
    assert encoder.parity_count(1, percent) == 1
    assert encoder.parity_count(70, 0) == 0


def test_every_square_of_the_factors_can_be_undone() -> None:
    # all of two by two; that any is so is known of Cauchy's matrices
    factors = {(p, s): factor(p, s) for p in range(0, 128, 9) for s in range(0, 128, 7)}
    for p, q in combinations(range(0, 128, 9), 2):
        for s, t in combinations(range(0, 128, 7), 2):
            assert times(factors[p, s], factors[q, t]) != times(factors[p, t], factors[q, s])
