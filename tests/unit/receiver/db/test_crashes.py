# SPDX-License-Identifier: GPL-2.0-or-later
"""What was kept of a crash over a reboot is one crash with what the dying kernel sent itself."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from panicast_receiver.db import crashes, schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.records import present
from panicast_receiver.wire.v1 import FLAG_SEALED, KEPT_EVENT, decode, encode

from ..conftest import explain
from .test_store import partial

# Zeros and ones: what a comparison of text, or of numbers with a sign, takes for another.
BOOT = b"\x00\xff\x00\x80" * 4
TEXT = b"<0>[    9.0] Kernel panic - not syncing: sysrq triggered crash\n"
LISTED = Query(folded=True)


def record(event, kind="panic", boot_id=BOOT, host="db-07", kept="", text=TEXT, sealed=False):
    """A record as the module sends it."""
    metadata = f"host={host}\n" + (f"kept={kept}\n" if kept else "")
    frames = encode(kind, boot_id, event, event, host, metadata.encode(), text)
    made = partial(frames)
    return replace(made, flags=made.flags | FLAG_SEALED) if sealed else made


SENT = record(3)
IN_PSTORE = record(KEPT_EVENT, kept="pstore", text=b"<6>older\n" + TEXT)
IN_KDUMP = record(2 * KEPT_EVENT - 1, kept="kdump")


@pytest.fixture
def store(tmp_path):
    """A store in a folder of its own."""
    with closing(Store(tmp_path)) as opened:
        yield opened


def listed(state_dir, query=LISTED):
    """Id, keeper and others of the records in a list."""
    found = [entry.summary for entry in Reader(state_dir).select(query)]
    return [(one["id"], one["kept"], sorted(one["same_crash"])) for one in found]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_crash_is_listed_once_in_whatever_order_its_records_come(store, tmp_path, order):
    for place in order:
        store.write([(SENT, IN_PSTORE, IN_KDUMP)[place]])
    assert listed(tmp_path) == [(SENT.id, "", sorted([IN_PSTORE.id, IN_KDUMP.id]))]
    everything = listed(tmp_path, Query(folded=False))
    assert len(everything) == 3 and (IN_KDUMP.id, "kdump", sorted([SENT.id, IN_PSTORE.id])) in everything
    explain(tmp_path)
    (group,) = Reader(tmp_path).groups(LISTED)
    assert (group["records"], group["hosts"]) == (1, 1)
    counts = Reader(tmp_path).timelines(LISTED, [group["signature"]], 0, 1 << 62)
    assert [list(count.values()) for count in counts.values()] == [[1]]


def test_what_the_network_lost_is_listed_by_who_kept_it(store, tmp_path):
    store.write([IN_PSTORE, IN_KDUMP])
    assert listed(tmp_path) == [(IN_PSTORE.id, "pstore", [IN_KDUMP.id])]
    (entry,) = Reader(tmp_path).select(LISTED)
    assert present.state(entry.summary) == "complete, kept by pstore"
    assert f"same crash: {IN_KDUMP.id}" in " ".join(present.header(entry.summary).split())


@pytest.mark.parametrize(
    "other",
    [
        record(KEPT_EVENT, kept="pstore", boot_id=BOOT[::-1]),
        record(KEPT_EVENT, kept="pstore", host="db-08"),
        record(KEPT_EVENT, kept="pstore", kind="oops"),
        record(4),
    ],
    ids=["another boot", "another host", "an oops", "not kept"],
)
def test_another_crash_is_another(store, tmp_path, other):
    store.write([SENT, other])
    assert sorted(listed(tmp_path)) == sorted([(SENT.id, "", []), (other.id, other.kept, [])])


def test_what_is_forged_hides_nothing_and_is_not_hidden(store, tmp_path):
    """Whoever hears the boot id can send an unsealed record of that boot."""
    honest = record(KEPT_EVENT + 5, kept="pstore", sealed=True)
    store.write([record(1, kind="hello", text=b"", sealed=True), SENT, honest, IN_KDUMP])
    found = {one[0] for one in listed(tmp_path)}
    assert {honest.id, SENT.id, IN_KDUMP.id} == found
    (entry,) = [one for one in Reader(tmp_path).select(LISTED) if one.summary["id"] == honest.id]
    assert entry.summary["same_crash"] == []


def test_the_host_lives_in_another_boot(store, tmp_path):
    """A kept panic ends the boot that it is of, and says nothing of the one that sent it."""
    store.write([record(1, kind="hello", text=b"")])
    now = record(1, kind="hello", text=b"", boot_id=b"n" * 16)
    store.write([now, IN_PSTORE])
    store.write([record(KEPT_EVENT + 1, kept="kdump", boot_id=b"u" * 16)])
    (host,) = Reader(tmp_path).hosts(Ages(3600), now.received_ns)
    assert (host["boot_id"], host["state"]) == (now.boot_id.hex(), "armed")
    with closing(sqlite3.connect(tmp_path / schema.FILE_NAME)) as database:
        rows = database.execute("SELECT boot_id, panicked_ns IS NOT NULL FROM boots ORDER BY boot_id")
        assert rows.fetchall() == [(BOOT, 1), (b"n" * 16, 0)]


def test_who_kept_it_is_unknown_without_its_metadata():
    frames = encode("panic", BOOT, KEPT_EVENT, 1, "db-07", b"host=db-07\nkept=pstore\n", TEXT)
    assert partial(frames[1:]).kept == "unknown" and decode(frames[0]).event == KEPT_EVENT
    assert record(3, kept="pstore").kept == ""


def test_many_forged_records_of_a_boot_are_no_longer_looked_for_than_few(store, tmp_path):
    """Each is found by an index: the steps that a list takes grow no faster than what it lists."""

    def steps(count):
        store.write([record(2 * KEPT_EVENT - 1 - n, kept="pstore") for n in range(count)])
        taken = 0

        def step():
            nonlocal taken
            taken += 1

        with closing(sqlite3.connect(tmp_path / schema.FILE_NAME)) as database:
            database.set_progress_handler(step, 10)
            found = database.execute(f"SELECT id, {crashes.OTHERS} FROM records WHERE {crashes.FIRST}")
            assert len(found.fetchall()) == 1
        return taken

    few = steps(50)
    assert steps(500) < 20 * few
