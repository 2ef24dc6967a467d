# SPDX-License-Identifier: GPL-2.0-or-later
"""What anybody can send to the real service, and an honest panic after it."""

import os
import random
import re
import time

import pytest

from ..conftest import OWN_PORT, own_address
from ..headers import header

#: At every limit of a field.
HEADERS = {
    "event": (0, 1, (1 << 32) - 1),
    "seq": (0, 1, 65535),
    "count": (1, 2, 65535),
    "offset": (0, (1 << 32) - 1),
    "length": (0, 1, 1 << 20, (1 << 32) - 1),
    "time": (0, 1 << 63, (1 << 64) - 1),
    "host": (b"\xff" * 32, bytes(32), b"honest".ljust(32, b"\0"), "\u202e".encode() * 10 + b"  "),
    "type": (1, 2, 3, 4, 5, 255),
}
MANY = 300


def netconsole(chance):
    """Numbers without end, of messages and of their pieces; and a panic among them."""
    numbers = (0, 1, 1 << 63, 10**19, 10**20 - 1)
    for _ in range(MANY):
        pieces = chance.choice((0, 10**8, 10**9 - 1)), chance.choice((0, 1, 10**9 - 1))
        stated = chance.choice(numbers), chance.choice(numbers), *pieces
        yield b"6,%d,%d,-,ncfrag=%d/%d;x" % stated
    yield b"6,1,1,-;Kernel panic - not syncing: made up"
    yield b"6,99999999999999999999,1,-;end"


def headers(chance):
    for _ in range(MANY):
        fields = {name: chance.choice(values) for name, values in HEADERS.items()}
        yield header(boot=chance.randbytes(16), **fields) + chance.randbytes(chance.choice((0, 1, 900)))


def metadata(chance):
    """Very many keys, keys twice, half characters, and what a terminal acts on."""
    keys = b"".join(b"k%d=\xed\xa0\x80\n" % number for number in range(90))
    said = keys + b"host=x\nhost=y\nmac=zz\niface=\x1b[2J\nreason=" + b'"' * 100 + b"\nrelease=" + b"9" * 300
    for _ in range(MANY):
        yield (
            header(boot=chance.randbytes(16), seq=0, count=1, length=0, host=b"x".ljust(32, b"\0"))
            + said[:1300]
        )


def claims(chance):
    """One event of one boot, claimed by all."""
    for number in range(MANY):
        name = b"n%d" % (number % 50)
        fields = {"seq": 0, "count": 1, "length": 0, "time": number, "host": name.ljust(32, b"\0")}
        yield header(boot=b"c" * 16, event=7, **fields) + b"host=" + name + b"\n"


def texts(chance):
    """What patterns begin with, again and again, and words that nobody says."""
    bodies = (
        "".join(f"{chance.getrandbits(24):x}\u2014" for _ in range(9000)).encode(),
        b"".join(b"BUG: kernel NULL pointer dereference, address: %d\n" % number for number in range(1500)),
        b"Call Trace:\n" * 5000,
        b"[  1.0][ T1] " * 5000,
        bytes(60000),
    )
    for body in bodies:
        yield from record(b"words", body)


def record(host, text, size=1200):
    """The frames of a panic."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    shared = {"boot": os.urandom(16), "count": len(pieces) + 1, "length": len(text), "time": time.time_ns()}
    shared["host"] = host.ljust(32, b"\0")
    yield header(seq=0, offset=0, **shared) + b"host=" + host + b"\n"
    for number, piece in enumerate(pieces):
        yield header(seq=number + 1, offset=number * size, **shared) + piece


@pytest.mark.parametrize("abuse", [netconsole, headers, metadata, claims, texts])
def test_an_honest_panic_is_stored_after_whatever_anybody_sends(serve, abuse):
    rates = ("--source-records-per-minute", "100000", "--mac-records-per-minute", "100000")
    receiver = serve("--listen", f"{own_address()}:0", "--netconsole-port", str(OWN_PORT), *rates)
    receiver.host = own_address()
    own, receiver.port = receiver.port, OWN_PORT if abuse is netconsole else receiver.port
    for number, frame in enumerate(abuse(random.Random(1))):
        receiver.send([frame])
        if number % 50 == 49:
            # It is to be heard, not to overrun a small buffer.
            receiver.wait_counted(rf"^packets (?:{'|'.join(map(str, range(number - 25, number + 2)))})\b")
    receiver.port = own
    receiver.send(record(b"honest-one", b"<0>[    1.0] Kernel panic - not syncing: real\n"))
    receiver.wait_for(r"panic from honest-one.*complete")
    assert receiver.stop() == 0
    assert not [line for line in receiver.log if re.search("Traceback|by itself|could not be", line)]
