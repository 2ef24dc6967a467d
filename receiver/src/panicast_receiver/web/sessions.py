# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions of browsers that gave the token: each can be ended, and all end with the process."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from hashlib import sha256
from typing import Callable

#: Seconds that a session lasts; and how many are kept: of more, the oldest ends.
LASTS_S = 30 * 86400
_MOST = 4096


class Sessions:
    """The open sessions, kept as digests, so that nobody can read one from our memory and use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def begin(self) -> str:
        """Return the cookie of a new session."""
        name = secrets.token_urlsafe(32)
        self._until[_digest(name)] = self._clock() + LASTS_S
        if len(self._until) > _MOST:
            self._until.popitem(last=False)
        return name

    def is_open(self, name: str) -> bool:
        """Tell whether this session is open."""
        return self._until.get(_digest(name), 0.0) > self._clock()

    def end(self, name: str) -> None:
        """End this session if it is open."""
        self._until.pop(_digest(name), None)


def _digest(name: str) -> bytes:
    # A header may hold any bytes; those that are not UTF-8 come as surrogates.
    return sha256(name.encode("utf-8", "surrogateescape")).digest()
