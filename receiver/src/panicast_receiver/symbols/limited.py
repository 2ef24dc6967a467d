# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program that reads what others made: with little memory, little time, and no file to write.

util-linux sets the limits. Rights are not taken from it: the service's unit has none, and forbids
what drops some (capset), so setpriv would fail there. A program that does not end in time is
killed, with all that it began.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from ..errors import ReceiverError

#: Seconds of processor time, and until the answer is there on a busy machine.
CPU_S, ANSWER_S = 30, 60.0
#: Bytes of memory beside the file, which is mapped; bytes of an answer.
MEMORY, MOST_ANSWER = 512 << 20, 64 << 20
#: Seconds until a program has ended that says no more.
_END_S = 10.0
_NEEDED = ("prlimit", "eu-addr2line", "eu-nm")
_FETCHER = "debuginfod-find"


def missing(servers: bool) -> list[str]:
    """Return the programs that are not there, of those that are needed."""
    return [name for name in (*_NEEDED, *([_FETCHER] if servers else [])) if shutil.which(name) is None]


def run(
    argv: Sequence[str],
    file_bytes: int = 0,
    written: int = 0,
    patience_s: float = ANSWER_S,
    env: Mapping[str, str] | None = None,
    name: str = "",
    most: int = MOST_ANSWER,
) -> bytes:
    """Return what a program says. Raises ReceiverError, which calls it by its ``name``.

    ``file_bytes``: the size of the file that it reads; ``written``: how long a file it may write;
    ``most``: bytes that it may say.
    """
    name = name or argv[0]
    limits = ["--core=0", f"--cpu={CPU_S}", f"--fsize={written}", f"--as={MEMORY + 2 * file_bytes}"]
    try:
        child = subprocess.Popen(
            ["prlimit", *limits, "nice", "-n", "10", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **(env or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise ReceiverError(f"{name} cannot be run: {error.strerror}") from error
    assert child.stdout is not None
    try:
        said = _read(child.stdout.fileno(), time.monotonic() + patience_s, most)
        if said is not None and len(said) <= most:
            # It has closed its output: its end follows.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_END_S)
    finally:
        # All that it began too, before it is waited for: its number is its own until then.
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    if said is None:
        raise ReceiverError(f"{name} took longer than {patience_s:.0f} s")
    if len(said) > most:
        raise ReceiverError(f"{name} said more than {most >> 20} MiB")
    if child.returncode:
        raise ReceiverError(f"{name} ended with code {child.returncode}")
    return said


def _read(descriptor: int, until: float, most: int) -> bytes | None:
    """Return all that comes, but hardly more than is allowed; None if that took too long."""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    length = 0
    while length <= most:
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            return None
        data = os.read(descriptor, 1 << 20)
        if not data:
            break
        parts.append(data)
        length += len(data)
    return b"".join(parts)
