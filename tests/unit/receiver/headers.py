# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers that no sender of ours makes."""

from panicast_receiver.wire.v1 import HEADER


def header(**changes):
    """A good header of a text frame, with changes."""
    fields = {
        "magic": b"PCST",
        "version": 1,
        "type": 1,
        "flags": 0,
        "key": 0,
        "boot": b"b" * 16,
        "event": 1,
        "seq": 1,
        "count": 2,
        "offset": 0,
        "length": 4,
        "time": 5,
        "host": b"h" * 32,
        **changes,
    }
    return HEADER.pack(*fields.values())
