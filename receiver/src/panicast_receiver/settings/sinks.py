# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the sinks: who gets each record."""

from __future__ import annotations

from .kinds import Setting, absolute, one_of, parse_servers, web_address, without_password
from .syslog import parse_syslog


def _syslog(text: str) -> None:
    if text:
        parse_syslog(text)


#: How a webhook is told; sinks/webhook.py makes what is sent in each.
WEBHOOK_FORMATS = ("record", "alertmanager", "chat")

SINKS: tuple[Setting, ...] = (
    Setting(
        "hook",
        str,
        "",
        "PROGRAM",
        "Absolute path of a program to run for each record. It gets the record as JSON on "
        "standard input, and the variables PANICAST_ID, _TYPE, _HOST, _REASON, _TITLE, "
        "_SIGNATURE and _RECEIVED. Empty: none.",
        check=absolute,
        form="the absolute path of a program",
        example="/usr/local/sbin/tell-us",
    ),
    Setting(
        "webhook",
        str,
        "",
        "URL",
        "http or https address to post each record to as JSON. Put a secret address, as chats "
        "give them, into a file: webhook_file. Empty: none.",
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
        "File of mode 0600 with that address on one line. A name without a slash is a credential "
        "(LoadCredential=). Empty: use webhook.",
        form="a path, or the name of a credential",
        example="/etc/panicast/webhook",
    ),
    Setting(
        "webhook_format",
        str,
        "record",
        "|".join(WEBHOOK_FORMATS),
        "What to post: the record itself, an alert for Alertmanager's /api/v2/alerts, or a line "
        "for chats like Slack.",
        check=one_of(*WEBHOOK_FORMATS),
    ),
    Setting(
        "alerts_file",
        str,
        "",
        "FILE",
        "File with the rules of alerts: who gets alerts about new crashes, regressions, hosts that crash "
        "again and again and silent hosts, and how. docs/receiver.md shows one; `panicast-receiver "
        "alert-test` tries it. A reload reads the same file again. Empty: none.",
        check=absolute,
        form="the absolute path of a file",
        example="/etc/panicast/alerts.toml",
    ),
    Setting(
        "syslog",
        str,
        "",
        "udp|tcp|tls:HOST:PORT",
        "Syslog server (RFC 5424) to send each record to. Empty: none.",
        check=_syslog,
        form="udp, tcp or tls, a host and a port",
        example="tls:logs.example.org:6514",
    ),
    Setting(
        "journal",
        bool,
        False,
        "",
        "Write each record to the journal, with fields of its own (PANICAST_HOST=, PANICAST_SIGNATURE= ...).",
    ),
    Setting(
        "postgresql",
        str,
        "",
        "DSN",
        "The central store: a PostgreSQL connection string or URI, such as host=db.example.org "
        "dbname=panicast. The tables are created in its schema panicast. Do not write a password "
        "here: name a file (passfile=) or a service (service=), or write the whole string into "
        "postgresql_file. Empty: none.",
        check=without_password,
        example="host=db.example.org dbname=panicast",
        secret=True,
    ),
    Setting(
        "postgresql_file",
        str,
        "",
        "FILE",
        "File of mode 0600 with that connection string on one line; it may contain a password. A "
        "name without a slash is a credential (LoadCredential=). Empty: use postgresql.",
        form="a path, or the name of a credential",
        example="/etc/panicast/postgresql",
    ),
    Setting(
        "postgresql_keep_days",
        float,
        0.0,
        "DAYS",
        "Delete records from the central store that are older than this, and hosts that never sealed "
        "and were not heard for as long. 0: never.",
        low=0,
        high=36500,
    ),
    Setting(
        "postgresql_keep_mib",
        int,
        0,
        "MIB",
        "Delete records from the central store when all take more than this, in the order of keep_mib. Each "
        "receiver and `collect` deletes by its own settings, so set them alike, or in one of them. 0: no "
        "limit, because nobody here knows that server's disk.",
        low=0,
        high=1 << 40,
    ),
    Setting(
        "nats",
        str,
        "",
        "nats://HOST:PORT[,...]",
        "Servers of a NATS cluster with JetStream, nats:// or tls://. Records go to its stream "
        "PANICAST, which is created if it does not exist. Empty: none.",
        check=parse_servers,
        form="nats:// or tls:// addresses without a login, separated by commas",
        example="nats://n1.example.org:4222,nats://n2.example.org:4222",
    ),
    Setting(
        "nats_login",
        str,
        "",
        "FILE",
        "Login for these servers: a file of mode 0600 with a line USER:PASSWORD or a token. A "
        "name without a slash is a credential (LoadCredential=). Empty: no login.",
        form="a path, or the name of a credential",
        example="/etc/panicast/nats-login",
    ),
)
