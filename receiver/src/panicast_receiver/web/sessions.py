# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions of browsers that have said the token: each can be ended, and all end with the process."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from hashlib import sha256
from typing import Callable

#: Seconds that a session lasts; so many are kept, of which the oldest ends first.
LASTS_S = 30 * 86400
_MOST = 4096


class Sessions:
    """Known by digests, so that nobody reads one out of our memory and shows it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def begin(self) -> str:
        """What a new one's cookie holds."""
        name = secrets.token_urlsafe(32)
        self._until[_digest(name)] = self._clock() + LASTS_S
        if len(self._until) > _MOST:
            self._until.popitem(last=False)
        return name

    def is_open(self, name: str) -> bool:
        """Whether this is one that has not ended."""
        return self._until.get(_digest(name), 0.0) > self._clock()

    def end(self, name: str) -> None:
        """End it, if it is one."""
        self._until.pop(_digest(name), None)


def _digest(name: str) -> bytes:
    # A header may hold any bytes; those that are not UTF-8 come as surrogates.
    return sha256(name.encode("utf-8", "surrogateescape")).digest()
