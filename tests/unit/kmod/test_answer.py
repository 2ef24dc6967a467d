# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod/answer.c and what opens a sealed answer, against the recorded ones, under the sanitizers."""

from __future__ import annotations

import ctypes
import json
import struct
import subprocess
from pathlib import Path

import pytest
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError

from .conftest import KMOD, ROOT

ANSWERS = json.loads((ROOT / "tests/wire/answers.json").read_text(encoding="utf-8"))
HEADER, TAG, NAME = 80, 16, 64
# Where a header of an answer has what must be the test's.
ECHOED = [*range(8), *range(8, 28), *range(48, 80)]

# What kmod/panicast_seal.c takes from a kernel. The tests open.
KERNEL = {
    "linux/module.h": """
        #include <stdbool.h>
        #define IS_ENABLED(x) 1
        #define static_assert _Static_assert
        #define EXPORT_SYMBOL_GPL(x)
        #define __init __attribute__((unused))
        #define __exit __attribute__((unused))
        #define module_init(x)
        #define module_exit(x)
        #define MODULE_DESCRIPTION(x)
        #define MODULE_VERSION(x)
        #define MODULE_LICENSE(x)
    """,
    "linux/string.h": "#include <string.h>\n",
    "linux/types.h": "",
    "crypto/chacha20poly1305.h": """
        #define CHACHA20POLY1305_KEY_SIZE 32
        #define CHACHA20POLY1305_AUTHTAG_SIZE 16
        #define XCHACHA20POLY1305_NONCE_SIZE 24
        typedef bool opener(u8 *, size_t, const u8 *, size_t, const u8 *, const u8 *);
        opener *open_with;
        #define xchacha20poly1305_encrypt(dst, src, ...) ((void)(dst), (void)key)
        #define xchacha20poly1305_decrypt(dst, src, len, ad, ad_len, nonce, key) \\
                open_with(dst, len, ad, ad_len, nonce, key)
    """,
}
Opener = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p),
)


class Asked(ctypes.Structure):
    """struct pc_asked of kmod/answer.h."""

    _fields_ = [
        ("boot_id", ctypes.c_uint8 * 16),
        ("event", ctypes.c_uint32),
        ("flags", ctypes.c_uint8),
        ("key_id", ctypes.c_uint8),
        ("host", ctypes.c_uint8 * 32),
    ]


class Answer(ctypes.Structure):
    """struct pc_answer of kmod/answer.h."""

    _fields_ = [
        ("frames", ctypes.c_uint),
        ("restored", ctypes.c_uint),
        ("name", ctypes.c_char * (NAME + 1)),
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("answer")
    for name, text in KERNEL.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Wno-sign-compare", "-Werror",
         "-fsanitize=undefined", "-fno-sanitize-recover=all", "-static-libubsan",
         "-include", str(Path(__file__).with_name("userspace.h")), "-I", str(folder),
         "-o", str(folder / "answer.so"), str(KMOD / "answer.c"), str(KMOD / "panicast_seal.c")],
        check=True,
    )  # fmt: skip
    found = ctypes.CDLL(str(folder / "answer.so"))
    found.pc_answer_is_to.restype = found.panicast_open.restype = ctypes.c_bool
    return found


def asked(header: bytes) -> Asked:
    """What the sender of a record with this header waits for."""
    found = Asked(event=int.from_bytes(header[24:28], "big"), flags=header[6], key_id=header[7])
    found.boot_id[:], found.host[:] = header[8:24], header[48:80]
    return found


def fits(library: ctypes.CDLL, vector: dict, data: bytes) -> bool:
    """Whether a datagram is taken for an answer; its memory ends where it ends."""
    test = asked(bytes.fromhex(vector["header"]))
    memory = (ctypes.c_char * len(data)).from_buffer_copy(data) if data else None
    return bool(library.pc_answer_is_to(ctypes.byref(test), memory, ctypes.c_size_t(len(data))))


def opened(library: ctypes.CDLL, data: bytes, key: bytes) -> bytes | None:
    """What panicast_open() makes of an answer."""

    def opener(payload: int, size: int, ad: int, ad_size: int, nonce: int, key: int) -> bool:
        sealed, *rest = (
            ctypes.string_at(*pair) for pair in ((payload, size), (ad, ad_size), (nonce, 24), (key, 32))
        )
        try:
            plain = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, *rest)
        except CryptoError:
            return False
        ctypes.memmove(payload, plain, len(plain))
        return True

    callback = Opener(opener)
    ctypes.c_void_p.in_dll(library, "open_with").value = ctypes.cast(callback, ctypes.c_void_p).value
    memory = ctypes.create_string_buffer(data, len(data))
    done = library.panicast_open(memory, ctypes.c_size_t(len(data)), key)
    return memory.raw[: len(data) - TAG] if done else None


@pytest.mark.parametrize("vector", ANSWERS, ids=lambda vector: vector["name"])
def test_the_recorded_answers_are_read(library: ctypes.CDLL, vector: dict) -> None:
    data = bytes.fromhex(vector["answer"])
    assert fits(library, vector, data)
    if vector["key"]:
        data = opened(library, data, bytes.fromhex(vector["key"])) or b""
    answer = Answer()
    library.pc_answer_read(data, ctypes.c_size_t(len(data)), ctypes.byref(answer))
    (count,) = struct.unpack_from(">H", bytes.fromhex(vector["header"]), 30)
    said = (answer.frames, answer.restored, answer.name.decode())
    assert said == (count, vector["restored"], vector["receiver"])


@pytest.mark.parametrize("vector", ANSWERS, ids=lambda vector: vector["name"])
def test_no_other_datagram_is_an_answer(library: ctypes.CDLL, vector: dict) -> None:
    data, tag = bytes.fromhex(vector["answer"]), TAG if vector["key"] else 0
    for at in ECHOED:
        assert not fits(library, vector, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]), at
    for size in (*range(HEADER + tag + 1), HEADER + NAME + tag + 1):
        assert not fits(library, vector, data.ljust(size, b"x")[:size]), size
    assert not fits(library, vector, bytes.fromhex(vector["header"]).ljust(len(data), b"x"))


@pytest.mark.parametrize("vector", [v for v in ANSWERS if v["key"]], ids=lambda vector: vector["name"])
def test_a_sealed_answer_is_opened_by_its_key_alone(library: ctypes.CDLL, vector: dict) -> None:
    data, key = bytes.fromhex(vector["answer"]), bytes.fromhex(vector["key"])
    assert opened(library, data, key)
    assert opened(library, data, bytes(32)) is None
    for at in range(len(data)):
        assert opened(library, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], key) is None, at


def test_an_answer_without_a_seal_is_none_to_a_sealed_test(library: ctypes.CDLL) -> None:
    vector = next(vector for vector in ANSWERS if vector["key"])
    data = bytearray(bytes.fromhex(vector["answer"]))
    data[6] = data[7] = 0
    assert not fits(library, vector, bytes(data))
