# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens and seals frames, and reads the file of keys.

A frame is sealed with XChaCha20-Poly1305: the payload is encrypted, the header is additional data,
and the nonce is what identifies the frame. A line of the key file is a key id, 1 to 255, and the
key in 64 hexadecimal digits; # begins a comment. With the word master between them the key seals
nothing itself: each host has its own, derived from the master and the header's host field, so that
no host can forge another. Several ids let keys be changed without a gap: add the new one here, give
it to the hosts, then remove the old one.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Union

from ..errors import ReceiverError
from ..secretfile import read_secret
from .v1 import FLAG_SEALED, HEADER, HOST_BYTES, PIECE_END, PREFIX_END

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
_LINE = re.compile(r"(\d{1,3})\s+(master\s+)?([0-9a-fA-F]{64})")
_MASTER_INFO = b"panicast host key 1\0"
#: Boot id, event and seq of a header.
_FLAGS_AT = 6
_NAME = slice(8, PREFIX_END + 2)
assert PIECE_END == PREFIX_END + 8
#: Of an answer's header: receivers that share a key must not use one nonce for their names.
_EVENT, _SALT = slice(24, 28), slice(32, 48)


class SharedKey:
    """A key with which any host that has it may seal in any host's name."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, host_field: bytes) -> bytes:
        """Return the key of a host, by the header's field."""
        return self._key


class MasterKey:
    """Derives each host's own key by HKDF-SHA256 (RFC 5869), without a salt."""

    def __init__(self, master: bytes) -> None:
        self._secret = hmac.digest(bytes(KEY_BYTES), master, "sha256")
        # Whoever forges sealed frames makes us derive a key for each name.
        self.of = lru_cache(maxsize=16384)(self._of)

    def _of(self, host_field: bytes) -> bytes:
        return hmac.digest(self._secret, _MASTER_INFO + host_field + b"\1", "sha256")


Keys = Mapping[int, Union[SharedKey, MasterKey]]


def open_frame(datagram: bytes, key: bytes) -> bytes | None:
    """Return the payload of a sealed datagram; None if it was not sealed with this key."""
    header, sealed = datagram[: HEADER.size], datagram[HEADER.size :]
    try:
        plain: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, header, _nonce(header), key)
    except CryptoError:
        return None
    return plain


def seal_frame(header: bytes, payload: bytes, key: bytes) -> bytes:
    """Return a sealed datagram. ``header`` must say already that it is sealed, and with which key
    id."""
    sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(payload, header, _nonce(header), key)
    return header + sealed


def _nonce(header: bytes) -> bytes:
    return header[_NAME] + b"\0\0"


def seal_datagram(datagram: bytes, key_id: int, key: bytes) -> bytes:
    """Return an unsealed datagram as a sealed one."""
    flags = datagram[_FLAGS_AT] | FLAG_SEALED
    header = datagram[:_FLAGS_AT] + bytes((flags, key_id)) + datagram[_FLAGS_AT + 2 : HEADER.size]
    return seal_frame(header, datagram[HEADER.size :], key)


def seal_answer(header: bytes, payload: bytes, key: bytes) -> bytes:
    """Return the sealed payload of the answer with this header (answer.py)."""
    nonce = header[_SALT] + header[_EVENT] + b"\0\0\0\1"
    sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(payload, header, nonce, key)
    return sealed


def read_keys(path: Path) -> Keys:
    """Return the keys by their ids. Raises ReceiverError, also if others than its owner may read
    the file."""
    if not HAVE_NACL:
        raise ReceiverError(
            "opening sealed frames needs PyNaCl; install python3-nacl (Debian, Ubuntu), python3-pynacl "
            "(Fedora, EPEL) or `pip install pynacl`, or leave key_file empty"
        )
    keys: dict[int, SharedKey | MasterKey] = {}
    for number, line in enumerate(read_secret(path, "the keys"), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if not match or not 1 <= int(match[1]) <= 255 or int(match[1]) in keys:
            raise ReceiverError(
                f"{path}, line {number}: right is a key id from 1 to 255, once, the word master if it is "
                "one, and 64 hexadecimal digits, as `panicast-receiver keygen` prints them"
            )
        kind = MasterKey if match[2] else SharedKey
        keys[int(match[1])] = kind(bytes.fromhex(match[3]))
    return keys


def host_field(name: str) -> bytes:
    """Return a node name as it is in the header: 32 bytes."""
    return name.encode("utf-8", "surrogateescape")[:HOST_BYTES].ljust(HOST_BYTES, b"\0")


def generate() -> str:
    """Return a new key in hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)
