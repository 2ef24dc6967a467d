# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions of browsers that gave a token: each can be ended, and all end with the process."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from typing import Callable

from .tokens import digest

#: Seconds that a session lasts; and how many are kept: of more, the oldest ends.
LASTS_S = 30 * 86400
_MOST = 4096


class Sessions:
    """The open sessions, kept as digests, so that nobody can read one from our memory and use it.

    Each has the digest of the token that began it: it is worth as much as that token is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def begin(self, token: str) -> str:
        """Return the cookie of a new session, which the token with this digest began."""
        name = secrets.token_urlsafe(32)
        self._open[digest(name)] = (self._clock() + LASTS_S, token)
        if len(self._open) > _MOST:
            self._open.popitem(last=False)
        return name

    def token(self, name: str) -> str | None:
        """Return the digest of the token that began this session; None if it is not open."""
        until, token = self._open.get(digest(name), (0.0, ""))
        return token if until > self._clock() else None

    def end(self, name: str) -> None:
        """End this session if it is open."""
        self._open.pop(digest(name), None)
