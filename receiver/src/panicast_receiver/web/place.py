# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds where the records are that the page shows: in the state folder, or in the central store."""

from __future__ import annotations

from ..db.engine import Place
from ..errors import UsageError
from ..settings import Settings
from ..sinks.choice import libraries, postgresql_dsn


def of(settings: Settings) -> Place:
    """Return what the settings name. Raises ReceiverError."""
    return central(settings, "web") if settings.web_central else settings.state_path(writing=False)


@libraries()
def central(settings: Settings, command: str) -> Place:
    """Return the central store that the settings name; ``command`` is who asks. Raises ReceiverError."""
    dsn = postgresql_dsn(settings)
    if not dsn:
        raise UsageError("web_central shows the central store; name it in postgresql or postgresql_file")
    from ..central.engine import Central

    return Central(dsn, command)
