# SPDX-License-Identifier: GPL-2.0-or-later
"""The decoders: the vectors byte for byte, every bound, and whatever else may arrive."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.wire.ethernet import parse_ethernet
from panicast_receiver.wire.raw import RawFrame, decode_raw
from panicast_receiver.wire.v1 import Drop, Frame, decode, encode, identity_of, parse_metadata

from ..headers import header


def test_every_open_vector_frame_is_decoded_to_its_fields(vectors):
    for vector in (v for v in vectors if v["key"] is None):
        frames = [decode(frame) for frame in vector["frames"]]
        text = bytearray(len(vector["text"].encode()))
        for number, frame in enumerate(frames):
            assert isinstance(frame, Frame)
            assert (
                frame.type,
                frame.boot_id.hex(),
                frame.event,
                frame.host,
                frame.time_ns,
                frame.flags,
            ) == tuple(vector[key] for key in ("type", "boot_id", "event", "host", "ns", "flags"))
            assert (frame.seq, frame.frames, frame.text_length) == (number, vector["count"], len(text))
            if number:
                text[frame.offset : frame.offset + len(frame.payload)] = frame.payload
        assert parse_metadata(frames[0].payload) == vector["meta"]
        assert text.decode() == vector["text"]


def test_sealed_frames_are_decoded_but_for_their_payload(vectors):
    for vector in (v for v in vectors if v["key"]):
        for number, data in enumerate(vector["frames"]):
            frame = decode(data)
            assert frame.sealed and frame.key_id and frame.payload == data[80:]
            assert (frame.boot_id.hex(), frame.seq) == (vector["boot_id"], number)


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (b"", Drop.SHORT),
        (header()[:79], Drop.SHORT),
        (header(magic=b"PCSX"), Drop.MAGIC),
        (header(version=2), Drop.VERSION),
        (header(type=0), Drop.TYPE),
        (header(type=6), Drop.TYPE),
        (header(count=0, seq=0), Drop.COUNT),
        (header(count=1025), Drop.COUNT),
        (header(seq=2), Drop.SEQ),
        (header(length=(1 << 20) + 1), Drop.TEXT_LENGTH),
        (header() + b"12345", Drop.OFFSET),
        (header(offset=1) + b"1234", Drop.OFFSET),
        (header(offset=0xFFFFFFFF) + b"1", Drop.OFFSET),
        (header(seq=0, offset=1), Drop.OFFSET),
        (header(type=4, seq=0, count=1), Drop.STATE),
        (header(type=5, seq=0, length=0), Drop.STATE),
        (header(flags=1) + b"1" * 15, Drop.SHORT),
        (header(flags=1) + b"1" * 21, Drop.OFFSET),
    ],
)
def test_out_of_bounds(datagram, expected):
    assert decode(datagram) is expected


@pytest.mark.parametrize(
    "datagram",
    [
        header() + b"1234",
        header(offset=4),
        header(count=1024, seq=1023, length=1 << 20, offset=1 << 20),
        header(seq=0) + b"host=x\n" * 100,
        header(type=4, seq=0, count=1, length=0) + b"host=x\n",
        header(flags=0x82),
        header(flags=1) + b"1" * 20,
        header(time=(1 << 64) - 1),
    ],
)
def test_at_the_bounds(datagram):
    assert isinstance(decode(datagram), Frame)


@given(st.binary(max_size=200) | st.binary(max_size=120).map(lambda rest: b"PCST\x01\x01\x00" + rest))
def test_garbage_never_raises(datagram):
    assert isinstance(decode(datagram), (Frame, Drop))


@given(st.binary(min_size=32, max_size=32))
def test_any_bytes_are_a_name_that_can_be_shown(field):
    frame = decode(header(host=field) + b"x")
    assert isinstance(frame, Frame) and frame.host_field == field
    name = field[: field.index(0)] if 0 in field else field
    assert frame.host == name.decode("utf-8", "replace") and "\0" not in frame.host
    frame.host.encode()


def test_the_identity_of_a_record_is_that_of_its_frames():
    """Of each it is made of, another value makes another identity."""
    known = {"kind": "panic", "flags": 0, "boot_id": b"b" * 16, "event": 7, "host": "db-07", "time_ns": 5}
    frames = encode("panic", b"b" * 16, 7, 5, "db-07", b"host=db-07\n", b"x" * 3000)
    known |= {"frames": len(frames), "text_length": 3000}
    assert {decode(frame).identity for frame in frames} == {identity_of(**known)}
    # Records that were stored by other versions keep theirs.
    assert identity_of(**known).hex() == known["boot_id"].hex() + "00000007e6ce461d0c7d2336b527eece"
    other = {"kind": "oops", "flags": 2, "boot_id": b"c" * 16, "event": 8, "host": "db-08", "time_ns": 6}
    other |= {"frames": len(frames) + 1, "text_length": 3001}
    assert len({identity_of(**{**known, key: value}) for key, value in other.items()}) == len(other)


@given(st.data())
def test_truncation_never_raises_and_never_invents_bytes(big, data):
    frame = data.draw(st.sampled_from(big["frames"]))
    cut = frame[: data.draw(st.integers(0, len(frame)))]
    result = decode(cut)
    if isinstance(result, Frame):
        assert result.payload == cut[80:]
    else:
        assert len(cut) < 80 and result is Drop.SHORT


@given(st.binary(max_size=300))
def test_metadata_of_any_bytes(payload):
    for key, value in parse_metadata(payload).items():
        assert key
        assert "\n" not in key + value


def test_metadata_keeps_unknown_keys_empty_values_and_equal_signs():
    assert parse_metadata(b"reason=\nnew=1=2\nflag\n\xff=\xfe\n") == {
        "reason": "",
        "new": "1=2",
        "flag": "",
        "\\xff": "\\xfe",
    }


def decode_ethernet(frame):
    """What becomes of a whole frame of the raw format."""
    packet = parse_ethernet(frame)
    return packet if isinstance(packet, Drop) else decode_raw(packet)


def ethernet(
    text=b"Kernel panic - not syncing: x\n",
    tags=b"",
    protocol=255,
    fragment=0x4000,
    checksum=None,
    total=None,
    padding=b"",
    options=b"",
):
    """A raw frame as a sender makes it; checksum None computes a valid one."""
    size = 20 + len(options)
    fields = [
        0x40 | size // 4,
        0,
        size + len(text) if total is None else total,
        0,
        fragment,
        64,
        protocol,
        0,
        bytes([10, 0, 0, 7]),
        b"\xff" * 4,
    ]
    if checksum is None:
        packed = struct.pack(">BBHHHBBH4s4s", *fields) + options
        total_sum = sum(struct.unpack(f">{len(packed) // 2}H", packed))
        while total_sum >> 16:
            total_sum = (total_sum & 0xFFFF) + (total_sum >> 16)
        checksum = 0xFFFF - total_sum
    fields[7] = checksum
    return (
        b"\xff" * 6
        + bytes.fromhex("525400123456")
        + tags
        + b"\x08\x00"
        + struct.pack(">BBHHHBBH4s4s", *fields)
        + options
        + text
        + padding
    )


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(),
        ethernet(checksum=0),
        ethernet(tags=bytes.fromhex("81000064")),
        ethernet(options=b"\1" * 4),
        ethernet(tags=bytes.fromhex("88a80001 81000064")),
        ethernet(padding=b"\0" * 30),
    ],
)
def test_raw_frames(frame):
    assert decode_ethernet(frame) == RawFrame(
        "52:54:00:12:34:56", "10.0.0.7", b"Kernel panic - not syncing: x\n"
    )


@pytest.mark.parametrize("size", [1, 1024])
def test_a_raw_frame_has_at_least_a_byte_of_text_and_1024_at_most(size):
    assert decode_ethernet(ethernet(text=b"x" * size)).text == b"x" * size


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (ethernet()[:33], Drop.SHORT),
        (ethernet(protocol=17), Drop.NOT_OURS),
        (ethernet(tags=bytes.fromhex("86dd0064")), Drop.NOT_OURS),
        (ethernet(tags=bytes.fromhex("88a80001 81000064 81000065")), Drop.NOT_OURS),
        (ethernet(fragment=0x2000), Drop.FRAGMENT),
        (ethernet(fragment=0x0001), Drop.FRAGMENT),
        (ethernet(total=500), Drop.TRUNCATED),
        (ethernet(checksum=1), Drop.CHECKSUM),
        (ethernet(checksum=0x100), Drop.CHECKSUM),
        (ethernet(text=b"", padding=b"\0" * 26), Drop.RAW_LENGTH),
        (ethernet(text=b"x" * 1025), Drop.RAW_LENGTH),
    ],
)
def test_raw_frames_out_of_bounds(frame, expected):
    assert decode_ethernet(frame) is expected


@given(st.binary(max_size=120) | st.binary(max_size=60).map(lambda rest: ethernet()[:15] + rest))
def test_ethernet_garbage_never_raises(frame):
    assert isinstance(decode_ethernet(frame), (RawFrame, Drop))
