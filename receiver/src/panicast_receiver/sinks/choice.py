# SPDX-License-Identifier: GPL-2.0-or-later
"""Chooses the sinks that the settings ask for. Only they import the libraries that they need."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..db.retention import Retention
from ..errors import UsageError
from ..secretfile import place, read_headers, read_line
from ..settings.exports import parse_bucket
from ..settings.kinds import web_address
from ..settings.syslog import parse_syslog
from . import Sink
from .hook import Hook
from .journal import Journal
from .loki import Loki
from .otlp import Otlp
from .syslog import Syslog
from .webhook import Webhook

if TYPE_CHECKING:
    from ..settings import Settings


_SECRET_FILES = (
    *("key_file", "webhook_file", "postgresql_file", "nats_login", "web_token_file"),
    "web_tokens_file",
    "web_oidc_client",
    *("loki_headers", "otlp_headers", "s3_login"),
)
#: What to install for a module that not everybody needs.
_PACKAGES: Mapping[str, str] = {
    "psycopg2": "postgresql needs psycopg2; install python3-psycopg2 (EL 8: python39-psycopg2) or "
    "`pip install psycopg2-binary`, or leave postgresql empty",
    "nats": "nats needs nats-py, which the packages bring; `pip install nats-py`, or leave nats empty",
    "botocore": "s3 needs botocore; install python3-botocore or `pip install botocore`, or leave s3 empty",
}


@contextlib.contextmanager
def libraries() -> Iterator[None]:
    """Turn a missing library of a sink into a UsageError that says what to do."""
    try:
        yield
    except ImportError as error:
        raise UsageError(_PACKAGES.get(error.name or "", str(error))) from error


@libraries()
def chosen(settings: Settings, secrets: Sequence[Path] = ()) -> list[Sink]:
    """Return the sinks. Raises ReceiverError if one cannot be made. The hook may not read the other
    ``secrets``."""
    sinks: list[Sink] = []
    if settings.hook:
        sinks.append(Hook(settings.hook))
        hide_from_hook(sinks, settings, secrets)
    if url := webhook_url(settings):
        sinks.append(Webhook(url, settings.webhook_format))
    if settings.syslog:
        sinks.append(Syslog(parse_syslog(settings.syslog)))
    if settings.journal:
        sinks.append(Journal())
    if dsn := postgresql_dsn(settings):
        from .postgresql import PostgreSQL

        sinks.append(PostgreSQL(dsn, central_retention(settings)))
    if settings.nats:
        from .broker import Broker
        from .jetstream import JetStream

        sinks.append(JetStream(Broker(settings.nats, settings.nats_login)))
    if settings.loki:
        sinks.append(Loki(settings.loki, _headers(settings.loki_headers)))
    if settings.otlp:
        sinks.append(Otlp(settings.otlp, _headers(settings.otlp_headers)))
    if settings.s3:
        from .archive import Archive

        login = read_line(settings.s3_login, "the login") if settings.s3_login else ""
        bucket = parse_bucket(settings.s3)
        sinks.append(Archive(bucket, settings.s3_endpoint, settings.s3_region, login))
    return sinks


def _headers(file: str) -> Mapping[str, str]:
    return read_headers(file) if file else {}


def hide_from_hook(sinks: Sequence[Sink], settings: Settings, secrets: Sequence[Path]) -> None:
    """Let the hook, if it is among the sinks, read neither the settings' secrets nor these."""
    for sink in sinks:
        if isinstance(sink, Hook):
            sink.secrets = hidden(settings, secrets)


def hidden(settings: Settings, secrets: Sequence[Path]) -> list[Path]:
    """Return what a program that we run may not read: the settings' secrets, and these."""
    return [*_secrets(settings), *(path.absolute() for path in secrets)]


def _secrets(settings: Settings) -> list[Path]:
    """Return what nobody but us may read: the records, and all files that settings name."""
    named = [getattr(settings, key) for key in _SECRET_FILES if getattr(settings, key)]
    return [settings.state_path(writing=True).absolute(), *(place(name).absolute() for name in named)]


def webhook_url(settings: Settings) -> str:
    """Return the address to post to; empty if there is none. Raises ReceiverError."""
    url = _said(settings, "webhook", "the address of the webhook")
    try:
        web_address(url)
    except ValueError:
        path = place(settings.webhook_file)
        raise UsageError(f"{path}: right is one line: an http or https address") from None
    return url


def postgresql_dsn(settings: Settings) -> str:
    """Return PostgreSQL's connection string; empty if there is none. Raises ReceiverError."""
    return _said(settings, "postgresql", "the connection string")


def central_retention(settings: Settings) -> Retention:
    """Return what the central store keeps."""
    return Retention(settings.postgresql_keep_days, settings.postgresql_keep_mib << 20)


def _said(settings: Settings, key: str, what: str) -> str:
    """Return the value of a setting, or of the file that another setting names."""
    value: str = getattr(settings, key)
    file: str = getattr(settings, f"{key}_file")
    if value and file:
        raise UsageError(f"{key} and {key}_file are both set; leave one of them empty")
    return read_line(file, what) if file else value
