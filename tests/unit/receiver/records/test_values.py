# SPDX-License-Identifier: GPL-2.0-or-later
"""The values that all rooms share: pieces of a text, a record's facts, kernels' releases, schemas."""

from dataclasses import replace
from hashlib import blake2b

import pytest

from panicast_receiver.records import forms, kernels
from panicast_receiver.records.extents import (
    Extents,
    Gap,
    Lease,
    Piece,
    Run,
    Unread,
    bytes_of,
    gaps,
    held_of,
    length_of,
    merged,
    runs_of,
)
from panicast_receiver.records.record import Source, headerless, id_of, kept_by, reply_to
from panicast_receiver.wire.v1 import FLAG_OLDER_TEXT, FLAG_SEALED, HEADER, KEPT_EVENT, encode

from ..cli.test_cli import RECORD

FILE = b"0123456789"


def fetch(place):
    return FILE[place.start : place.stop]


def test_a_piece_ends_where_its_bytes_do():
    assert (Run(3, b"abc").end, Piece(3, range(10, 12)).end) == (6, 5)
    assert runs_of([(1, b"a"), (5, b"b")]) == (Run(1, b"a"), Run(5, b"b"))


def test_what_is_new_of_a_piece_is_kept_and_counted():
    text = Extents([(2, b"cd")])
    # What overlaps on both sides, what is there already, what touches.
    assert [text.add(0, b"ABCDEF"), text.add(1, b"xyz"), text.add(6, b"gh"), text.add(20, b"")] == [
        4,
        0,
        2,
        0,
    ]
    assert list(text) == [(0, b"AB"), (2, b"cd"), (4, b"EF"), (6, b"gh")]
    assert (len(text), text.covered) == (4, 8)
    # Over several pieces and the gaps between them.
    text = Extents([(2, b"c"), (5, b"f"), (8, b"i")])
    assert text.add(1, b"BCDEFGHIJ") == 6
    assert b"".join(data for _, data in text) == b"BcDEfGHiJ" and [at for at, _ in text] == [
        1,
        2,
        3,
        5,
        6,
        8,
        9,
    ]


def test_within_is_what_covers_a_place_or_nothing():
    text = Extents([(2, b"cde"), (5, b"fg"), (9, b"j")])
    assert text.within(3, 6) == [b"de", b"f"] and text.within(2, 7) == [b"cde", b"fg"]
    assert text.within(4, 4) == [] and text.within(2, 5) == [b"cde"] and text.within(9, 10) == [b"j"]
    assert text.within(1, 3) is None and text.within(6, 8) is None and text.within(7, 10) is None
    assert text.within(0, 1) is None and text.within(9, 11) is None and Extents().within(0, 1) is None


def test_gaps_are_what_the_runs_leave_out():
    runs = [Run(2, b"ab"), Run(4, b"c"), Run(7, b"d")]
    assert gaps(runs, 10) == [Gap(0, 2), Gap(5, 2), Gap(8, 2)]
    assert gaps(runs, 8) == [Gap(0, 2), Gap(5, 2)] and gaps([Run(0, b"ab")], 2) == [] and gaps([], 0) == []


def test_parts_become_as_few_runs_as_possible():
    assert merged([Run(0, b"ab"), Run(5, b"f")], [Run(1, b"xc"), Run(6, b"g")]) == (
        Run(0, b"abc"),
        Run(5, b"fg"),
    )
    assert merged([], []) == () and merged([Run(3, b"d")]) == (Run(3, b"d"),)


def test_what_lies_in_a_file_is_read_together_with_its_neighbours():
    read = []

    def noted(place):
        read.append(place)
        return fetch(place)

    pieces = [range(0, 2), range(2, 4), b"xy", range(6, 8), range(4, 5), range(5, 6)]
    assert b"".join(bytes_of(pieces, noted)) == b"0123xy6745"
    assert read == [range(0, 4), range(6, 8), range(4, 6)]
    assert list(bytes_of([], noted)) == [] and list(bytes_of([b"a", b"b"], noted)) == [b"a", b"b"]


def test_a_text_that_is_put_together_when_read_gives_back_then_what_it_took():
    freed = []
    runs = (Run(0, b"ab23"),)
    unread = Unread(lambda: runs, 4, 2, Lease(2, freed.append))
    assert (length_of(unread), held_of(unread)) == (4, 2) and freed == []
    assert list(unread) == [*runs] and unread[0].end == 4 and len(unread) == 1 and unread[:1] == runs
    # What it takes in memory is said of the time before, by whoever counted it then.
    assert freed == [2] and (length_of(unread), held_of(unread)) == (4, 2)
    here = [Run(0, b"ab"), Run(5, b"c")]
    assert length_of(here) == held_of(here) == 3
    never = Unread(lambda: runs, 4, 0, Lease(7, freed.append))
    del never
    assert freed == [2, 7]


def test_a_records_facts():
    one = replace(RECORD, flags=FLAG_SEALED | FLAG_OLDER_TEXT, metadata=b"MAC=x\nmac=AA:bb\nhost=h\n")
    assert one.sealed and one.older_text and one.mac == "aa:bb" and one.host == "h"
    assert one.id == id_of(one.identity) == blake2b(one.identity, digest_size=6).hexdigest()
    plain = replace(RECORD, metadata=None, source=Source("cc:dd"))
    assert not plain.sealed and not plain.older_text and plain.mac == "cc:dd" and plain.host == "h"
    assert plain.meta == {} and not plain.complete
    # Of a name only what the header's begins with; where it has none, whatever is stated.
    assert replace(RECORD, metadata=b"host=other\n").host == "h"
    assert replace(RECORD, metadata=b"host=other\n", header_host="").host == "other"


def test_a_text_is_shown_with_its_gaps():
    one = replace(RECORD, runs=(Run(2, b"ab"), Run(6, b"c")), text_length=9)
    assert one.received_text == b"abc"
    assert one.marked_text == (
        b"\n[panicast: 2 bytes missing]\nab\n[panicast: 2 bytes missing]\nc\n[panicast: 2 bytes missing]\n"
    )
    assert one.gaps == [Gap(0, 2), Gap(4, 2), Gap(7, 2)] and not one.complete


def test_a_netconsole_record_with_lost_messages_is_not_complete():
    for form, metadata, complete in (
        ("netconsole", b"lost_messages=2\n", False),
        ("netconsole", b"a=b\n", True),
        ("v1", b"lost_messages=2\n", True),
    ):
        assert replace(RECORD, format=form, metadata=metadata).complete == complete


@pytest.mark.parametrize(
    ("kind", "metadata", "text", "reason"),
    [
        ("panic", b"reason=stated\n", b"Kernel panic - not syncing: told\n", "stated"),
        ("panic", b"", b"a\nKernel panic - not syncing: told \xff\nb", "told \\xff"),
        ("panic", b"", b"Kernel panic - not syncing: " + b"x" * 2000, "x" * 1024),
        ("panic", b"", b"nothing", ""),
        ("oops", b"", b"Kernel panic - not syncing: told\n", ""),
        ("oops", b"reason=stated\n", b"", "stated"),
    ],
)
def test_the_reason_is_what_was_stated_or_the_panics_line(kind, metadata, text, reason):
    assert (
        replace(RECORD, type=kind, metadata=metadata, runs=(Run(0, text),), text_length=len(text)).reason
        == reason
    )


def test_who_kept_a_record():
    assert kept_by(KEPT_EVENT, {"kept": "kdump"}) == "kdump" and kept_by(KEPT_EVENT, {}) == "unknown"
    assert kept_by(KEPT_EVENT - 1, {"kept": "kdump"}) == kept_by(None, {"kept": "kdump"}) == ""
    assert replace(RECORD, event=KEPT_EVENT, metadata=b"kept=pstore\n").kept == "pstore" and RECORD.kept == ""


def test_only_a_test_is_answered():
    assert reply_to(b"no header", 5, b"here") is None
    (first,) = encode("test", b"b" * 16, 1, 5, "h", b"host=h\n", b"")
    assert reply_to(first, 5, b"here") == (first[: HEADER.size], 5, b"here")
    assert reply_to(encode("panic", b"b" * 16, 1, 5, "h", b"host=h\n", b"")[0], 5, b"here") is None


def test_a_record_without_a_header_is_a_panic_and_whole():
    source = Source("aa", "10.0.0.7", "eth0")
    one = headerless("raw", b"what it is", b"text", 3, 17, source, b"k=v\n")
    assert one.identity == blake2b(b"what it is", digest_size=20).digest()
    assert (one.format, one.type, one.frames, one.received_ns, one.source) == ("raw", "panic", 3, 17, source)
    assert (one.header_host, one.boot_id, one.event, one.flags, one.time_ns) == ("", None, None, 0, None)
    assert one.received_text == b"text" and one.complete and one.meta == {"k": "v"} and one.restored == 0


@pytest.mark.parametrize(
    ("release", "numbers"),
    [
        ("6.12.118-1-amd64", (6, 12, 118, 1)),
        ("5.14.0-427.el9.x86_64", (5, 14, 0, 427)),
        ("6.13-rc3", (6, 13, -1, 3)),
        ("6.13.0-rc12-next", (6, 13, 0, -1, 12)),
        ("v", ()),
    ],
)
def test_a_release_is_its_numbers(release, numbers):
    assert kernels.numbers(release) == numbers


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *(("6.12.118-1-amd64", True), ("5.14.0-427.el9.x86_64+debug~1", True), ("6.1", True), ("6", False)),
        *(
            ("x6.1", False),
            ("6.1 ", False),
            ("12345.1", False),
            ("6.1234567", True),
            ("6.1" + "x" * 101, False),
        ),
        *(("", False), ("6.1;", False), ("6.1" + "x" * 100, True), ("1234.123456", True)),
    ],
)
def test_what_looks_like_a_release(text, is_one):
    assert kernels.is_release(text) == is_one


@pytest.mark.parametrize(
    ("release", "fixed", "has"),
    [
        ("6.12.5", ["6.12.5"], True),
        ("6.12.5", ["6.12.6"], False),
        ("6.12.10", ["6.12.9"], True),
        ("6.12", ["6.12.0"], True),
        ("6.12.0", ["6.12"], True),
        ("6.12-rc3", ["6.12"], False),
        ("6.12-rc3", ["6.12-rc2"], True),
        # A series gets a fix of its own; others must be newer than all.
        ("6.12.4", ["6.12.5", "6.1.9"], False),
        ("6.1.9", ["6.12.5", "6.1.9"], True),
        ("6.6.99", ["6.12.5", "6.1.9"], False),
        ("6.13.0", ["6.12.5", "6.1.9"], True),
        ("6.12.5", ["6.12.9", "6.12.4"], True),
        # Of another architecture, but the same.
        ("5.14.0-427.el9.aarch64", ["5.14.0-427.el9.x86_64"], True),
        ("5.14.0-427.el9.x86_64", ["5.14.0-427.el9.aarch64"], True),
        ("5.14.0-426.el9.x86_64", ["5.14.0-427.el9.aarch64"], False),
        ("6.12.5", [], False),
        ("", ["6.12.5"], False),
    ],
)
def test_a_kernel_has_a_fix_of_its_series_or_is_newer_than_all(release, fixed, has):
    assert kernels.has_fix(release, fixed) == has


def test_schemas_say_what_they_take():
    assert forms.types(forms.STRING) == (str,) and forms.types(forms.or_null(forms.WHOLE)) == (
        int,
        type(None),
    )
    assert forms.or_null(forms.TRUTH) == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    assert forms.digits(12) == {"type": "string", "pattern": "^[0-9a-f]{12}$"}
    assert forms.with_properties({"b": forms.TIME, "a": forms.STRINGS}, more=1) == {
        "type": "object",
        "properties": {"b": forms.TIME, "a": forms.STRINGS},
        "required": ["b", "a"],
        "more": 1,
    }
