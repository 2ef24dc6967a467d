# SPDX-License-Identifier: GPL-2.0-or-later
"""Exports: Loki, OTLP and S3, against what their documents and other implementations say."""

import contextlib
import gzip
import json
import threading
import tracemalloc
import urllib.request
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import pytest
from google.protobuf import json_format
from hypothesis import example, given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from panicast_receiver.errors import ReceiverError, UsageError
from panicast_receiver.settings import load
from panicast_receiver.settings.exports import EXPORTS, Bucket, parse_bucket
from panicast_receiver.sinks import Away, Notice, Refused
from panicast_receiver.sinks.archive import Archive, key
from panicast_receiver.sinks.choice import chosen
from panicast_receiver.sinks.loki import Loki, push
from panicast_receiver.sinks.otlp import Otlp, request
from panicast_receiver.text import iso_time, nanoseconds, newest

from ..conftest import PATIENCE_S, held_port, wait_until
from .test_stores import DOCUMENT
from .test_webhook import Server

PANIC = {
    **DOCUMENT,
    "id": "0123456789ab",
    "host": "db-7",
    "event": 3,
    "release": "6.1.0-42-amd64",
    "time": "2026-11-26T19:59:59.123456789Z",
    "text": "<0>Kernel panic - not syncing: x\n",
}
EXPORTS_BY_KEY = {setting.key: setting for setting in EXPORTS}
NOTICE = Notice(PANIC, "panic of db-7")


@pytest.fixture(scope="module")
def store():
    """An S3 server that checks signatures and what a user may do: (its address, KEY:SECRET, a client)."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    first = {
        "endpoint_url": url,
        "region_name": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    iam = boto3.client("iam", **first)
    iam.create_user(UserName="panicast")
    policy = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}], "Version": "2012-10-17"}
    iam.put_user_policy(UserName="panicast", PolicyName="archive", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="panicast")["AccessKey"]
    login = (made["AccessKeyId"], made["SecretAccessKey"])
    client = boto3.client("s3", **{**first, "aws_access_key_id": login[0], "aws_secret_access_key": login[1]})
    client.create_bucket(Bucket="crashes")
    urllib.request.urlopen(
        urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    ).close()
    yield url, ":".join(login), client
    server.stop()


def test_a_record_is_archived_whole_under_a_name_that_tells(store):
    url, login, client = store
    archive = Archive(Bucket("crashes", "site-1/"), url, "", login)
    archive.deliver([NOTICE])
    (found,) = client.list_objects_v2(Bucket="crashes", Prefix="site-1/")["Contents"]
    assert found["Key"] == "site-1/2026/11/26/db-7/0123456789ab-7.json.gz"
    body = client.get_object(Bucket="crashes", Key=found["Key"])["Body"].read()
    assert json.loads(gzip.decompress(body)) == PANIC
    # The same again is the same object; what is known better is another one.
    archive.deliver([NOTICE, Notice({**PANIC, "gaps": []}, "")])
    assert client.list_objects_v2(Bucket="crashes", Prefix="site-1/")["KeyCount"] == 2


@pytest.mark.parametrize("wrong", ["AKIAIOSFODNN7EXAMPLE:secret", "", "bucket", "port"])
def test_what_can_be_mended_is_tried_again(store, monkeypatch, wrong):
    """A login, a bucket or a server that is wrong now may be right later: no record is given up."""
    url, login, _ = store
    if wrong == "":
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
    with held_port() as port:
        archive = Archive(
            Bucket("nobodys" if wrong == "bucket" else "crashes", ""),
            f"http://127.0.0.1:{port}" if wrong == "port" else url,
            "",
            login if wrong in ("bucket", "port") else wrong,
        )
        with pytest.raises(OSError, match=r"^S3: "):
            archive.deliver([NOTICE])


class Store:
    """What claims to be a store of S3: it answers the first request so, and then says more."""

    def __init__(self, status, body, more=b""):
        outer, self.done = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Retry-After", "7")
                self.send_header("Content-Length", str(1 << 40 if more else len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)
                    for _ in range(64):
                        self.wfile.write(more)
                outer.done.set()

            def log_message(self, *arguments):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def _error(code):
    return f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()


def test_an_answer_without_end_is_not_read():
    """All of it would be in the memory of the service, which also listens."""
    tracemalloc.start()
    with closing(Store(400, b"<Error>", b"x" * (1 << 20))) as server:
        with pytest.raises(OSError):
            Archive(Bucket("crashes", ""), server.url, "", "key:secret").deliver([NOTICE])
        assert server.done.wait(PATIENCE_S)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("code", ["AuthorizationHeaderMalformed", "ExpiredToken", "SlowDown"])
def test_a_region_or_a_login_that_is_wrong_gives_no_record_up(code):
    store = Store(503 if code == "SlowDown" else 400, _error(code))
    with closing(store), pytest.raises(Away, match=code) as raised:
        Archive(Bucket("crashes", ""), store.url, "x", "key:secret").deliver([NOTICE])
    assert raised.value.retry_s == 7


def test_a_record_that_is_too_large_is_given_up():
    with closing(Store(400, _error("EntityTooLarge"))) as server, pytest.raises(Refused, match="TooLarge"):
        Archive(Bucket("crashes", ""), server.url, "", "key:secret").deliver([NOTICE])


@given(st.text())
@example("..")
@example(".")
def test_a_host_cannot_choose_where_its_object_goes(host):
    name = key({**PANIC, "host": host})
    assert (
        name.count("/") == 4
        and not {".", ".."} & set(name.split("/"))
        and name.isascii()
        and len(name) < 1024
    )


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("s3://crashes", Bucket("crashes", "")),
        ("s3://crashes/", Bucket("crashes", "")),
        ("s3://crashes/a/b", Bucket("crashes", "a/b/")),
        ("s3://crashes/a/", Bucket("crashes", "a/")),
    ],
)
def test_a_bucket_is_split(text, right):
    assert parse_bucket(text) == right


@pytest.mark.parametrize("text", ["crashes", "s3://", "s3://A", "s3://a", "https://a/b", "s3://crashes/a b"])
def test_what_is_no_bucket_is_refused(text):
    with pytest.raises(UsageError, match="s3://BUCKET/PREFIX"):
        EXPORTS_BY_KEY["s3"].convert(text, "s3")


def test_a_login_without_a_secret_is_refused():
    with pytest.raises(UsageError, match="KEY:SECRET"):
        Archive(Bucket("crashes", ""), "http://127.0.0.1:1", "", "key")


def test_loki_gets_a_line_of_the_record_with_few_labels():
    with closing(Server()) as server:
        Loki(server.url.rpartition("/")[0] + "/", {"X-Scope-OrgID": "kernel"}).deliver([NOTICE])
    (got,) = server.posted
    (stream,) = got["streams"]
    # A host's name is anybody's to make up, and each makes a stream.
    assert stream["stream"] == {"job": "panicast", "type": "panic"}
    ((moment, line),) = stream["values"]
    assert int(moment) == nanoseconds(PANIC["received"])
    said = json.loads(line)
    assert (said["host"], said["id"], said["text"]) == ("db-7", "0123456789ab", PANIC["text"])
    assert server.seen[0]["X-Scope-OrgID"] == "kernel" and server.paths == ["/loki/api/v1/push"]


@given(st.text(alphabet=st.characters(), max_size=50), st.integers(0, 20_000))
def test_a_line_for_loki_stays_below_what_it_takes(unit, times):
    """Loki takes 256 KiB unless told otherwise."""
    text = (unit * times)[:400_000] + "\nlast"
    ((_, line),) = push(Notice({**PANIC, "text": text}, ""))["streams"][0]["values"]
    assert json.loads(line)["text"].endswith("last") and len(line.encode()) < 256 << 10


def test_a_record_that_is_too_long_without_its_text_is_pushed_all_the_same():
    """Loki says what it thinks of it; nobody looks for a length that fits for ever."""
    crash = {"trace": ["f" * 100] * 3000}
    ((_, line),) = push(Notice({**PANIC, "crash": crash}, ""))["streams"][0]["values"]
    assert json.loads(line)["crash"] == crash


def test_otlp_speaks_what_the_protocol_says():
    with closing(Server()) as server:
        Otlp(server.url.rpartition("/")[0], {}).deliver([NOTICE])
    (got,) = server.posted
    # Refuses fields that the protocol does not have, and values of another type.
    read = json_format.ParseDict(got, ExportLogsServiceRequest())
    (part,) = read.resource_logs
    assert {one.key: one.value.string_value for one in part.resource.attributes} == {
        "service.name": "panicast",
        "os.type": "linux",
        "host.name": "db-7",
        "os.version": "6.1.0-42-amd64",
    }
    (log,) = part.scope_logs[0].log_records
    assert iso_time(log.time_unix_nano) == PANIC["time"]
    assert iso_time(log.observed_time_unix_nano) == PANIC["received"]
    assert (log.severity_number, log.severity_text, log.event_name) == (21, "FATAL", "panicast.panic")
    assert log.body.string_value == PANIC["text"]
    told = {one.key: one.value for one in log.attributes}
    assert told["panicast.event"].int_value == 3 and told["panicast.complete"].bool_value is False
    assert told["panicast.id"].string_value == "0123456789ab" and "panicast.signature" not in told
    assert server.paths == ["/v1/logs"]


@given(st.text(alphabet=st.characters()), st.none() | st.just(PANIC["time"]))
def test_otlp_holds_whatever_a_host_sends(text, time):
    made = request(Notice({**PANIC, "host": text, "text": text, "title": text, "time": time}, ""))
    json_format.ParseDict(json.loads(json.dumps(made)), ExportLogsServiceRequest()).SerializeToString()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'{"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "too old"}}', "too old"),
        (b'{"partialSuccess": {"rejectedLogRecords": 1}}', "without a reason"),
    ],
)
def test_what_a_collector_rejects_is_put_aside(answer, reason):
    with closing(Server()) as server, pytest.raises(Refused, match=reason):
        server.answer = answer
        Otlp(server.url.rpartition("/")[0], {}).deliver([NOTICE])


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"{}", b"[]", b"ok", b"\xff", b"[" * 9999),
        *(b'{"partialSuccess": {}}', b'{"partialSuccess": null}'),
        b'{"partialSuccess": {"errorMessage": "be nice"}}',
        b'{"partialSuccess": {"rejectedLogRecords": "x"}}',
        b'{"partialSuccess": {"rejectedLogRecords": 1e999}}',
    ],
    ids=lambda answer: repr(answer[:20]),
)
def test_any_other_answer_of_success_is_one(answer):
    with closing(Server()) as server:
        server.answer = answer
        Otlp(server.url.rpartition("/")[0], {}).deliver([NOTICE])
        assert len(server.posted) == 1


@pytest.mark.parametrize("key", ["loki", "otlp", "s3_endpoint"])
def test_a_login_in_an_address_is_refused_and_not_told(key):
    """Nobody would send it, and all users of the machine could read it."""
    with pytest.raises(UsageError, match=f"{key}: what it says is wrong.*Leave the login out") as raised:
        EXPORTS_BY_KEY[key].convert("https://me:hunter2@logs.example.org", key)
    assert "hunter2" not in str(raised.value)


def test_headers_come_from_a_file_that_only_its_owner_reads(tmp_path):
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer abc:def\n\nX-Scope-OrgID:kernel\n")
    file.chmod(0o600)
    flags = {"loki": "http://127.0.0.1:1", "loki_headers": str(file)}
    (loki,) = chosen(load(flags, "/dev/null"))
    with closing(Server()) as server:
        loki._url = server.url
        loki.deliver([NOTICE])
    assert server.seen[0]["Authorization"] == "Bearer abc:def"
    assert server.seen[0]["X-Scope-OrgID"] == "kernel"
    file.write_text("Authorization\n")
    with pytest.raises(UsageError, match="NAME: VALUE"):
        chosen(load(flags, "/dev/null"))
    file.chmod(0o644)
    with pytest.raises(ReceiverError, match="chmod 600"):
        chosen(load(flags, "/dev/null"))


def test_the_newest_lines_are_kept():
    assert newest("a\nb\nc", 99) == "a\nb\nc"
    assert newest("aaaa\nbbbb\ncc\n", 6) == "…\ncc\n"
    assert newest("ü" * 10, 5) == "…\n" + "üü"


@given(st.integers(0, 1 << 62))
def test_a_time_comes_back(moment):
    assert nanoseconds(iso_time(moment)) == moment


def test_the_service_exports_to_all(serve, cli, store, big, tmp_path):
    url, login, client = store
    file = tmp_path / "login"
    file.write_text(f"{login}\n")
    file.chmod(0o600)
    with closing(Server()) as loki, closing(Server()) as otlp:
        receiver = serve(
            *("--loki", loki.url, "--otlp", otlp.url),
            *("--s3", "s3://crashes/site-2", "--s3-endpoint", url, "--s3-login", str(file)),
        )
        receiver.send(big["frames"])
        wait_until(lambda: loki.posted and otlp.posted, "Loki and OTLP have it")
        objects = {"Bucket": "crashes", "Prefix": "site-2/"}
        wait_until(lambda: client.list_objects_v2(**objects)["KeyCount"], "S3 has it")
        assert receiver.stop() == 0
    (found,) = client.list_objects_v2(**objects)["Contents"]
    archived = json.loads(
        gzip.decompress(client.get_object(Bucket="crashes", Key=found["Key"])["Body"].read())
    )
    shown = json.loads(cli("show", "--json", archived["id"]).stdout)
    assert archived["text"] == shown["text"] and archived["identity"] == shown["identity"]
    assert shown["id"] in json.dumps(loki.posted[0]) and shown["id"] in json.dumps(otlp.posted[0])
