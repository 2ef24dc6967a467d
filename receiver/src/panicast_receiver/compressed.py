# SPDX-License-Identifier: GPL-2.0-or-later
"""Expands what zstd has compressed, within bounds. Pure."""

from __future__ import annotations

import zstandard


def expand(data: bytes, most: int) -> bytes:
    """Return the bytes that were compressed, if they are no more than ``most``. Raises ValueError.
    The library allocates as much as the data claim, whatever limit it gets: a forged size, or one
    bit that the disk has changed, would take all memory."""
    try:
        if zstandard.frame_content_size(data) > most:
            raise ValueError(f"it expands to more than {most} bytes")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=max(1, most))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
