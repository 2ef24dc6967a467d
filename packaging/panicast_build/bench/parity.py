# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures how long the kernel's encoder takes for a record's parity, compiled for user space as
for a kernel."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path

from panicast_build.core.paths import ROOT

FRAMES, CHUNK, TIMES = 48, 1392, 50
KMOD = ROOT / "kmod"
SOURCES = (ROOT / "tests/wire/encode.c", KMOD / "wire.c", KMOD / "parity.c")
TYPES = ROOT / "tests/unit/kmod/userspace.h"


def milliseconds() -> float:
    """Returns the CPU time, in milliseconds, for as many parity frames as the record has frames:
    the fastest of several tries."""
    metadata, text = bytes(400), bytes(range(256)) * (FRAMES * CHUNK // 256)
    text = text[: (FRAMES - 1) * CHUNK]
    record = bytes(80) + struct.pack("=4I", CHUNK, FRAMES, len(metadata), len(text)) + metadata + text
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "encode"
        # What a kernel allows itself: no vectors.
        flags = ("-O2", "-fno-tree-vectorize", "-include", TYPES, "-I", KMOD)
        subprocess.run(["gcc", *flags, "-o", program, *SOURCES], check=True)
        done = subprocess.run([program, str(TIMES)], input=record, check=True, stdout=subprocess.PIPE)
    return int(done.stdout) / 1000
