# SPDX-License-Identifier: GPL-2.0-or-later
"""What people see of a record, a group, a host and a sink: whole pages, word for word."""

import base64
from dataclasses import replace

import pytest

from panicast_receiver.records import present
from panicast_receiver.records.extents import Run

from ..cli.test_cli import RECORD

SUMMARY = {
    "id": "0123456789ab",
    "type": "panic",
    "format": "v1",
    "host": "web-1",
    "boot_id": "ab" * 16,
    "event": 7,
    "reason": "Oops",
    "time": "2026-05-04T03:02:01.000000001Z",
    "received": "2026-05-04T03:02:02.123456789Z",
    "complete": True,
    "gaps": [],
    "metadata_missing": False,
    "bytes": 4096,
    "restored": 0,
    "sealed": True,
    "older_text": False,
    "kept": "",
    "same_crash": [],
    "crash": None,
    "meaning": "pending",
    "meaning_failure": None,
    "source": {"mac": "52:54:00:12:34:56", "ip": None, "iface": "eth0"},
    "meta": {"host": "web-1", "reason": "Oops", "release": "6.12.1"},
    "labels": {},
    "maintenance": None,
}
CRASH = {
    "title": "soft lockup in spin",
    "signature": "c0ffee",
    "trace": [f"f{number}" for number in range(8)],
    "names": ["soft lockup in spin", "stall in spin", "other"],
    "modules": ["a(O)", "b(E)"],
    "hardware": "QEMU",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "complete"),
        ({"contested": True, "doubted": True}, "complete, contested, doubted"),
        ({"regression": True, "kept": "pstore", "same_crash": ["a"]}, "complete, kept by pstore, regression"),
        ({"same_crash": ["a"]}, "complete, also kept"),
        ({"maintenance": 3}, "complete, in maintenance"),
        ({"complete": False, "gaps": [{"bytes": 3}, {"bytes": 4}]}, "7 of 4096 bytes missing"),
        ({"complete": False, "metadata_missing": True}, "metadata missing"),
        (
            {"complete": False, "gaps": [{"bytes": 3}], "metadata_missing": True},
            "3 of 4096 bytes missing, metadata missing",
        ),
        ({"complete": False, "format": "netconsole", "meta": {"lost_messages": "5"}}, "5 messages missing"),
        (
            {"complete": False, "meta": {"lost_messages": "5"}, "gaps": [{"bytes": 1}]},
            "1 of 4096 bytes missing",
        ),
        ({"complete": False, "format": "netconsole", "gaps": [{"bytes": 1}]}, "1 of 4096 bytes missing"),
    ],
)
def test_the_state_says_what_is_missing_and_whom_to_believe(changes, words):
    assert present.state({**SUMMARY, **changes}) == words


def test_a_frame_is_one():
    assert [present.frames(number) for number in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]


def test_the_list():
    other = {**SUMMARY, "id": "ba9876543210", "type": "oops", "host": "db\x1b[2J", "reason": ""}
    assert present.table([SUMMARY, other]) == (
        "ID            RECEIVED (UTC)       TYPE   HOST       STATE     REASON\n"
        "0123456789ab  2026-05-04 03:02:02  panic  web-1      complete  Oops\n"
        "ba9876543210  2026-05-04 03:02:02  oops   db\\x1b[2J  complete\n"
    )
    assert present.table([SUMMARY], headings=False) == (
        "0123456789ab  2026-05-04 03:02:02  panic  web-1  complete  Oops\n"
    )
    assert present.table([], headings=False) == ""


def test_a_column_is_64_wide_at_most():
    rows = [("x" * 64, "a"), ("y" * 65, "b"), ("z", "c")]
    assert present.aligned((), rows) == (f"{'x' * 64}  a\n{'y' * 65}  b\nz{' ' * 63}  c\n")


def test_the_head_of_a_record():
    assert present.header(SUMMARY) == (
        "record:   0123456789ab\n"
        "type:     panic (v1, sealed)\n"
        "host:     web-1\n"
        "reason:   Oops\n"
        "meaning:  not looked for yet\n"
        "time:     2026-05-04T03:02:01.000000001Z\n"
        "received: 2026-05-04T03:02:02.123456789Z\n"
        "state:    complete\n"
        "text:     4096 bytes\n"
        "source:   mac 52:54:00:12:34:56, iface eth0\n"
        f"boot id:  {'ab' * 16}, event 7\n"
        "release:  6.12.1\n"
    )


def test_the_head_of_a_record_of_which_more_and_less_is_known():
    changes = {
        "sealed": False,
        "boot_id": None,
        "time": None,
        "older_text": True,
        "same_crash": ["aa", "bb"],
        "restored": 2,
        "meaning": "found",
        "crash": CRASH,
        "meta": {"k\x1b": "v\n", "uptime_ns": "332382300000000"},
        "source": {"mac": None, "ip": "10.0.0.7", "iface": None},
    }
    assert present.header({**SUMMARY, **changes}) == (
        "record:      0123456789ab\n"
        "type:        panic (v1)\n"
        "host:        web-1\n"
        "reason:      Oops\n"
        "crash:       soft lockup in spin\n"
        "also called: stall in spin, other\n"
        "trace:       f0 < f1 < f2 < f3 < f4 < f5\n"
        "modules:     a(O) b(E)\n"
        "hardware:    QEMU\n"
        "group:       c0ffee\n"
        "time:        not stated by the sender\n"
        "received:    2026-05-04T03:02:02.123456789Z\n"
        "state:       complete, also kept\n"
        "same crash:  aa, bb\n"
        "restored:    2 frames\n"
        "text:        4096 bytes, older text was left out\n"
        "source:      ip 10.0.0.7\n"
        "k\\x1b:       v\\x0a\n"
        "uptime:      3 d 20 h\n"
    )


def test_the_head_of_a_record_has_the_labels_of_its_host():
    assert "host:     web-1\nlabels:   rack=r1 x=\\x0a\nreason:   Oops\n" in present.header(
        {**SUMMARY, "labels": {"rack": "r1", "x": "\n"}}
    )


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"meaning": "failed", "meaning_failure": "it took too long"}, ["meaning: it took too long"]),
        ({"meaning": "found"}, []),
        ({"meaning": "found", "crash": {**CRASH, "signature": ""}}, []),
        (
            {
                "meaning": "found",
                "crash": {"title": "", "signature": "c0ffee", "trace": [], "modules": [], "hardware": ""},
            },
            ["group: c0ffee"],
        ),
    ],
)
def test_of_a_crash_only_what_is_known_is_shown(changes, lines):
    shown = present.header({**SUMMARY, **changes}).splitlines()
    words = ("meaning", "crash", "also called", "trace", "modules", "hardware", "group")
    assert [" ".join(line.split()) for line in shown if line.startswith(words)] == lines


GROUP = {
    "signature": "c0ffee",
    "titles": ["one", "two"],
    "hosts": 2,
    "records": 12,
    "first": "2026-05-01T00:00:00.5Z",
    "last": "2026-05-04T03:02:02.5Z",
    "first_record": "aa",
    "last_record": "bb",
    "kernels": ["6.1", "6.2", "6.3"],
    "status": {"state": "open", "kernels": [], "after": "", "until": "", "by": ""},
    "by_kernel": [{"kernel": "6.1", "records": 7}, {"kernel": "6.2", "records": 5}],
    "by_host": [{"host": f"host-{number}", "records": 1} for number in range(12)],
    "by_trace": [
        {"title": "one", "trace": [*"abcdefgh"], "records": 11, "last_record": "bb"},
        {"title": "two", "trace": [], "records": 1, "last_record": "cc"},
    ],
    "changes": [
        {
            "at": "2026-05-02T00:00:00Z",
            "by": "",
            "via": "command",
            "action": "mute",
            "detail": "",
            "note": "",
        },
        {
            **{"at": "2026-05-03T00:00:00Z", "by": "ann", "via": "page", "action": "resolve"},
            **{"detail": "in 6.3", "note": "fixed\x1b"},
        },
    ],
}


@pytest.mark.parametrize("said", ["", "-1", "1e9", "٣", "9" * 21])
def test_an_uptime_that_is_no_number_is_shown_as_it_came(said):
    assert present.in_words({"uptime_ns": said}) == [("uptime_ns", said)]


def test_the_list_of_groups():
    more = {**GROUP, "signature": "beef", "kernels": ["1", "2", "3", "4"], "titles": ["x"]}
    assert present.groups_table([GROUP, more]) == (
        "GROUP   HOSTS  RECORDS  FIRST (UTC)          LAST (UTC)           KERNELS      STATE  CRASH\n"
        "c0ffee  2      12       2026-05-01 00:00:00  2026-05-04 03:02:02  6.1 6.2 6.3  open   one / two\n"
        "beef    2      12       2026-05-01 00:00:00  2026-05-04 03:02:02  1 2 3 …      open   x\n"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "open"),
        (
            {"state": "muted", "until": "2026-05-05T01:02:03Z", "by": "ann"},
            "muted until 2026-05-05 01:02:03 by ann",
        ),
        ({"state": "resolved", "kernels": ["6.3", "6.1.9"]}, "resolved in 6.3, 6.1.9"),
        ({"state": "resolved", "after": "2026-05-05T01:02:03Z"}, "resolved from 2026-05-05 01:02:03"),
        ({"state": "acknowledged", "kernels": ["6.3"], "by": "ann"}, "acknowledged by ann"),
    ],
)
def test_a_groups_state(changes, words):
    assert present.status({**GROUP["status"], **changes}) == words


def test_the_page_of_a_group():
    hosts = "".join(f"host:    host-{number} (1 records)\n" for number in range(10))
    assert present.group_page(GROUP) == (
        "group:   c0ffee\n"
        "crash:   one / two\n"
        "state:   open\n"
        "seen:    12 records of 2 hosts\n"
        "first:   2026-05-01 00:00:00 (aa)\n"
        "last:    2026-05-04 03:02:02 (bb)\n"
        "kernel:  6.1 (7 records)\n"
        "kernel:  6.2 (5 records)\n"
        f"{hosts}"
        "trace:   a < b < c < d < e < f (11 records, bb)\n"
        "trace:   none (1 records, cc)\n"
        "\n"
        "WHEN (UTC)           WHO  BY WAY OF  WHAT             NOTE\n"
        "2026-05-03 00:00:00  ann  page       resolve  in 6.3  fixed\\x1b\n"
        "2026-05-02 00:00:00  -    command    mute\n"
    )
    gone = {"titles": [], "first": None, "last": None, "first_record": "", "last_record": "", "changes": []}
    assert present.group_page({**GROUP, **gone, "by_kernel": [], "by_host": [], "by_trace": []}) == (
        "group:   c0ffee\n"
        "crash:   no reason given\n"
        "state:   open\n"
        "seen:    12 records of 2 hosts\n"
        "first:\n"
        "last:\n"
    )


def test_the_list_of_hosts():
    host = {
        **{"host": "web-1", "state": "armed", "last_seen": "2026-05-04T03:02:02.5Z", "kernel": "6.1"},
        **{"module": "1.0.0", "interfaces": {"eth1": "up", "eth0": "up"}, "labels": {}, "maintenance": False},
    }
    assert present.hosts_table([host]) == (
        "HOST   STATE  LAST SEEN (UTC)      KERNEL  MODULE  INTERFACES  LABELS\n"
        "web-1  armed  2026-05-04 03:02:02  6.1     1.0.0   eth0 eth1\n"
    )
    labelled = {**host, "labels": {"rack": "r1", "role": "d\x1b"}, "maintenance": True}
    assert present.hosts_table([labelled]) == (
        "HOST   STATE                  LAST SEEN (UTC)      KERNEL  MODULE  INTERFACES  LABELS\n"
        "web-1  armed, in maintenance  2026-05-04 03:02:02  6.1     1.0.0   eth0 eth1   rack=r1 role=d\\x1b\n"
    )


def test_the_list_of_maintenance_windows():
    window = {
        **{"number": 3, "state": "now", "from": "2026-05-04T03:02:02.5Z", "until": "2026-05-04T07:02:02.5Z"},
        **{"hosts": ["db-*", "rack=r1"], "by": "ann", "note": "disks", "ended": None, "ended_by": ""},
    }
    assert present.windows_table([window]) == (
        "WINDOW  STATE  FROM (UTC)           UNTIL (UTC)          HOSTS         WHO  WHY\n"
        "3       now    2026-05-04 03:02:02  2026-05-04 07:02:02  db-* rack=r1  ann  disks\n"
    )
    ended = {**window, "state": "over", "ended": "2026-05-04T04:00:00.5Z", "ended_by": "bob"}
    row = present.windows_table([ended]).splitlines()[1]
    assert "  2026-05-04 07:02:02 (ended 2026-05-04 04:00:00 by bob)  db-* rack=r1  ann  disks" in row


def test_the_list_of_sinks():
    sink = {"sink": "hook", "state": "failing", "waiting": 3, "aside": [], "complaint": "no"}
    assert present.sinks_table([sink]) == (
        "SINK  STATE    WAITING  ASIDE  COMPLAINT\nhook  failing  3        0      no\n"
    )
    sink["aside"] = [{"id": "aa", "type": "oops", "host": "web-1", "reason": "too long"}]
    assert present.sinks_table([sink]) == (
        "SINK  STATE    WAITING  ASIDE  COMPLAINT\nhook  failing  3        1      no\n"
        "\n"
        "SET ASIDE  TYPE  HOST   SINK  REASON\naa         oops  web-1  hook  too long\n"
    )


PLACE = {
    "code": "spin+0x12",
    "lines": [
        {"function": "cpu_relax", "file": "a.h", "line": 3},
        {"function": "wait", "file": "b.h", "line": 4},
        {"function": "spin", "file": "c.c", "line": 5},
    ],
}


def test_a_place_is_its_lines_innermost_first():
    assert present.lines_of(PLACE) == ["a.h:3 (cpu_relax)", "b.h:4 (wait)", "c.c:5"]
    assert present.lines_of({**PLACE, "lines": PLACE["lines"][2:]}) == ["c.c:5"]
    assert present.lines_of({**PLACE, "lines": []}) == []


def test_a_page_is_the_head_the_places_and_the_text():
    record = replace(RECORD, runs=(Run(0, b"<3>one"),), text_length=8)
    head = present.header(SUMMARY)
    text = "err    one\n[panicast: 2 bytes missing]\n"
    assert present.page(SUMMARY, record) == f"{head}\n{text}"
    assert present.page(SUMMARY, record, [PLACE]) == (
        f"{head}\nspin+0x12  a.h:3 (cpu_relax) < b.h:4 (wait) < c.c:5\n\n{text}"
    )
    assert "\x1b[31merr    one\x1b[0m\n" in present.page(SUMMARY, record, colour=True)


@pytest.mark.parametrize(
    ("runs", "length", "text", "exact"),
    [
        ((Run(0, b"whole\n"),), 6, "whole\n", True),
        ((Run(0, "ä\N{SNOWMAN}".encode()),), 5, "ä\N{SNOWMAN}", True),
        ((Run(0, b"a\xffb"),), 3, "a\\xffb", False),
        ((Run(0, b"a\0b"),), 3, "a\0b", False),
        ((Run(2, b"cd"),), 6, "\n[panicast: 2 bytes missing]\ncd\n[panicast: 2 bytes missing]\n", False),
    ],
)
def test_what_a_text_does_not_hold_exactly_comes_along_as_it_arrived(runs, length, text, exact):
    record = replace(RECORD, runs=runs, text_length=length)
    made = present.as_json(SUMMARY, record, [PLACE])
    assert {**made, **SUMMARY} == made and made["text"] == text and made["places"] == [PLACE]
    assert made["raw"] == (None if exact else base64.b64encode(runs[0].data).decode())
    assert present.as_json(SUMMARY, record)["places"] == []


def test_a_file_is_named_by_when_who_what_and_which():
    assert present.file_name(SUMMARY) == "20260504T030202Z_web-1_panic_0123456789ab.txt"
    for host, name in (
        ("../../etc/x", "_.._etc_x"),
        ("...", "unknown"),
        ("a" * 65, "a" * 64),
        ("ä b", "__b"),
    ):
        assert (
            present.file_name({**SUMMARY, "host": host}).split("Z_", 1)[1] == f"{name}_panic_0123456789ab.txt"
        )
