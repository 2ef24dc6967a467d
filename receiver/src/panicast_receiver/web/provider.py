# SPDX-License-Identifier: GPL-2.0-or-later
"""What the settings say of a provider of OpenID Connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Provider(NamedTuple):
    """What the settings say: who may read and operate are patterns of names, addresses or groups."""

    issuer: str
    client_id: str
    secret: str
    readers: Sequence[str]
    operators: Sequence[str]
