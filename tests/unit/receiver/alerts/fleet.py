# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up fleet: all of it panics at once, a resolved crash is back, a host crashes again and again, a
third of it loses its power. How many messages does an engineer get?

By hand, with 10,000 hosts:
PYTHONPATH=receiver/src .venv/bin/python -m tests.unit.receiver.alerts.fleet 10000
"""

import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from panicast_receiver.alerts import courier, decide
from panicast_receiver.alerts.rules import Rules, Target
from panicast_receiver.db import groups, schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.follower import Follower
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.db.writing import transaction
from panicast_receiver.sinks import cursors
from panicast_receiver.sinks.telling import notice_of

from ..conftest import explain
from ..db.test_fleet import record
from ..meaning.test_crash import OOPS, SYSRQ
from .services import service

AGES = Ages(900.0, 90.0)


def now():
    """Seconds after the start of the tests' clock."""
    return int(time.time()) - 1_700_000_000


def of(number, kind, event, at, text="", boot=0, **meta):
    """A record of one of many hosts."""
    made = record(kind, f"web-{number:05}", 1, event, at, text, **meta)
    boot_id = (number * 1000 + boot).to_bytes(16, "big")
    return replace(made, boot_id=boot_id, identity=boot_id + event.to_bytes(4, "big"))


class Fleet:
    """Its records, and what is told of them to one target."""

    def __init__(self, folder, url, rules=None, **target):
        self.folder = Path(folder)
        self.target = Target("oncall", "json", url, **target)
        self.rules = rules or Rules()
        with closing(Store(self.folder)):
            pass
        with closing(schema.open_writer(self.folder / schema.FILE_NAME)) as db:
            self.cursor = cursors.begin(db, "alerts")
        self.tell()

    def store(self, *records):
        """Store and understand these."""
        with closing(Store(self.folder)) as store:
            for start in range(0, len(records), 200):
                store.write(records[start : start + 200])
        explain(self.folder)

    def tell(self):
        """Do what the service's threads do, until nothing is left to tell."""
        alerts, follower = decide.Alerts(self.rules, self.folder), Follower(self.folder)
        while entries := follower.after(self.cursor, Query(limit=alerts.most)):
            alerts.deliver([notice_of(follower.reader(), entry) for entry in entries])
            self.cursor = entries[-1].changed
            self.look()
        decide.look_for_silent(self.rules, self.folder, AGES)
        self.look()
        follower.close()

    def look(self):
        """What is there is told."""
        courier._Courier(self.target, self.folder).look()

    def change(self, action, detail=""):
        """Do this to the newest group."""
        with closing(Reader(self.folder)) as reader:
            signature = reader.groups(Query())[-1]["signature"]
        with closing(schema.open_writer(self.folder / schema.FILE_NAME)) as db, transaction(db):
            groups.change(db, groups.Order(signature, action, detail, "", "ann", "test"))


def story(folder, hosts):
    """Return the messages, by what happened."""
    told = {}
    with service() as oncall:
        fleet = Fleet(folder, oncall.url)

        def happens(name, *records):
            fleet.store(*records)
            fleet.tell()
            told[name] = Counter(one["kind"] for one in oncall.taken[sum(map(len_of, told.values())) :])

        def len_of(counts):
            return sum(counts.values())

        happens("hello", *(of(n, "hello", 1, now() - 60) for n in range(hosts)))
        happens("all panic at once", *(of(n, "panic", 2, now() - 50, SYSRQ) for n in range(hosts)))
        happens("another crash", of(1, "panic", 1, now() - 40, OOPS, boot=1, release="6.12.100"))
        fleet.change("resolve", "6.12.118")
        happens("it is on an old kernel", of(2, "panic", 1, now() + 60, OOPS, boot=1, release="6.12.117"))
        back = [of(n, "panic", 1, now() + 70, OOPS, boot=1, release="6.12.118") for n in (3, 4)]
        happens("it is back", *back)
        again = [of(7, "panic", 1, now() + 80 + n, OOPS, boot=10 + n, release="6.12.118") for n in range(5)]
        happens("a host crashes five times", *again)
        late = now() - 3600
        happens("power cut", *(of(n, "hello", 1, late, boot=50) for n in range(hosts, hosts + hosts // 3)))
        assert not oncall.wrong
    return told


if __name__ == "__main__":
    # Nothing is gathered, so there are no fewer messages than the service sends.
    courier.GATHER_S = -1.0
    with tempfile.TemporaryDirectory() as made:
        began = time.monotonic()
        found = story(made, int(sys.argv[1]))
        for name, counts in found.items():
            print(f"{name}: {sum(counts.values())} ({dict(counts)})")
        total = sum(sum(counts.values()) for counts in found.values())
        print(f"{sys.argv[1]} hosts, {total} messages, {time.monotonic() - began:.0f} s")
