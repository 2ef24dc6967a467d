# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives whole records in a bucket of S3 or of a store that speaks S3's protocol, by botocore."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import botocore.config
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError

from ..errors import UsageError
from ..settings.exports import Bucket
from . import Away, Notice, Refused
from .webhook import seconds, send

#: Errors that are about this record, not about us or the server: others have the same status, such as one
#: for another region (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
_REFUSALS = frozenset({"EntityTooLarge", "KeyTooLongError", "411", "413", "414"})
_USUAL_PORTS = {"http": ":80", "https": ":443"}


class Archive:
    """Puts one object for each record, its JSON compressed by gzip.

    Raises UsageError for a login, an endpoint or a region that cannot be.
    """

    def __init__(self, bucket: Bucket, endpoint: str, region: str, login: str) -> None:
        self.name = "s3"
        self.most = 1
        self._bucket = bucket
        # The feeder tries again, with its own pauses.
        config = botocore.config.Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        session = botocore.session.Session()
        # Other stores than Amazon's refuse the checksums that newer versions add.
        session.set_config_variable("request_checksum_calculation", "when_required")
        if login:
            key, colon, secret = login.partition(":")
            if not (key and colon and secret):
                raise UsageError("s3_login: right is one line: KEY:SECRET")
            session.set_credentials(key, secret)
        # Other stores than Amazon's have one region, which few give a name.
        usual = "us-east-1" if endpoint else None
        try:
            self._client = session.create_client(
                "s3",
                endpoint_url=endpoint or None,
                region_name=region or session.get_config_variable("region") or usual,
                config=config,
            )
        except (BotoCoreError, ValueError) as error:
            raise UsageError(f"s3: {error}") from error
        self._client.meta.events.register("before-send.s3", _send)

    def deliver(self, batch: Sequence[Notice]) -> None:
        """See Sink."""
        for notice in batch:
            self._put(notice.record)

    def _put(self, record: dict[str, Any]) -> None:
        body = gzip.compress(json.dumps(record).encode(), mtime=0)
        try:
            self._client.put_object(
                Bucket=self._bucket.name,
                Key=self._bucket.prefix + key(record),
                Body=body,
                ContentType="application/gzip",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _REFUSALS:
                raise Refused(f"S3: {error}") from error
            told = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            raise Away(f"S3: {error}", seconds(told.get("retry-after", ""))) from error
        except (BotoCoreError, OSError) as error:
            raise OSError(f"S3: {error}") from error


class _Body(io.BytesIO):
    def stream(self, *_: Any) -> Iterator[bytes]:
        """See urllib3.HTTPResponse."""
        yield self.read()


def _send(request: Any, **_: Any) -> AWSResponse:
    """Send what botocore has signed. It would read an answer without end into our memory, and wait for ever
    for one that comes byte by byte."""
    parts = urlsplit(request.url)
    headers = {
        name: text if isinstance(text, str) else text.decode() for name, text in request.headers.items()
    }
    # The signature is for a host without the usual port; nothing waits for the server's word to go on.
    headers["Host"] = re.sub(f"{_USUAL_PORTS[parts.scheme]}$", "", parts.netloc)
    headers.pop("Expect", None)
    answer = send(request.method, request.url, request.body, headers)
    return AWSResponse(request.url, answer.status, dict(answer.headers.items()), _Body(answer.body))


def key(record: dict[str, Any]) -> str:
    """Return an object's name: ``2026/11/30/HOST/ID-BYTES.json.gz``.

    BYTES is how much of the text is known, so that what another receiver heard in part does not
    replace the whole record.
    """
    host = re.sub(r"[^A-Za-z0-9._-]", "_", record["host"])[:255].strip(".") or "_"
    known = record["bytes"] - sum(gap["bytes"] for gap in record["gaps"])
    return f"{record['received'][:10].replace('-', '/')}/{host}/{record['id']}-{known}.json.gz"
