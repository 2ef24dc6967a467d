# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod/wire.c against the recorded vectors, and against hostile strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.wire.sealing import seal_frame

from .conftest import OPTIONAL, VECTORS, Encoder, Meta, chunk, record

SEALED = [vector for vector in VECTORS if vector["key"] is not None]
PLAIN = [vector for vector in VECTORS if vector["key"] is None]


@pytest.mark.parametrize("vector", PLAIN, ids=lambda vector: vector["name"])
def test_vectors_byte_for_byte(encoder: Encoder, vector: dict) -> None:
    rec = record(vector, encoder.meta(vector["meta"]), vector["text"].encode(), chunk(vector))
    assert [frame.hex() for frame in encoder.frames(rec)] == vector["frames"]


@pytest.mark.parametrize("vector", SEALED, ids=lambda vector: vector["name"])
def test_sealed_vectors_are_what_the_kernel_seals(encoder: Encoder, vector: dict) -> None:
    # The cipher is the kernel's own; what it gets as payload, nonce and additional data is ours.
    rec = record(vector, encoder.meta(vector["meta"]), vector["text"].encode(), chunk(vector))
    sealed = [
        seal_frame(frame[:80], frame[80:], bytes.fromhex(vector["key"])) for frame in encoder.frames(rec)
    ]
    assert [frame.hex() for frame in sealed] == vector["frames"]


def test_the_vectors_have_whole_panics() -> None:
    whole = [vector for vector in PLAIN if len(vector["meta"]) == len(Meta._fields_) - len(OPTIONAL)]
    assert max(vector["count"] for vector in whole) > 2


@given(text=st.binary(max_size=5000), size=st.integers(468, 1392))
def test_payloads_make_up_the_text_newest_first(encoder: Encoder, text: bytes, size: int) -> None:
    frames = encoder.frames(record(PLAIN[0], b"host=a\n", text, size))
    offsets = [int.from_bytes(frame[32:36], "big") for frame in frames[1:]]
    assert frames[0][80:] == b"host=a\n"
    assert offsets == sorted(offsets, reverse=True)
    assert b"".join(frame[80:] for frame in reversed(frames[1:])) == text
    assert all(len(frame) <= 80 + size for frame in frames)
    assert {int.from_bytes(frame[30:32], "big") for frame in frames} == {len(frames)}


@given(text=st.binary(max_size=80).filter(lambda text: 0 not in text), size=st.integers(1, 90))
def test_values_are_clean_utf8_whatever_a_task_is_called(encoder: Encoder, text: bytes, size: int) -> None:
    value = encoder.value(text, size)
    assert len(value) < size
    assert all(char.isprintable() or ord(char) >= 0x80 for char in value.decode())
    assert not value.endswith(b" ")


@given(text=st.text(st.characters(min_codepoint=0x21, exclude_characters="\x7f", exclude_categories=["Cs"])))
def test_utf8_is_left_alone(encoder: Encoder, text: str) -> None:
    assert encoder.value(text.encode(), 4 * len(text) + 1) == text.encode()


def test_keys_that_only_some_records_have_come_last(encoder: Encoder) -> None:
    usual = encoder.meta(PLAIN[0]["meta"])
    assert not any(f"{key}=".encode() in usual for key in OPTIONAL)
    more = {"addr": "2001:db8::7", "unresolved": "10.1.2.3,2001:db8::1"}
    added = "".join(f"{key}={value}\n" for key, value in more.items()).encode()
    assert encoder.meta({**PLAIN[0]["meta"], **more}) == usual + added


def test_of_an_earlier_boot_no_number_of_this_one_is_sent(encoder: Encoder) -> None:
    numbers = ("uptime_ns", "cpu", "pid")
    said = encoder.meta({**PLAIN[0]["meta"], "kept": "pstore"}).decode().splitlines()
    assert {f"{key}=" for key in numbers} <= set(said) and said[-1] == "kept=pstore"


def without_reason(meta: bytes) -> set[bytes]:
    return {line for line in meta.splitlines(keepends=True) if not line.startswith(b"reason=")}


@given(size=st.integers(0, 700))
def test_metadata_that_does_not_fit_loses_whole_lines(encoder: Encoder, size: int) -> None:
    whole = encoder.meta(PLAIN[0]["meta"])
    cut = encoder.meta(PLAIN[0]["meta"], size)
    assert without_reason(cut) <= without_reason(whole)


@given(reason=st.text("aü€😀", min_size=1), size=st.integers(450, 1392))
def test_a_reason_that_does_not_fit_is_cut_and_costs_no_other_line(
    encoder: Encoder, reason: str, size: int
) -> None:
    reason = (reason * 1024).encode()[:1023].decode(errors="ignore")
    meta = encoder.meta({**PLAIN[0]["meta"], "reason": reason}, size)
    said = next(line for line in meta.decode().splitlines() if line.startswith("reason="))[len("reason=") :]
    assert said
    assert reason.startswith(said)
    assert without_reason(meta) == without_reason(encoder.meta(PLAIN[0]["meta"]))
    # Cut between two characters, of at most four bytes here.
    assert said == reason or len(meta) >= size - 4
