# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a running guest's memory to a file, from which other guests continue: QEMU's migration."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def store(process: subprocess.Popen[bytes], at: Path, memory: Path, seconds: float) -> None:
    """Writes a guest's memory to a file and ends it. at is the socket of its QEMU's monitor."""
    with monitor(at) as asked:
        asked.sendall(
            f'migrate_set_parameter max-bandwidth 4G\nmigrate "exec:cat > {memory}"\nquit\n'.encode()
        )
        process.wait(seconds)


def source(memory: Path) -> list[str]:
    """Returns QEMU's arguments for a guest that continues from there."""
    return ["-incoming", f"exec:cat {memory}"]


@contextmanager
def monitor(at: Path) -> Iterator[socket.socket]:
    """Yields a connection to a QEMU's monitor."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(at))
        yield connection
