# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host says of itself takes as much room as it is long, and no more of anybody else's."""

from dataclasses import replace

from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.records.present import aligned, header

from ..cli.test_cli import RECORD


def test_a_long_cell_is_printed_whole_and_widens_no_other_row():
    long = "x" * 60_000
    shown = aligned(("NAME", "STATE"), [(long, "ok"), *[("short", "ok")] * 1000])
    assert long in shown and len(shown) < len(long) + 1000 * 100


def test_a_long_key_of_the_metadata_widens_no_other_line(tmp_path):
    long = "k" * 30_000
    meta = f"{long}=v\n" + "".join(f"a{number}=v\n" for number in range(3000))
    with_keys = replace(RECORD, metadata=meta.encode())
    store = Store(tmp_path)
    store.write([with_keys])
    store.close()
    reader = Reader(tmp_path)
    (entry,) = reader.select(Query())
    reader.close()
    shown = header(entry.summary)
    assert long in shown and len(shown) < len(long) + 3000 * 100


def test_a_name_that_is_longer_than_names_are_is_not_the_hosts():
    begins = "h" * 32
    for length, is_name in ((32, True), (64, True), (255, True), (256, False), (60_000, False)):
        stated = "h" * length
        said = replace(RECORD, header_host=begins, metadata=f"host={stated}\n".encode())
        assert said.host == (stated if is_name else begins)
