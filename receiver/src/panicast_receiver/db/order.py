# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks the requests of people, whatever they change: see groups.py and maintenance.py. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from ..errors import UsageError


class Order(Protocol):
    """What somebody asks for: an action, and who asks."""

    @property
    def action(self) -> str:
        """Return what is to be done."""

    @property
    def by(self) -> str:
        """Return who asks for it."""


def check(order: Order, actions: Collection[str], longest: Mapping[str, int], about: str) -> None:
    """Raise UsageError if there is no such action, a text has more characters than ``longest`` says
    of its field, or nobody says who asks; ``about``: what others look after, too."""
    if order.action not in actions:
        raise UsageError(f"there is no action {order.action!r}; there are: {', '.join(actions)}")
    for name, most in longest.items():
        if len(getattr(order, name)) > most:
            raise UsageError(f"{name} is too long; it may have {most} characters")
    if not order.by:
        raise UsageError(f"say who you are, for others who look after {about}")
