# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's encoder, compiled for user space."""

import ctypes
import json
import struct
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KMOD = ROOT / "kmod"
VECTORS = json.loads((ROOT / "tests/wire/vectors.json").read_text(encoding="utf-8"))

# Keys that only some records have.
OPTIONAL = ("addr", "unresolved", "kept")
TEXT_KEYS = ("host", "release", "version", "machine", "iface", "mac", "reason")


class Meta(ctypes.Structure):
    """struct pc_wire_meta of kmod/wire.h."""

    _fields_ = [
        *((key, ctypes.c_char_p) for key in TEXT_KEYS),
        ("uptime_ns", ctypes.c_uint64),
        ("cpu", ctypes.c_uint32),
        ("pid", ctypes.c_uint32),
        *((key, ctypes.c_char_p) for key in ("comm", "taint", "module", "tag", *OPTIONAL)),
    ]


class Record(ctypes.Structure):
    """struct pc_wire_record of kmod/wire.h."""

    _fields_ = [
        ("boot_id", ctypes.c_uint8 * 16),
        ("event", ctypes.c_uint32),
        ("type", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("key_id", ctypes.c_uint8),
        ("chunk", ctypes.c_uint16),
        ("time_ns", ctypes.c_uint64),
        ("host", ctypes.c_char * 32),
        ("meta", ctypes.c_char_p),
        ("meta_len", ctypes.c_size_t),
        ("text", ctypes.c_char_p),
        ("text_len", ctypes.c_size_t),
    ]


class Encoder:
    """What tests ask of kmod/wire.c and parity.c; strings are bytes, as in C."""

    def __init__(self, library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        for name in ("pc_wire_meta", "pc_wire_value", "pc_wire_frame"):
            getattr(self._lib, name).restype = ctypes.c_size_t
        self._lib.pc_wire_count.argtypes = [ctypes.c_size_t, ctypes.c_uint]

    def value(self, text: bytes, size: int) -> bytes:
        """The text as it stands in a metadata line of at most size - 1 bytes."""
        buf = ctypes.create_string_buffer(b"\xaa" * (size + 1), size + 1)
        length = self._lib.pc_wire_value(buf, ctypes.c_size_t(size), text)
        assert buf.raw[size] == 0xAA, "wrote behind the buffer"
        assert buf.raw[length] == 0
        return buf.raw[:length]

    def meta(self, values: dict[str, str], size: int = 1392) -> bytes:
        """The payload of seq 0 from metadata as the vectors have it, cut to size bytes. Vectors about
        something else leave out some of what the kernel always says."""
        if len(values) < len(Meta._fields_) - len(OPTIONAL):
            return "".join(f"{key}={value}\n" for key, value in values.items()).encode()
        meta = Meta()
        for name, kind in Meta._fields_:
            if name in OPTIONAL and name not in values:
                continue
            text = values[name]
            setattr(meta, name, text.encode() if kind is ctypes.c_char_p else int(text))
        buf = ctypes.create_string_buffer(b"\xaa" * (size + 1), size + 1)
        length = self._lib.pc_wire_meta(ctypes.byref(meta), buf, ctypes.c_size_t(size))
        assert length <= size
        assert buf.raw[size] == 0xAA, "wrote behind the buffer"
        return buf.raw[:length]

    def frames(self, record: Record) -> list[bytes]:
        """All datagrams of a record."""
        buf = ctypes.create_string_buffer(80 + record.chunk)
        frames = []
        for seq in range(self._lib.pc_wire_count(record.text_len, record.chunk)):
            length = self._lib.pc_wire_frame(ctypes.byref(record), seq, buf)
            frames.append(buf.raw[:length])
        return frames

    def parity_count(self, count: int, percent: int) -> int:
        return self._lib.pc_parity_count(count, percent)


def record(vector: dict, meta: bytes, text: bytes, chunk: int = 1392) -> Record:
    """A record with the header of a vector."""
    rec = Record()
    rec.boot_id[:] = bytes.fromhex(vector["boot_id"])
    rec.event, rec.flags, rec.chunk = vector["event"], vector["flags"], chunk
    # The header of any frame says it.
    rec.key_id = bytes.fromhex(vector["frames"][0])[7]
    rec.type = {"panic": 1, "oops": 2, "test": 3, "hello": 4, "bye": 5}[vector["type"]]
    rec.time_ns = vector["ns"]
    rec.host = vector["host"].encode()
    rec.meta, rec.meta_len = meta, len(meta)
    rec.text, rec.text_len = text, len(text)
    return rec


def chunk(vector: dict) -> int:
    """The size by which a vector's text is cut: seq 1 has it, unless it is all there is."""
    tag = 16 if vector["key"] else 0
    return (len(vector["frames"][1]) // 2 - 80 if vector["count"] > 2 else 1392) - tag


class Parity:
    """All frames of a record, its parity too, by tests/wire/encode.c."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def frames(self, header: bytes, meta: bytes, text: bytes, chunk: int, parity: int) -> list[bytes]:
        """Frames with the header, apart from what is each frame's own."""
        sizes = struct.pack("=4I", chunk, parity, len(meta), len(text))
        done = subprocess.run(
            [self._program], input=header[:80] + sizes + meta + text, check=True, stdout=subprocess.PIPE
        )
        frames, at = [], 0
        while at < len(done.stdout):
            (length,) = struct.unpack_from("=I", done.stdout, at)
            frames.append(done.stdout[at + 4 : at + 4 + length])
            at += 4 + length
        return frames


@pytest.fixture(scope="session")
def parity(tmp_path_factory: pytest.TempPathFactory) -> Parity:
    program = tmp_path_factory.mktemp("wire") / "encode"
    subprocess.run(
        ["gcc", "-O1", "-g", "-Wall", "-Wextra", "-Wno-sign-compare", "-Werror",
         "-fsanitize=undefined,address", "-fno-sanitize-recover=all",
         "-include", str(Path(__file__).with_name("userspace.h")), "-I", str(KMOD), "-o", str(program),
         str(ROOT / "tests/wire/encode.c"), str(KMOD / "wire.c"), str(KMOD / "parity.c")],
        check=True,
    )  # fmt: skip
    return Parity(program)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    library = tmp_path_factory.mktemp("wire") / "wire.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Wno-sign-compare", "-Werror",
         "-fsanitize=undefined", "-fno-sanitize-recover=all", "-static-libubsan",
         "-include", str(Path(__file__).with_name("userspace.h")), "-o", str(library), str(KMOD / "wire.c"),
         str(KMOD / "parity.c")],
        check=True,
    )  # fmt: skip
    return Encoder(library)
