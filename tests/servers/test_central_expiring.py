# SPDX-License-Identifier: GPL-2.0-or-later
"""What is deleted from the central store: by age and by size, in the order of a receiver's own database, and
counts follow."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import psycopg2

from panicast_receiver.central import expiring
from panicast_receiver.central.engine import Central
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.sinks.postgresql import PostgreSQL

from ..unit.receiver.db.test_fleet import SECOND, START, record
from ..unit.receiver.meaning.test_crash import OOPS, SYSRQ
from .conftest import wait_until
from .test_central import counted
from .test_central_hosts import heard, hello, panic, sealed, tell

DAY = 86400
NOW = int(time.time()) - START // SECOND


def expire(postgres, kept, most=256):
    """Delete until nothing is left to delete; return how many were deleted each time."""
    with closing(psycopg2.connect(postgres.dsn)) as connection:
        found = [expiring.expire(connection, kept, most)]
        while found[-1]:
            found.append(expiring.expire(connection, kept, most))
    kept_counts, fresh = counted(postgres)
    assert kept_counts[1:] == fresh[1:] and [one for one in kept_counts[0] if one[1]] == fresh[0]
    sizes = "SELECT coalesce(sum(size), 0)::bigint FROM panicast."
    assert postgres.ask(f"{sizes}type_tallies") == postgres.ask(f"{sizes}records")
    return found[:-1]


def hosts(central):
    """Of the records that are left, oldest first."""
    return [one.summary["host"] for one in central.select(Query())]


def test_records_go_by_age_and_what_has_sealed_is_known_all_the_same(postgres, tmp_path) -> None:
    folder = heard(
        tmp_path,
        hello("db-01", 1, 1, -9 * DAY),
        panic("db-01", 1, 2, -9 * DAY + 9, OOPS),
        panic("db-02", 2, 1, -8 * DAY, SYSRQ),
        sealed(hello("web-01", 3, 1, -8 * DAY)),
        sealed(panic("web-01", 3, 2, -8 * DAY + 9, SYSRQ)),
        panic("db-03", 4, 1, -2 * DAY, SYSRQ),
        hello("db-03", 4, 2, -60),
    )
    tell(folder, postgres.dsn)
    assert expire(postgres, Retention(days=30)) == []
    assert expire(postgres, Retention(days=7), most=2) == [4, 1]
    with closing(Reader(Central(postgres.dsn))) as central:
        assert hosts(central) == ["db-03"]
        states = central.host_states(Ages(900, 0), time.time_ns())
        assert states == {"panicked": 2}
        (group,) = central.groups(Query())
        assert (group["records"], group["hosts"], group["first"] == group["last"]) == (1, 1, True)
        assert (
            central.select(Query(search="oops")) == [] and len(central.select(Query(search="host:db"))) == 1
        )
        # Whoever has sealed is not believed unsealed, though no sealed record is left.
        tell(heard(tmp_path / "forger", panic("web-01", 9, 1, -30, SYSRQ)), postgres.dsn)
        assert central.select(Query(limit=1))[0].summary["doubted"]
    # Labels went with the last thing that was known of a host.
    assert {row[0] for row in postgres.ask("SELECT host FROM panicast.labels")} == {"db-03", "web-01"}


def test_records_go_by_size_in_the_order_of_their_worth(postgres, tmp_path) -> None:
    text = "<4>[ 1.0] a line that does not end soon {}\n"
    long = "".join(text.format(number * 7919) for number in range(400))
    told = [
        sealed(record("test", "sealed", 1, 1, NOW - 900, long)),
        sealed(panic("sealed", 1, 2, -890, long)),
        record("test", "drill", 2, 1, NOW - 500, long),
        *(panic(f"h{number}", 10 + number, 1, -400 + number, long) for number in range(4)),
        panic("sealed", 1, 3, -10, long),
    ]
    gone = replace(told[3], runs=(told[3].runs[0]._replace(data=long.encode()[:-200]),))
    tell(heard(tmp_path, *told[:3], gone, *told[4:]), postgres.dsn)
    sizes = dict(postgres.ask("SELECT encode(identity, 'hex'), size FROM panicast.records"))
    each = max(sizes.values())
    assert min(sizes.values()) > 4096
    order = ["sealed", "drill", "h0", "h1", "h2", "h3"]
    with closing(Reader(Central(postgres.dsn))) as central:
        for left in range(7, 1, -1):
            assert sum(expire(postgres, Retention(size=left * each), most=3)) == 1
            assert sorted(hosts(central)) == sorted([*order[8 - left :], "sealed", "sealed"])
        assert {one.summary["sealed"] for one in central.select(Query())} == {True}
        assert expire(postgres, Retention(size=2 * each)) == []


def test_boots_have_an_eighth_of_the_size(postgres, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(expiring, "_FEW", 2)
    tell(
        heard(
            tmp_path,
            sealed(hello("old", 1, 1, -9 * DAY)),
            hello("db-01", 2, 1, -8 * DAY),
            hello("db-01", 2, 2, -7 * DAY),
            hello("db-01", 3, 1, -6 * DAY),
            panic("db-02", 4, 1, -5 * DAY, SYSRQ),
        ),
        postgres.dsn,
    )
    assert expire(postgres, Retention(size=1 << 20)) == []
    assert sum(expire(postgres, Retention(size=20_000), most=1)) == 2
    left = postgres.ask("SELECT host, current FROM panicast.boots ORDER BY host")
    assert left == [("db-02", True), ("old", True)]


def test_a_service_deletes_what_its_settings_say(serve, postgres, tmp_path) -> None:
    tell(
        heard(tmp_path / "a", panic("db-01", 1, 1, -9 * DAY, SYSRQ), panic("db-02", 2, 1, -60, SYSRQ)),
        postgres.dsn,
    )
    serve("--postgresql", postgres.dsn, "--postgresql-keep-days", "7")
    left = "SELECT host FROM panicast.records"
    wait_until(lambda: postgres.ask(left) == [("db-02",)], "the old one is gone")


def test_by_default_nothing_is_deleted(postgres, tmp_path) -> None:
    tell(heard(tmp_path, panic("db-01", 1, 1, -9 * DAY, SYSRQ)), postgres.dsn)
    PostgreSQL(postgres.dsn).expire()
    assert postgres.ask("SELECT count(*) FROM panicast.records") == [(1,)]
