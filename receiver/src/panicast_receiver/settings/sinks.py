# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is told of each record."""

from __future__ import annotations

from .kinds import Setting, absolute, one_of, parse_servers, web_address, without_password
from .targets import parse_target


def _syslog(text: str) -> None:
    if text:
        parse_target(text)


#: How a webhook is told; sinks/webhook.py makes what is sent in each.
WEBHOOK_FORMATS = ("record", "alertmanager", "chat")

SINKS: tuple[Setting, ...] = (
    Setting(
        "hook",
        str,
        "",
        "PROGRAM",
        "Absolute path of a program to run for each record: the record as JSON on standard input, "
        "PANICAST_ID, _TYPE, _HOST, _REASON, _TITLE, _SIGNATURE and _RECEIVED as variables. Empty: none.",
        check=absolute,
        form="the absolute path of a program",
        example="/usr/local/sbin/tell-us",
    ),
    Setting(
        "webhook",
        str,
        "",
        "URL",
        "Where to post each record as JSON, http or https. Empty: nowhere. An address that is a secret, as "
        "chats give them, belongs into a file: webhook_file.",
        check=web_address,
        form="an http or https address",
        example="https://alerts.example.org/panics",
        secret=True,
    ),
    Setting(
        "webhook_file",
        str,
        "",
        "FILE",
        "A file of mode 0600 with that address in a line; a name without slash is a credential's "
        "(LoadCredential=). Empty: webhook says it.",
        form="a path, or the name of a credential",
        example="/etc/panicast/webhook",
    ),
    Setting(
        "webhook_format",
        str,
        "record",
        "|".join(WEBHOOK_FORMATS),
        "The record itself, an alert for Alertmanager's /api/v2/alerts, or a line for chats like Slack.",
        check=one_of(*WEBHOOK_FORMATS),
    ),
    Setting(
        "syslog",
        str,
        "",
        "udp|tcp|tls:HOST:PORT",
        "A syslog server (RFC 5424) to tell of each record. Empty: none.",
        check=_syslog,
        form="udp, tcp or tls, a host and a port",
        example="tls:logs.example.org:6514",
    ),
    Setting(
        "journal",
        bool,
        False,
        "",
        "Tell the journal of each record in fields of its own (PANICAST_HOST=, PANICAST_SIGNATURE= ...).",
    ),
    Setting(
        "postgresql",
        str,
        "",
        "DSN",
        "The central store: a connection string or URI of PostgreSQL, host=db.example.org dbname=panicast; "
        "the tables are made in its schema panicast. No password: name a file (passfile=), a service "
        "(service=), or write all of it into postgresql_file. Empty: none.",
        check=without_password,
        example="host=db.example.org dbname=panicast",
        secret=True,
    ),
    Setting(
        "postgresql_file",
        str,
        "",
        "FILE",
        "A file of mode 0600 with that connection string in a line, maybe with a password; a name without "
        "slash is a credential's (LoadCredential=). Empty: postgresql says it.",
        form="a path, or the name of a credential",
        example="/etc/panicast/postgresql",
    ),
    Setting(
        "nats",
        str,
        "",
        "nats://HOST:PORT[,...]",
        "The servers of a NATS cluster with JetStream, nats:// or tls://. Records go to its stream PANICAST, "
        "which is made where there is none. Empty: nowhere.",
        check=parse_servers,
        form="nats:// or tls:// addresses without a login, separated by commas",
        example="nats://n1.example.org:4222,nats://n2.example.org:4222",
    ),
    Setting(
        "nats_login",
        str,
        "",
        "FILE",
        "Who we are there: a file of mode 0600 with the line USER:PASSWORD or a token; a name without slash "
        "is a credential's (LoadCredential=). Empty: nobody.",
        form="a path, or the name of a credential",
        example="/etc/panicast/nats-login",
    ),
)
