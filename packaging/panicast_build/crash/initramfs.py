# SPDX-License-Identifier: GPL-2.0-or-later
"""Packs an initramfs in the kernel's own format:
Documentation/driver-api/early-userspace/buffer-format.rst."""

from __future__ import annotations

import stat
from collections.abc import Mapping


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def pack(folders: tuple[str, ...], files: Mapping[str, bytes]) -> bytes:
    """Returns an archive of folders and executable files, by their paths without a leading slash."""
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in folders]
    entries += [(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    packed = [_entry(number, *entry) for number, entry in enumerate(entries, start=1)]
    return b"".join(packed) + _entry(0, "TRAILER!!!", 0, b"")
