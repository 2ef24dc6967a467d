# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that list records, follow them and write them to files."""

import json
import subprocess
import sys
from contextlib import closing
from threading import Thread

import pytest

from panicast_receiver.db.follower import Follower
from panicast_receiver.db.reader import Query, Reader

from ..conftest import PATIENCE_S, wait_until
from ..meaning.test_crash import OOPS, SYSRQ
from .test_fleet import keep, record

__all__ = ["keep"]


@pytest.fixture
def three(keep):
    """Records of two hosts, and the hello of one."""
    keep(
        record("hello", "a", 1, 1, 0),
        record("panic", "a", 1, 2, 10, SYSRQ, release="6.12.9"),
        record("oops", "b", 2, 1, 20, OOPS),
        record("test", "a", 3, 1, 30, "<6>[ 0.0] drill of 'Zoë'\n", reason="drill"),
    )


def test_records_are_listed(three, at, cli):
    def listed(*flags):
        done = cli("list", "--json", *flags, *at, state_dir=None)
        assert done.returncode == 0 and not done.stderr
        return [(one["type"], one["host"]) for one in json.loads(done.stdout)]

    everything = listed()
    assert everything == [("panic", "a"), ("oops", "b"), ("test", "a")]
    assert listed("--limit", "2") == everything[1:]
    assert listed("--host", "a", "--type", "panic", "--search", "sysrq kernel:6.12") == everything[:1]
    assert listed("--since", "2023-11-14T22:13:49Z", "--search", "zoë") == everything[2:]
    table = cli("list", *at, state_dir=None).stdout.splitlines()
    assert table[0].split()[:3] == ["ID", "RECEIVED", "(UTC)"]
    assert [line.split()[4] for line in table[1:]] == ["a", "b", "a"]
    assert cli("list", "--host", "nobody", *at, state_dir=None).stderr == "no records\n"


def test_one_at_a_time_and_all_of_one_moment(three, place, keep):
    """What is stored meanwhile does not show, and other questions are answered in between."""
    with closing(Reader(place)) as reader:
        wanted = [entry.summary["id"] for entry in reader.select(Query())]
        every = reader.every(Query())
        first = next(every)
        keep(record("test", "late", 9, 1, 99))
        assert reader.load(first).received_text == SYSRQ.encode()
        assert [entry.summary["id"] for entry in (first, *every)] == wanted
        assert len(list(reader.every(Query()))) == len(wanted) + 1


def test_records_are_written_to_files(three, at, cli, tmp_path):
    target = tmp_path / "files"
    done = cli("export", str(target), *at, state_dir=None)
    assert done.stdout == f"3 records in {target}\n"
    texts = [path.read_text() for path in target.iterdir()]
    assert len(texts) == 3 and sum("sysrq_handle_crash" in text for text in texts) == 1
    (oops,) = json.loads(cli("list", "--json", "--type", "oops", *at, state_dir=None).stdout)
    assert cli("show", oops["id"], *at, state_dir=None).stdout in texts
    one = cli("export", str(tmp_path / "one"), "--type", "oops", *at, state_dir=None)
    assert one.stdout.startswith("1 records in ")


def test_records_are_followed(three, place, at, keep):
    """Nothing tells when it has begun: others are stored until one shows."""
    argv = [sys.executable, "-u", "-m", "panicast_receiver", "follow", "--json", "--type", "test", *at]
    lines, events = [], iter(range(1, 1000))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        reading = Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
        reading.start()

        def shown():
            keep(record("test", "new", 7, next(events), 100), record("oops", "new", 8, next(events), 100))
            return lines

        try:
            wait_until(shown, "a record shows")
        finally:
            process.kill()
            reading.join(PATIENCE_S)
    told = [json.loads(line) for line in lines]
    assert {(one["type"], one["host"]) for one in told} == {("test", "new")}
    with closing(Follower(place)) as follower:
        assert told[0] in [entry.summary for entry in follower.after(0, Query())]
