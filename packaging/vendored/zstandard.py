# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands in for python-zstandard where a distro has it not for the Python that runs the receiver (EL 8).

It has the part of the interface that the receiver uses, on the system's own libzstd.
"""

import ctypes

_lib = ctypes.CDLL("libzstd.so.1")
for _name in ("ZSTD_compressBound", "ZSTD_compress", "ZSTD_decompress"):
    getattr(_lib, _name).restype = ctypes.c_size_t
_lib.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
_lib.ZSTD_compress.argtypes = [
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int),
]
_lib.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
_lib.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_lib.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
_lib.ZSTD_isError.argtypes = [ctypes.c_size_t]
_lib.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
_lib.ZSTD_getErrorName.restype = ctypes.c_char_p


#: What libzstd says of a frame that does not say its size, and of what is none.
_UNKNOWN, _NO_FRAME = (1 << 64) - 1, (1 << 64) - 2


class ZstdError(Exception):
    """What libzstd says of data that it cannot take."""


def _checked(size: int) -> int:
    if _lib.ZSTD_isError(size):
        raise ZstdError(_lib.ZSTD_getErrorName(size).decode())
    return size


def frame_content_size(data: bytes) -> int:
    """The bytes that a frame says it holds; -1 if it does not say."""
    size: int = _lib.ZSTD_getFrameContentSize(data, len(data))
    if size == _NO_FRAME:
        raise ZstdError("error when determining content size")
    return -1 if size == _UNKNOWN else size


class ZstdCompressor:
    """Makes frames of one level."""

    def __init__(self, level: int = 3) -> None:
        self._level = level

    def compress(self, data: bytes) -> bytes:
        """One frame that holds data and its size."""
        room = _lib.ZSTD_compressBound(len(data))
        out = ctypes.create_string_buffer(room)
        size = _checked(_lib.ZSTD_compress(out, room, data, len(data), self._level))
        return out.raw[:size]


class ZstdDecompressor:
    """Takes frames apart."""

    def decompress(self, data: bytes, max_output_size: int = 0) -> bytes:
        """What a frame holds, if that is at most max_output_size bytes; ZstdError otherwise."""
        out = ctypes.create_string_buffer(max_output_size)
        size = _checked(_lib.ZSTD_decompress(out, max_output_size, data, len(data)))
        return out.raw[:size]
