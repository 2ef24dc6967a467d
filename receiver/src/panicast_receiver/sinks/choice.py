# SPDX-License-Identifier: GPL-2.0-or-later
"""Which sinks the settings ask for. What needs a library is imported by those who use it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..settings.targets import parse_target
from . import Sink
from .hook import Hook
from .journal import Journal
from .syslog import Syslog
from .webhook import Webhook

if TYPE_CHECKING:
    from ..settings import Settings


#: What to install for a module that not everybody needs.
_PACKAGES: Mapping[str, str] = {
    "psycopg2": "postgresql needs psycopg2; install python3-psycopg2 (EL 8: python39-psycopg2) or "
    "`pip install psycopg2-binary`, or leave postgresql empty",
    "nats": "nats needs nats-py, which the packages bring; `pip install nats-py`, or leave nats empty",
}


@contextlib.contextmanager
def libraries() -> Iterator[None]:
    """Turns a missing library of a sink into a UsageError that says what to do."""
    try:
        yield
    except ImportError as error:
        raise UsageError(_PACKAGES.get(error.name or "", str(error))) from error


@libraries()
def chosen(settings: Settings) -> list[Sink]:
    """The sinks; raises ReceiverError when one cannot be."""
    sinks: list[Sink] = []
    if settings.hook:
        sinks.append(Hook(settings.hook))
    if settings.webhook:
        sinks.append(Webhook(settings.webhook, settings.webhook_format))
    if settings.syslog:
        sinks.append(Syslog(parse_target(settings.syslog)))
    if settings.journal:
        sinks.append(Journal())
    if settings.postgresql:
        from .postgresql import PostgreSQL

        sinks.append(PostgreSQL(settings.postgresql))
    if settings.nats:
        from .broker import Broker
        from .jetstream import JetStream

        sinks.append(JetStream(Broker(settings.nats, settings.nats_login)))
    return sinks
