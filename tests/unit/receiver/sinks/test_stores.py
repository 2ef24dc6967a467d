# SPDX-License-Identifier: GPL-2.0-or-later
"""Records on their way to other stores: documents, messages, rows. The servers are in tests/servers."""

import json
import os
from contextlib import closing

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.central import boots, merging, taking
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError, UsageError
from panicast_receiver.settings import load
from panicast_receiver.settings.kinds import parse_servers, without_password
from panicast_receiver.sinks import Notice, Refused, hand_over, postgresql
from panicast_receiver.sinks.broker import (
    Login,
    expanded,
    message_id,
    pack,
    pack_hosts,
    read_login,
    subject,
    unpack,
    unpack_hosts,
)
from panicast_receiver.sinks.document import checked
from panicast_receiver.sinks.telling import notice_of

from ..conftest import explain
from ..db.test_store import raw_record

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def document_of(tmp_path):
    """Called with a text: the document of a stored raw record with it."""

    def document_of(text):
        with closing(Store(tmp_path)) as store:
            store.write([raw_record(text, identity=os.urandom(20))])
        explain(tmp_path)
        with closing(Reader(tmp_path)) as reader:
            return notice_of(reader, reader.select(Query())[-1]).record

    return document_of


DOCUMENT = {
    "identity": "00ff",
    "id": "abc",
    "type": "panic",
    "format": "v1",
    "host": "h",
    "boot_id": None,
    "event": None,
    "reason": "",
    "title": "",
    "signature": "",
    "release": "",
    "time": None,
    "received": "2026-11-26T20:00:00.000000000Z",
    "complete": False,
    "sealed": False,
    "contested": False,
    "doubted": False,
    "older_text": False,
    "metadata_missing": True,
    "bytes": 10,
    "frames": 2,
    "restored": 0,
    "kept": "",
    "gaps": [{"offset": 2, "bytes": 3}],
    "source": {},
    "meta": {},
    "crash": None,
    "meaning": "found",
    "meaning_failure": None,
    "text": "x",
    "raw": None,
}


@pytest.mark.parametrize(
    ("text", "exact"),
    [(b"plain \\x00 text\n", True), (b"a\0b", False), (b"\xff\xfe", False), ("ü".encode(), True)],
)
def test_no_byte_is_lost_on_the_way(document_of, text, exact):
    made = document_of(text)
    assert (made["raw"] is None) == exact
    data, headers = pack(made, 1 << 20)
    arrived = unpack(expanded(data, headers))
    assert arrived == made
    fields = dict(zip(merging.COLUMNS, merging.line(arrived).rstrip("\n").split("\t")))
    if exact:
        assert fields["raw"] == "\\N" and fields["known"] == str(len(text))
    else:
        assert bytes.fromhex(fields["raw"][3:]) == text
    assert "\0" not in merging.line(arrived)


@given(
    st.text(), st.dictionaries(st.text(), st.text()), st.one_of(st.none(), st.dictionaries(st.text(), JSON))
)
def test_a_row_is_a_line_of_as_many_fields_whatever_a_host_sends(text, meta, crash):
    row = merging.line({**DOCUMENT, "host": text, "text": text, "reason": text, "meta": meta, "crash": crash})
    assert row.endswith("\n") and row.count("\n") == 1 and row.count("\t") == len(merging.COLUMNS) - 1
    assert "\0" not in row and "\r" not in row
    row.encode("utf-8")


def test_what_is_known_is_counted():
    fields = dict(zip(merging.COLUMNS, merging.line(DOCUMENT).rstrip("\n").split("\t")))
    assert fields["known"] == "7" and fields["identity"] == "\\\\x00ff"


@given(JSON | st.builds(lambda key, value: {**DOCUMENT, key: value}, st.sampled_from(sorted(DOCUMENT)), JSON))
def test_a_document_is_checked_and_then_fits_a_row(value):
    try:
        found = checked(json.loads(json.dumps(value)))
    except ValueError:
        return
    merging.line(found)
    assert merging.told(found).count("\t") == len(taking.TOLD) - 1
    message_id(found)


def nested(levels):
    """A list in a list in a list."""
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        # As deep as json still reads it: whoever goes through it by calls would end there.
        ({"crash": {"x": nested(700)}}, "nested too deeply"),
        ({"another": nested(700)}, "nested too deeply"),
        ({"time": "infinity"}, "time is not a time"),
        ({"time": "20000-01-01T00:00:00Z"}, "time is not a time"),
        ({"received": "0001-01-01T00:00:00+10:00"}, "received is not a time"),
        ({"gaps": [{"bytes": 1}]}, "gaps is wrong"),
        ({"gaps": [{"offset": -1, "bytes": 1}]}, "gaps is wrong"),
        ({"labels": ["rack"]}, "labels is wrong"),
        ({"labels": {"rack": None}}, "labels is wrong"),
        ({"crash": {"kernel": "6.1", "code": 7}}, "crash.code is wrong"),
    ],
)
def test_a_document_that_nobody_could_show_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        unpack(json.dumps({**DOCUMENT, **changed}).encode())


BOOT = {
    **dict.fromkeys(("host", "why", "kernel", "module"), "x"),
    **dict.fromkeys(("first_seen", "last_seen", "panicked"), "2026-11-26T20:00:00.000000000Z"),
    **{"boot_id": "01" * 16, "sealed": True, "state": "bye", "said": 2, "event": 3, "ip": None},
    **{"interfaces": {"eth0": "52:54:00:00:00:01"}, "labels": {"rack": "r1"}},
}


def test_what_is_told_of_hosts_arrives():
    data, headers = pack_hosts([BOOT, {**BOOT, "host": "h" * 999, "panicked": None}])
    found = unpack_hosts(expanded(data, headers))
    assert found[0] == BOOT
    rows = [boots.line(one).rstrip("\n").split("\t") for one in found]
    assert all(len(row) == boots.COPY.count(",") + 1 for row in rows)
    assert rows[0][0] == r"\\x" + "01" * 16 and len(rows[1][1].encode()) == 255 and r"\N" in rows[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"host": None},
        {"sealed": 1},
        {"state": "armed"},
        {"said": True},
        {"event": -1},
        {"event": 1 << 32},
        {"boot_id": "01"},
        {"boot_id": "x" * 32},
        {"first_seen": "infinity"},
        {"last_seen": "2262-12-01T00:00:00Z"},
        {"panicked": 1},
        {"interfaces": {"eth0": None}},
        {"interfaces": {f"eth{number}": "" for number in range(65)}},
        {"labels": {"rack": "r" * 256}},
        {"labels": []},
    ],
)
def test_what_nobody_could_know_of_a_host_is_refused(changed):
    with pytest.raises(ValueError):
        unpack_hosts(json.dumps([{**BOOT, **changed}]).encode())


def test_half_pairs_and_nul_are_stored_as_what_they_look_like():
    found = checked(
        json.loads('{"host": "a\\ud800b", "reason": "c\\u0000d"}')
        | {key: value for key, value in DOCUMENT.items() if key not in ("host", "reason")}
    )
    row = dict(zip(merging.COLUMNS, merging.line(found).rstrip("\n").split("\t")))
    assert (row["host"], row["reason"]) == ("a\\\\ud800b", "c\\\\x00d")
    told = dict(zip(taking.TOLD, merging.told({**found, "received_ns": 1, "known": 99}).split("\t")))
    assert (told["received_ns"], told["known"]) == ("1795723200000000000", "7")


@given(st.binary(max_size=200), st.sampled_from([{}, {"Content-Encoding": "zstd"}]))
def test_a_message_of_another_is_refused(data, headers):
    with pytest.raises(ValueError):
        unpack(expanded(data, headers))


def test_a_bomb_and_a_tower_are_refused():
    bomb = zstandard.ZstdCompressor().compress(json.dumps(DOCUMENT).encode().ljust(64 << 20))
    # The header of a frame that says that it expands to as many bytes as fit into 64 bits.
    endless = bytes.fromhex("28b52ffd e0 ffffffffffffff7f 010000")
    for data in (bomb, endless):
        with pytest.raises(ValueError, match="expands to more than"):
            expanded(data, {"Content-Encoding": "zstd"})
    with pytest.raises(ValueError, match="nested"):
        unpack(b"[" * 100000)


def test_a_message_is_compressed_where_it_must_be_and_not_sent_where_that_does_not_help():
    large = {**DOCUMENT, "text": "x" * 100_000}
    plain, headers = pack(large, 200_000)
    assert json.loads(plain) == large and "Content-Encoding" not in headers
    packed, headers = pack(large, 50_000)
    assert len(packed) < 50_000 and unpack(expanded(packed, headers)) == large
    assert pack({**DOCUMENT, "text": os.urandom(50_000).hex()}, 20_000) is None


def test_messages_are_told_apart_by_what_is_missing():
    whole = {**DOCUMENT, "gaps": [], "metadata_missing": False, "complete": True}
    heard_elsewhere = {**whole, "received": "later", "source": {"mac": "other"}}
    others = [{**whole, **one} for one in ({"sealed": True}, {"identity": "01"}, {"metadata_missing": True})]
    ids = [message_id(one) for one in (DOCUMENT, whole, *others)]
    assert len(set(ids)) == 5 and message_id(heard_elsewhere) == message_id(whole)
    assert subject(whole) == "panicast.records.panic"


class Picky:
    """A sink that refuses one record for ever."""

    name = "picky"
    most = 10

    def __init__(self):
        self.got = []

    def deliver(self, batch):
        if any(told.record["id"] == "bad" for told in batch):
            raise Refused("no")
        self.got += [told.record["id"] for told in batch]


def test_a_record_that_is_refused_keeps_no_other():
    from collections import Counter

    sink, counts = Picky(), Counter()
    hand_over(sink, [Notice({"id": name}, "") for name in ("a", "bad", "b")], counts)
    assert sink.got == ["a", "b"] and counts == {"delivered": 2, "refused": 1}


def test_a_login_has_a_file_of_its_own(tmp_path):
    path = tmp_path / "login"
    path.write_text("me:se:cret\n")
    path.chmod(0o644)
    with pytest.raises(ReceiverError, match="others may read the login"):
        read_login(str(path))
    path.chmod(0o600)
    assert read_login(str(path)) == Login("me", "se:cret")
    path.write_text("token\n\n")
    assert read_login(str(path)) == Login(token="token") and read_login("") == Login()
    path.write_text("a\nb\n")
    with pytest.raises(UsageError, match="one line"):
        read_login(str(path))


@pytest.mark.parametrize(
    "dsn",
    ["host=x password=y", "postgresql://me:word@db/x", "postgres://:word@db/x", "host=x PASSWORD = 'y'"],
)
def test_a_password_is_refused_and_not_repeated(dsn, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'postgresql = "{dsn}"\n')
    with pytest.raises(UsageError, match="passfile") as caught:
        load({}, str(config))
    assert "word@" not in str(caught.value) and "y'" not in str(caught.value)


@pytest.mark.parametrize("dsn", ["", "dbname=panicast", "postgresql://me@db:5433/x?passfile=/a", "service=s"])
def test_connection_strings_without_one(dsn):
    without_password(dsn)


@pytest.mark.parametrize("servers", ["http://n1", "n1:4222", "nats://me:word@n1", "nats://a,,nats://b"])
def test_wrong_servers(servers):
    with pytest.raises(ValueError):
        parse_servers(servers)


def test_right_servers():
    assert parse_servers("nats://n1:4222, tls://[::1]:4222") == ["nats://n1:4222", "tls://[::1]:4222"]
    assert parse_servers("") == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "set nats"),
        (["--nats", "nats://127.0.0.1:1"], "set postgresql"),
        (["--nats", "nats://127.0.0.1:1", "--postgresql", "nonsense"], "right is what libpq takes"),
    ],
)
def test_collect_says_what_it_needs(cli, flags, message):
    done = cli("collect", *flags, state_dir=None)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "flags", "commands"),
    [
        ("psycopg2", ["--postgresql", "dbname=x"], ["serve", "collect", "web"]),
        ("nats", ["--nats", "nats://127.0.0.1:1"], ["serve", "collect"]),
        ("botocore", ["--s3", "s3://crashes"], ["serve"]),
    ],
)
def test_a_missing_library_is_named(cli, tmp_path, module, flags, commands):
    """As on a machine without it: an import that fails."""
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})\n")
    hidden = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    for command in commands:
        own = ["--listen", "127.0.0.1:0"] if command == "serve" else []
        folder = tmp_path / "state" if command == "serve" else None
        done = cli(command, *own, *flags, state_dir=folder, env=hidden)
        assert done.returncode in (1, 2) and "pip install" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_tables_of_a_newer_receiver_are_left_alone():
    asked = []

    class Cursor:
        def execute(self, query, *values):
            asked.append(query)

        def fetchone(self):
            return (99 if asked[-1] == merging.VERSION else 1,)

    with pytest.raises(OSError, match=r"newer panicast-receiver .*; upgrade this one"):
        postgresql._bring_up_to_date(Cursor())
    assert set(asked) == {merging.HAS_TABLES, merging.VERSION, merging.LOCK}
