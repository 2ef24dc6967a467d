# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``health``: tells in its exit code whether the service or the page works, for a
container's health check."""

from __future__ import annotations

import http.client
import ipaddress
from collections.abc import Mapping
from contextlib import closing
from typing import Callable

from .. import stats
from ..errors import ReceiverError
from ..settings import Settings
from ..settings.kinds import host_and_port
from .commands import say

#: What it uses of the page's settings.
SETTINGS = ("web_listen", "web_base")
#: Seconds for the page's answer.
_PATIENCE_S = 5.0


def run(settings: Settings, what: str) -> int:
    """Print that it works. Raises ReceiverError if it does not."""
    say(f"{CHECKS[what](settings)}\n")
    return 0


def _service(settings: Settings) -> str:
    state_dir = settings.state_path(writing=False)
    if stats.read(state_dir) is None:
        raise ReceiverError(
            f"no service has written {state_dir / stats.FILE_NAME} in the last {stats.STALE_S:.0f} s; "
            "look at its log"
        )
    return f"a service keeps its records in {state_dir}"


def _page(settings: Settings) -> str:
    address, port = host_and_port(settings.web_listen)
    connection = http.client.HTTPConnection(_here(address), port, timeout=_PATIENCE_S)
    where = f"http://{settings.web_listen}{settings.web_base}/healthz"
    with closing(connection):
        try:
            connection.request("GET", f"{settings.web_base}/healthz")
            answer = connection.getresponse()
            text = answer.read(1 << 10).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            raise ReceiverError(f"the page does not answer at {where}: {error}") from error
    if answer.status != http.client.OK:
        raise ReceiverError(f"the page answers {answer.status} at {where}: {text}")
    return f"the page answers at {where}"


def _here(address: str) -> str:
    """Return an address at which this machine reaches whoever listens on ``address``."""
    found = ipaddress.ip_address(address)
    if not found.is_unspecified:
        return address
    return "::1" if found.version == 6 else "127.0.0.1"


CHECKS: Mapping[str, Callable[[Settings], str]] = {"serve": _service, "web": _page}
