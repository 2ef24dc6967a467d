# SPDX-License-Identifier: GPL-2.0-or-later
"""The web page: a separate process beside ``serve``, which reads the database as the commands do.

It needs modules that the receiver does not: nothing outside this room imports them, and only
``run`` is imported from outside.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import ReceiverError

if TYPE_CHECKING:
    from ..settings import Settings

_NEEDED = ("aiohttp", "jinja2", "prometheus_client")


def run(settings: Settings) -> int:
    """Serve the page until SIGTERM or SIGINT; return the exit code. Raises ReceiverError if it
    cannot start."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ReceiverError(
            f"the web page needs modules that are not installed: {', '.join(missing)}. Debian, Ubuntu: apt "
            "install python3-aiohttp python3-jinja2 python3-prometheus-client; Fedora, EL with EPEL: dnf "
            "install python3-aiohttp python3-jinja2 python3-prometheus_client; openSUSE: zypper install "
            "python3-aiohttp python3-Jinja2 python3-prometheus-client; elsewhere: pip install aiohttp Jinja2 "
            "prometheus-client. All else works without"
        )
    from . import server

    return server.run(settings)
