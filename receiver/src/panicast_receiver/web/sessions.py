# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions of browsers: each can be ended, and all end with the process."""

from __future__ import annotations

import secrets
import time
from collections import Counter, OrderedDict
from typing import Callable

from .tokens import Grant, digest

#: Seconds that a session lasts; and how many are kept: of more, the oldest of whoever has the most ends.
LASTS_S = 30 * 86400
_MOST = 4096


class Sessions:
    """The open sessions, kept as digests, so that nobody can read one from our memory and use it.

    Each has the digest of the token that began it, and is worth as much as that token is; or what the
    person may do who logged in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, tuple[float, str | Grant]] = OrderedDict()

    def begin(self, began: str | Grant, lasts_s: float = LASTS_S) -> str:
        """Return the cookie of a new session, which the token with this digest began, or a person."""
        name = secrets.token_urlsafe(32)
        self._open[digest(name)] = (self._clock() + lasts_s, began)
        if len(self._open) > _MOST:
            ((most, _),) = Counter(began for _, began in self._open.values()).most_common(1)
            del self._open[next(key for key, (_, began) in self._open.items() if began == most)]
        return name

    def began(self, name: str) -> str | Grant | None:
        """Return what began this session; None if it is not open."""
        until, began = self._open.get(digest(name), (0.0, ""))
        return began if until > self._clock() else None

    def end(self, name: str) -> None:
        """End this session if it is open."""
        self._open.pop(digest(name), None)
