# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits how often somebody may give a wrong token. Pure but for its clock.

Each address may be wrong a few times, and all that never were right together some hundred times;
time forgives both. A browser (by its cookie) or a program (by its address) that was right once is
counted by itself, so no stranger's tries lock the operator out. Open sessions are never affected.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from typing import Callable, NamedTuple

#: Wrong tries at once, and seconds until one is forgiven.
_EACH, _EACH_S = 10, 6.0
_ALL, _ALL_S = 300, 1.0
#: So many visitors are remembered; the one seen longest ago is forgotten first.
_MOST = 4096


class _Bucket(NamedTuple):
    wrong: float = 0.0
    at: float = 0.0

    def now(self, now: float, forgiven_s: float) -> _Bucket:
        return _Bucket(max(0.0, self.wrong - (now - self.at) / forgiven_s), now)


class Tries:
    """``who`` is an address, or what a browser showed that was right before. ``of_all`` that never were right
    may be wrong at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, of_all: float = _ALL) -> None:
        self._clock = clock
        self._of_all = of_all
        self._each: OrderedDict[str, _Bucket] = OrderedDict()
        self._right: OrderedDict[str, None] = OrderedDict()
        self._all = _Bucket()

    def wait_s(self, who: str) -> float:
        """Return the seconds until this one may try; 0 means now."""
        now = self._clock()
        wait = (self._each.get(who, _Bucket()).now(now, _EACH_S).wrong + 1 - _EACH) * _EACH_S
        if who not in self._right:
            wait = max(wait, (self._all.now(now, _ALL_S).wrong + 1 - self._of_all) * _ALL_S)
        return max(0.0, wait)

    def wrong(self, who: str) -> None:
        """Count a wrong try."""
        now = self._clock()
        bucket = self._each.pop(who, _Bucket()).now(now, _EACH_S)
        self._each[who] = bucket._replace(wrong=bucket.wrong + 1)
        if who not in self._right:
            self._all = self._all.now(now, _ALL_S)
            self._all = self._all._replace(wrong=self._all.wrong + 1)
        if len(self._each) > _MOST:
            self._each.popitem(last=False)

    def right(self, who: str) -> None:
        """Count a right try, and remember who made it."""
        self._each.pop(who, None)
        self._right[who] = None
        self._right.move_to_end(who)
        if len(self._right) > _MOST:
            self._right.popitem(last=False)

    def knows(self, who: str) -> bool:
        """Tell whether this one was right before."""
        return who in self._right


def whose(peer: str, forwarded: str) -> str:
    """Return the address by which a visitor is counted: his own, or the one that a proxy on this
    machine named last. Of IPv6 it is the network, because one machine has all addresses in it."""
    told = forwarded.rpartition(",")[2].strip()
    for text in (told, peer) if _address(peer) is None or _is_loopback(peer) else (peer,):
        address = _address(text)
        if address is not None:
            if address.version == 6:
                return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))
            return str(address)
    return "nobody"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def _is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback
