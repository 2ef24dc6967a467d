# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that one fault of a function may have: from another kernel, or from another checker. Data.

Crashes whose titles belong to one family and name one function are one group. A title belongs to at
most one family. So a group never depends on which other crashes there are, and every receiver
agrees on it.
"""

from __future__ import annotations

from hashlib import blake2b

#: The name that all members of a family share, and the words that titles have in its place before "
#: in " and the function.
_FAMILIES = {
    # An address that is none: what the processor says of it depends on the address.
    "bad address": (
        *("NULL pointer dereference", "bad paging request", "general protection fault", "bad address"),
        *("KASAN: null-ptr-deref", "KASAN: null-ptr-deref Read", "KASAN: null-ptr-deref Write"),
        *("KASAN: user-memory-access Read", "KASAN: user-memory-access Write"),
        *("KASAN: wild-memory-access Read", "KASAN: wild-memory-access Write"),
    ),
    # Linux 6.2 began to say of which kind the memory is; KFENCE finds by chance what KASAN finds for sure.
    "use-after-free": ("KASAN: use-after-free", "KASAN: slab-use-after-free"),
    "use-after-free read": (
        *("KASAN: use-after-free Read", "KASAN: slab-use-after-free Read"),
        "KFENCE: use-after-free read",
    ),
    "use-after-free write": (
        *("KASAN: use-after-free Write", "KASAN: slab-use-after-free Write"),
        "KFENCE: use-after-free write",
    ),
    "out-of-bounds read": ("KASAN: slab-out-of-bounds Read", "KFENCE: out-of-bounds read"),
    "out-of-bounds write": ("KASAN: slab-out-of-bounds Write", "KFENCE: out-of-bounds write"),
    "invalid free": ("KASAN: invalid-free", "KFENCE: invalid free"),
    # Whichever watchdog barks first.
    "stall": ("soft lockup", "hard lockup", "RCU stall"),
    "hang": ("hung task", "task can't die"),
    "stack overflow": ("stack overflow", "stack guard page was hit", "corrupted stack end"),
}
#: A CPU that makes no progress may only be waiting for other CPUs, in functions that begin so;
#: which one depends on the number of CPUs. It may wait for anything, so its own name still counts.
_GET_NO_FURTHER, _WAITS = ("stall", "hang"), ("smp_call_function", "synchronize_rcu")

_FAMILY_OF = {title: family for family, titles in _FAMILIES.items() for title in titles}


def names(title: str) -> tuple[str, ...]:
    """Return the names of a crash with this title: the title first, the name that it shares with
    others last."""
    what, _, where = title.partition(" in ")
    family = _FAMILY_OF.get(what)
    if not where or family is None:
        return (title,)
    waits = next((one for one in _WAITS if one in where), "") if family in _GET_NO_FURTHER else ""
    end = where.find(waits) + len(waits)
    found = f"{what} in {where[:end]}" if waits else f"{family} in {where}"
    return (title,) if found == title else (title, found)


def digest(name: str) -> str:
    """Return the signature of all crashes that share this name."""
    return blake2b(name.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
