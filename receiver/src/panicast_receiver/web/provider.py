# SPDX-License-Identifier: GPL-2.0-or-later
"""What the settings say of a provider of OpenID Connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..settings.web import Pattern

__all__ = ["Pattern", "Provider"]


class Provider(NamedTuple):
    """What the settings say: who may read and operate are patterns."""

    issuer: str
    client_id: str
    secret: str
    readers: Sequence[Pattern]
    operators: Sequence[Pattern]
