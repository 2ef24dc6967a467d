# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds where the records are that the page shows: in the state folder, or in the central store."""

from __future__ import annotations

from ..db.engine import Place
from ..errors import UsageError
from ..settings import Settings
from ..sinks.choice import libraries, postgresql_dsn


@libraries()
def of(settings: Settings) -> Place:
    """Return what the settings name. Raises ReceiverError."""
    if not settings.web_central:
        return settings.state_path(writing=False)
    dsn = postgresql_dsn(settings)
    if not dsn:
        raise UsageError("web_central shows the central store; name it in postgresql or postgresql_file")
    from ..central.engine import Central

    return Central(dsn)
