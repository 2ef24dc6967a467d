# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds secrets that others may read."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from . import Settings


def warnings(settings: Settings) -> list[str]:
    """Return a sentence for each secret in a configuration file that every user of this machine may
    read."""
    if not settings.file or not _is_secret(settings):
        return []
    try:
        mode = stat.S_IMODE(settings.file.stat().st_mode)
    except OSError:
        return []
    if not mode & stat.S_IROTH:
        return []
    return [
        f"all users may read {settings.file}, and who knows the webhook's address may write there; put the "
        "address into a file of mode 0600 that belongs to panicast, and name that in webhook_file"
    ]


def _is_secret(settings: Settings) -> bool:
    """Tell whether an address is secret: those of chats are, others by a login or a query in them."""
    url = urlsplit(settings.webhook)
    return bool(settings.webhook) and (
        settings.webhook_format == "chat" or "@" in url.netloc or bool(url.query)
    )
