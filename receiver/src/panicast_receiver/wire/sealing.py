# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealed frames: opening them, and the file of keys.

XChaCha20-Poly1305 of the payload, the header as additional data, the nonce made of what names a frame. A
line of the key file is a key id, 1 to 255, and the key in 64 hexadecimal digits; # begins a comment. Several
ids let keys be changed without a gap: add the new one here, give it to the hosts, then take the old one out.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from ..errors import ReceiverError
from ..secretfile import read_private
from .v1 import HEADER, PIECE_END, PREFIX_END

try:
    from nacl.bindings import (
        crypto_aead_xchacha20poly1305_ietf_decrypt,
        crypto_aead_xchacha20poly1305_ietf_encrypt,
    )
    from nacl.exceptions import CryptoError
except ImportError:
    # Some distributions lack it. Without keys none of it is called, and without it there are no keys.
    HAVE_NACL = False
else:
    HAVE_NACL = True

KEY_BYTES = 32
_LINE = re.compile(r"(\d{1,3})\s+([0-9a-fA-F]{64})")
#: Boot id, event and seq of a header.
_NAME = slice(8, PREFIX_END + 2)
assert PIECE_END == PREFIX_END + 8

Keys = Mapping[int, bytes]


def open_frame(datagram: bytes, key: bytes) -> bytes | None:
    """The payload of a sealed datagram; None when it was not sealed with this key."""
    header, sealed = datagram[: HEADER.size], datagram[HEADER.size :]
    try:
        plain: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, header, _nonce(header), key)
    except CryptoError:
        return None
    return plain


def seal_frame(header: bytes, payload: bytes, key: bytes) -> bytes:
    """A sealed datagram; the header says that it is, and by which key."""
    sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(payload, header, _nonce(header), key)
    return header + sealed


def _nonce(header: bytes) -> bytes:
    return header[_NAME] + b"\0\0"


def read_keys(path: Path) -> Keys:
    """The keys by their ids; raises ReceiverError, also when others than its owner may read the file."""
    if not HAVE_NACL:
        raise ReceiverError(
            "opening sealed frames needs PyNaCl; install python3-nacl (Debian, Ubuntu), python3-pynacl "
            "(Fedora, EPEL) or `pip install pynacl`, or leave key_file empty"
        )
    keys: dict[int, bytes] = {}
    for number, line in enumerate(read_private(path, "the keys"), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if not match or not 1 <= int(match[1]) <= 255 or int(match[1]) in keys:
            raise ReceiverError(
                f"{path}, line {number}: right is a key id from 1 to 255, once, and 64 hexadecimal digits, "
                "as `panicast-receiver keygen` prints them"
            )
        keys[int(match[1])] = bytes.fromhex(match[2])
    return keys


def generate() -> str:
    """A new key in hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)
