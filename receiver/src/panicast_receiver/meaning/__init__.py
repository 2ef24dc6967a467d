# SPDX-License-Identifier: GPL-2.0-or-later
"""What a crash was: what happened, in which function, and which crashes are the same. Pure.

Text in, values out. Nothing here knows where a record came from or where it is kept.
"""

from __future__ import annotations

from .crash import parse
from .model import VERSION, Meaning

__all__ = ["Meaning", "understand"]


def understand(text: str, stated_reason: str = "") -> Meaning:
    """Find out what a record's text tells; ``stated_reason`` is the metadata's. The same text always means
    the same: nothing else is looked at."""
    found = parse(text, stated_reason)
    if not found.title:
        return Meaning()
    return Meaning(
        title=found.title,
        signature=found.signature,
        reason=found.reason,
        at=found.at,
        trace=found.trace,
        modules=found.modules,
        hardware=found.hardware,
        kernel=found.kernel,
        comm=found.comm,
        names=(found.signature,) if found.signature else (),
        version=VERSION,
    )
