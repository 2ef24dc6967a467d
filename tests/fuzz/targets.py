# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything of the receiver that parses foreign bytes, each with what must hold whatever the bytes are."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from panicast_receiver import text
from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.netconsoleruns import NetconsoleRuns
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.central import boots, merging
from panicast_receiver.cli import pstore
from panicast_receiver.meaning import understand
from panicast_receiver.records.record import Instant, Record, Source
from panicast_receiver.sinks.broker import expanded, message_id, unpack, unpack_hosts
from panicast_receiver.wire.ethernet import parse_ethernet, parse_udp
from panicast_receiver.wire.netconsole import parse_netconsole
from panicast_receiver.wire.raw import decode_raw
from panicast_receiver.wire.sealing import SharedKey, open_frame, seal_frame
from panicast_receiver.wire.v1 import FLAG_SEALED, HEADER, Drop, decode, encode, parse_metadata

from ..unit.receiver.conftest import VECTORS, ring_block, udp_frame

NOW = Instant(100.0, 1_700_000_000_000_000_000)
LATER = Instant(1e6, 1_800_000_000_000_000_000)
HERE = Source("52:54:00:12:34:56", "10.0.0.7", "eth0")
KEY = bytes(range(32))
NETCONSOLE = 6666
_LOSSY = {
    name: [bytes.fromhex(frame) for frame in frames]
    for vector in VECTORS
    if vector["name"] == "panic with parity"
    for name, frames in vector.items()
    if name in ("frames", "parity")
}
FRAMES = [bytes.fromhex(frame) for vector in VECTORS for frame in vector["frames"]]


def _pieces(data: bytes) -> Iterator[bytes]:
    """Data cut into packets: two bytes say how long the next one is."""
    while len(data) > 2:
        length = int.from_bytes(data[:2], "big") % 1500
        yield data[2 : 2 + length]
        data = data[2 + length :]


def _joined(packets: list[bytes]) -> bytes:
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


def _hold(records: list[Record]) -> None:
    """What a record is, whoever made it."""
    for record in records:
        end = 0
        for run in record.runs:
            assert run.data and run.offset >= end
            end = run.end
        assert end <= record.text_length
        known = len(record.received_text) + sum(gap.length for gap in record.gaps)
        assert known == record.text_length
        meaning = understand(record.marked_text.decode("utf-8", "backslashreplace"), record.reason)
        json.dumps([record.reason, record.host, record.mac, meaning.as_json()])


def _drained(intake: Intake) -> None:
    _hold(intake.tick(LATER))
    _hold(intake.flush())
    assert intake.reassembler.memory == 0 and intake.reassembler.in_flight == 0


def wire(data: bytes) -> None:
    """One datagram."""
    frame = decode(data)
    if not isinstance(frame, Drop):
        assert frame.offset <= max(frame.text_length, len(frame.payload))
        parse_metadata(frame.payload)


def datagrams(data: bytes) -> None:
    """Datagrams to both ports, one after the other, with little memory."""
    intake = Intake(Limits(memory=64 << 10, records=8), 60, netconsole_port=NETCONSOLE)
    intake.keys = {1: SharedKey(KEY)}
    for piece in _pieces(data):
        port = NETCONSOLE if piece[:1] in b"<6" else 0
        _hold(intake.feed(Packet(piece, HERE, port=port), NOW))
    _drained(intake)


def block(data: bytes) -> None:
    """A block of the packet ring, whatever its frames hold: the fast path makes what the slow one makes."""
    # So few that of no record too many need a closer look, which the fast path alone counts.
    frames = [udp_frame(piece) for piece in _pieces(data)][:60]
    fast, slow = Intake(Limits(), 60), Intake(Limits(), 60)
    got = fast.feed_block(ring_block(frames), 0, len(frames), NOW, lambda index: "eth0")
    wanted = [
        record for frame in frames for record in slow.feed(Packet(frame, Source(iface="eth0"), True), NOW)
    ]
    _hold(got)
    assert sorted(record.identity for record in got) == sorted(record.identity for record in wanted)
    for intake in (fast, slow):
        _drained(intake)


def parity(data: bytes) -> None:
    """Parity that is forged, beside honest frames: those that came are as they were, whatever is restored."""
    came, honest, *forged = (*data[:2].ljust(2, b"\0"), *_pieces(data[2:]))
    sources = [frame for seq, frame in enumerate(_LOSSY["frames"]) if came >> seq & 1]
    frames = [_LOSSY["parity"][0][: HEADER.size] + piece[:1392].ljust(1392, b"\0") for piece in forged]
    frames = [frame[:28] + bytes([0, 6 + at % 140]) + frame[30:] for at, frame in enumerate(frames)]
    frames += sources + [frame for j, frame in enumerate(_LOSSY["parity"]) if honest >> j & 1]
    intake = Intake(Limits(), 60)
    records = [record for frame in frames for record in intake.feed(Packet(frame, HERE), NOW)]
    records += intake.tick(LATER) or intake.tick(LATER)
    _hold(records)
    for frame in map(decode, sources):
        assert not isinstance(frame, Drop)
        (record,) = records
        kept = {run.offset: run.data for run in record.runs} if frame.seq else {0: record.metadata}
        assert any(
            at <= frame.offset and data[frame.offset - at :].startswith(frame.payload)
            for at, data in kept.items()
            if data is not None
        )
    _drained(intake)


def ethernet(data: bytes) -> None:
    """Frames as a packet socket gives them."""
    intake = Intake(Limits(), 60)
    for frame in _pieces(data):
        packet = parse_ethernet(frame)
        if not isinstance(packet, Drop):
            parse_udp(packet)
            decode_raw(packet)
        _hold(intake.feed(Packet(frame, Source(), True), NOW))
        _hold(intake.feed_block(ring_block([frame]), 0, 1, NOW, lambda index: None))
        _hold(intake.feed_frames(ring_block([frame]), 0, 1, NOW, lambda index: None))
    _drained(intake)


def netconsole(data: bytes) -> None:
    """Messages of one sender, plain and extended."""
    runs = NetconsoleRuns(5.0, Counter())
    for piece in _pieces(data):
        message = parse_netconsole(piece)
        if message is not None:
            _hold(runs.feed(message, HERE, NOW))
    _hold(runs.tick(LATER))
    _hold(runs.flush())


def crash(data: bytes) -> None:
    """A record's text: what it means is found and can be stored and printed."""
    for reason in ("", "Fatal exception"):
        found = understand(data.decode("utf-8", "backslashreplace"), reason)
        json.dumps(found.as_json())
        assert "\n" not in found.title and len(found.trace) <= 64
        assert "\x1b" not in text.escape(found.title)
    shown = text.render_log(data, colour=False)
    assert "\x1b" not in shown and shown.count("\n") <= data.count(b"\n") + 1


def sealing(data: bytes) -> None:
    """A sealed frame opens to what was sealed, one that was changed to nothing."""
    header = data[: HEADER.size].ljust(HEADER.size, b"\0")
    sealed = seal_frame(header, data, KEY)
    assert open_frame(sealed, KEY) == data
    changed = bytearray(sealed)
    changed[(data or b"\0")[0] % len(sealed)] ^= 1
    assert open_frame(bytes(changed), KEY) is None
    frame = decode(data)
    if not isinstance(frame, Drop) and frame.sealed:
        assert open_frame(data, KEY) is None
    intake = Intake(Limits(), 60)
    intake.keys, intake.require_sealed = {1: SharedKey(KEY)}, True
    for frame in encode("panic", bytes(16), 1, 1, "h", b"host=h\n", data[:5000]):
        header = bytearray(frame[: HEADER.size])
        header[6:8] = FLAG_SEALED, 1
        _hold(intake.feed(Packet(data, HERE), NOW))
        intake.feed(Packet(seal_frame(bytes(header), frame[HEADER.size :], KEY), HERE), NOW)
    assert intake.reassembler.in_flight == 0


def firmware(data: bytes) -> None:
    """The files of a pstore directory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for number, piece in enumerate(_pieces(data)):
            ending = ".enc.z" if piece[:1] == b"z" else ""
            (Path(folder) / f"dmesg-efi-{number}{ending}").write_bytes(piece.removeprefix(b"z"))
        _hold(list(pstore.read(Path(folder), "h", [])))


def message(data: bytes) -> None:
    """A message of a broker: no record, or one that fits a row."""
    for headers in ({}, {"Content-Encoding": "zstd"}):
        try:
            found = unpack(expanded(data, headers))
        except ValueError:
            continue
        message_id(found)
        row = merging.line(found)
        assert row.count("\t") == len(merging.COLUMNS) - 1 and row.count("\n") == 1
        assert merging.told(found).count("\n") == 1


def hosts(data: bytes) -> None:
    """A message about hosts: nothing, or what fits rows."""
    try:
        found = unpack_hosts(data)
    except ValueError:
        return
    for one in found:
        row = boots.line(one)
        assert row.count("\t") == boots.COPY.count(",") and row.count("\n") == 1


_TEXTS = [vector["text"].encode() for vector in VECTORS]
_PANIC = b"<0>[    9.0] Kernel panic - not syncing: x\n"
_EXTENDED = b"6.1.0,0,441,9000000,-,caller=T1;Kernel panic - not syncing: x\n K=v\n"
_DOCUMENT = {name: "" for name in merging.COLUMNS if name != "known"}
_DOCUMENT |= dict.fromkeys(("complete", "sealed", "contested", "doubted"), False)
_DOCUMENT |= dict.fromkeys(("older_text", "metadata_missing"), False)
_DOCUMENT |= dict.fromkeys(("bytes", "frames", "restored"), 1) | {"source": {}, "meta": {}, "gaps": []}
_DOCUMENT |= dict.fromkeys(("boot_id", "event", "time", "crash", "raw", "meaning_failure"), None)
_BOOT: dict[str, object] = {
    **dict.fromkeys(("host", "why", "kernel", "module"), "x"),
    **dict.fromkeys(("first_seen", "last_seen", "panicked"), "2026-11-26T20:00:00.000000000Z"),
    **{"boot_id": "01" * 16, "sealed": True, "state": "bye", "said": 2, "event": 3, "ip": None},
    **{"interfaces": {"eth0": "52:54:00:00:00:01"}, "labels": {"rack": "r1"}},
}
_DOCUMENT["received"] = "2026-11-26T20:00:00.000000000Z"

_PARTED = _LOSSY["frames"][2:] + _LOSSY["parity"]

#: By name: what takes the bytes, and some to begin with.
TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "wire": (wire, FRAMES),
    "datagrams": (datagrams, [_joined(FRAMES[:12]), _joined([_PANIC, _EXTENDED])]),
    "block": (
        block,
        [
            _joined(FRAMES[:12]),
            _joined(_LOSSY["frames"][2:] + _LOSSY["parity"]),
            _joined([frame[:200] for frame in FRAMES]),
        ],
    ),
    "parity": (parity, [b"\x3c\x3f", b"\x0f\x07" + _joined([bytes(1392)]), b"\x01" + _joined([b"x"] * 9)]),
    "ethernet": (ethernet, [_joined([udp_frame(frame) for frame in FRAMES[:6]])]),
    "netconsole": (netconsole, [_joined([_PANIC, _EXTENDED, _EXTENDED.replace(b"T1", b"T1,ncfrag=0/90")])]),
    "crash": (crash, _TEXTS),
    "sealing": (sealing, FRAMES[:3]),
    "firmware": (firmware, [_joined([b"Panic#1 Part1\n" + _PANIC, b"z\x03\x00"])]),
    "message": (message, [json.dumps(_DOCUMENT).encode()]),
    "hosts": (hosts, [json.dumps([_BOOT]).encode()]),
}
