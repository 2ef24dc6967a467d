# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of exports: the places where people keep the logs and records of all their machines."""

from __future__ import annotations

import re
from typing import NamedTuple

from .kinds import Setting, open_address

_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9!_.*'()/-]{0,512}))?")


class Bucket(NamedTuple):
    """Where objects go: a bucket, and what their names begin with, empty or ending in a slash."""

    name: str
    prefix: str


def parse_bucket(text: str) -> Bucket:
    """Split s3://BUCKET/PREFIX. Raises ValueError."""
    match = _BUCKET.fullmatch(text)
    if not match:
        raise ValueError(text)
    prefix = (match[2] or "").strip("/")
    return Bucket(match[1], f"{prefix}/" if prefix else "")


def _bucket(text: str) -> None:
    if text:
        parse_bucket(text)


def _headers(key: str) -> Setting:
    return Setting(
        f"{key}_headers",
        str,
        "",
        "FILE",
        f"HTTP headers for {key}, such as a login or a tenant: a file of mode 0600 with lines NAME: VALUE. "
        "A name without a slash is a credential (LoadCredential=). Empty: none.",
        form="a path, or the name of a credential",
        example=f"/etc/panicast/{key}-headers",
    )


EXPORTS: tuple[Setting, ...] = (
    Setting(
        "loki",
        str,
        "",
        "URL",
        "Grafana Loki to push each record to, as a line of JSON: the address without /loki/api/v1/push. "
        "Empty: none.",
        check=open_address,
        form="an http or https address",
        example="https://loki.example.org:3100",
    ),
    _headers("loki"),
    Setting(
        "otlp",
        str,
        "",
        "URL",
        "OpenTelemetry collector to export each record to as a log, by OTLP over HTTP: the address without "
        "/v1/logs. Empty: none.",
        check=open_address,
        form="an http or https address",
        example="https://otel.example.org:4318",
    ),
    _headers("otlp"),
    Setting(
        "s3",
        str,
        "",
        "s3://BUCKET/PREFIX",
        "Archive: the bucket in which each record becomes an object of compressed JSON. Empty: none.",
        check=_bucket,
        form="s3://, a bucket and the beginning of the objects' names",
        example="s3://crashes/panicast",
    ),
    Setting(
        "s3_endpoint",
        str,
        "",
        "URL",
        "Address of another store than Amazon's that speaks S3. Empty: Amazon's.",
        check=open_address,
        form="an http or https address",
        example="https://s3.example.org:9000",
    ),
    Setting(
        "s3_region",
        str,
        "",
        "NAME",
        "Region of the bucket. Empty: what botocore's configuration says, or us-east-1 for an s3_endpoint.",
        form="a region's name",
        example="eu-central-1",
    ),
    Setting(
        "s3_login",
        str,
        "",
        "FILE",
        "Login for the bucket: a file of mode 0600 with a line KEY:SECRET. A name without a slash is a "
        "credential (LoadCredential=). Empty: what botocore finds, such as the role of a virtual machine.",
        form="a path, or the name of a credential",
        example="/etc/panicast/s3-login",
    ),
)
