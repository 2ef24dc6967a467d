# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts in the central store: what receivers know by hello and bye is there, whoever tells it first, and how
often; sealed words win."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from panicast_receiver.central.engine import Central
from panicast_receiver.db import fleet, labels
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.records.labels import parse
from panicast_receiver.sinks.postgresql import PostgreSQL
from panicast_receiver.sinks.telling import notice_of
from panicast_receiver.wire.v1 import FLAG_SEALED, KEPT_EVENT, encode

from ..unit.receiver.conftest import explain
from ..unit.receiver.db.test_fleet import SECOND, START, record
from ..unit.receiver.meaning.test_crash import OOPS, SYSRQ
from ..unit.receiver.web.website import website
from .conftest import wait_until

AGES = Ages(900, 30)
DAY = 86400
NOW = int(time.time()) - START // SECOND
ASKED = [
    fleet.Asked(by, group, sealed=sealed)
    for by in ("kernel", "label:rack")
    for group in (None, "group")
    for sealed in (False, True)
]


def sealed(one):
    """The same record, sealed."""
    return replace(one, flags=one.flags | FLAG_SEALED)


def hello(host, boot, event, when, type="hello", **meta):
    """A hello ``when`` seconds from now, which is in the past."""
    return record(type, host, boot, event, NOW + when, **meta)


def panic(host, boot, event, when, text=SYSRQ, **meta):
    return record("panic", host, boot, event, NOW + when, text, **meta)


FLEET = (
    hello("db-01", 1, 1, -9 * DAY, release="6.1.118"),
    hello("db-01", 1, 2, -5 * DAY, release="6.1.118", iface="eth1", mac="52:54:00:00:00:AA"),
    panic("db-01", 1, 3, -5 * DAY + 1, release="6.1.118"),
    hello("db-01", 2, 1, -4 * DAY, release="6.12.9"),
    hello("db-01", 2, 2, -60, release="6.12.9"),
    hello("db-02", 3, 1, -7 * DAY, release="6.1.118"),
    hello("db-02", 3, 9, -2 * DAY, "bye", release="6.1.118", reason="reboot"),
    hello("db-03", 4, 1, -3 * DAY, release="6.12.9"),
    sealed(hello("web-01", 5, 1, -6 * DAY, release="6.12.9")),
    sealed(record("test", "web-01", 5, 2, NOW - 5 * DAY, "<6>a drill\n", reason="drill")),
    sealed(hello("web-01", 5, 3, -4 * DAY, release="6.12.9")),
    sealed(panic("web-01", 5, 4, -4 * DAY + 9, OOPS, release="6.12.9")),
    sealed(hello("web-02", 6, 1, -50 * DAY)),
    hello("web-01", 7, 1, -3 * DAY, release="forged"),
    panic("web-01", 7, 2, -3 * DAY + 1, release="forged"),
    # Of the boot before, kept by the firmware.
    hello("arm-01", 8, 1, -2 * DAY),
    hello("arm-01", 9, 1, -2 * DAY + 400),
    panic("arm-01", 8, KEPT_EVENT + 1, -2 * DAY + 401),
    hello("arm-01", 9, 2, -100),
)
RULES = "db-* rack=r1\nweb-* rack=r2 role=web\n"


def heard(folder, *records):
    """A receiver's folder with what it has heard, in this order."""
    with closing(Store(folder)) as store:
        for one in records:
            store.write([one])
        labels.put(store._db, parse(RULES, "labels"))
    explain(folder)
    return folder


def tell(folder, dsn, most=4) -> None:
    """What the sink's thread does: records first, then hosts, some at a time."""
    sink = PostgreSQL(dsn)
    with closing(Reader(folder)) as reader:
        sink.deliver([notice_of(reader, entry) for entry in reader.select(Query())])
        changed = 0
        while (found := reader.heard(changed, most))[1]:
            changed = found[0]
            sink.hear(found[1])


def rates(reader, asked, now_ns):
    """Host-days are sums of floating point, in any order."""
    return [
        {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}
        for row in reader.ran(asked, now_ns)
    ]


def answers(reader):
    """All that the pages ask of hosts."""
    now_ns = (START // SECOND + NOW) * SECOND
    group = next((one["signature"] for one in reader.groups(Query())), "")
    names = {one["host"] for one in reader.hosts(AGES, now_ns)}
    return {
        "hosts": reader.hosts(AGES, now_ns),
        "retired": reader.hosts(AGES, now_ns, "retired"),
        "rack": reader.hosts(AGES, now_ns, words=["label:rack=r1"]),
        "urgent": [one["state"] for one in reader.hosts(AGES, now_ns, limit=50)],
        "states": reader.host_states(AGES, now_ns),
        "labelled": reader.labelled(AGES, now_ns),
        "burning": reader.burning(AGES, now_ns),
        "boots": {host: reader.boots_of(host, AGES, now_ns) for host in names},
        "ran": [rates(reader, one._replace(group=one.group and group), now_ns) for one in ASKED],
        "compared": [row["kernel"] for row in reader.hosts(AGES, now_ns, "armed")],
    }


def test_the_central_store_knows_hosts_as_their_receiver_does(postgres, tmp_path) -> None:
    folder = heard(tmp_path, *FLEET)
    tell(folder, postgres.dsn)
    with closing(Reader(folder)) as own, closing(Reader(Central(postgres.dsn))) as central:
        said = answers(own)
        assert answers(central) == said
        # Told again, after a restart, nothing is other.
        before = postgres.ask("SELECT xmin, boots FROM panicast.boots ORDER BY boot_id")
        tell(folder, postgres.dsn, 256)
        assert answers(central) == said
        assert postgres.ask("SELECT xmin, boots FROM panicast.boots ORDER BY boot_id") == before
    states = {one["host"]: (one["state"], one["why"]) for one in said["hosts"]}
    assert states == {
        **{"db-01": ("armed", ""), "db-02": ("goodbye", "reboot"), "db-03": ("silent", "")},
        **{"web-01": ("panicked", ""), "arm-01": ("armed", "")},
    }
    assert [one["host"] for one in said["retired"]] == ["web-02"]
    kernels = {one["value"]: (one["crashes"], round(one["host_days"], 3)) for one in said["ran"][0]}
    assert kernels["6.1.118"] == (1, 9.0) and kernels["6.12.9"] == (1, 5.999)
    assert all(said["ran"])


@pytest.mark.parametrize("place", range(6))
def test_receivers_that_heard_a_part_agree_in_whatever_order_they_tell(postgres, tmp_path, place) -> None:
    """Each heard some of it; all of it together is what one has heard that heard all, but for what only
    who heard all can know: that a boot was heard again."""
    whole = heard(tmp_path / "whole", *FLEET)
    parts = [heard(tmp_path / str(first), *FLEET[first::3]) for first in range(3)]
    order = list(itertools.permutations(parts))[place]
    for folder in (*order, *order[:1]):
        tell(folder, postgres.dsn)
    with closing(Reader(whole)) as own, closing(Reader(Central(postgres.dsn))) as central:
        assert answers(central) == answers(own)


def test_unsealed_words_change_nothing_once_any_receiver_has_heard_a_host_seal(postgres, tmp_path) -> None:
    forger = heard(
        tmp_path / "forger", hello("db-01", 2, 1, -70), panic("db-01", 1, 7, -60), panic("db-01", 3, 1, -55)
    )
    honest = heard(tmp_path / "honest", sealed(hello("db-01", 1, 5, -80)))
    for order in ((forger, honest), (honest, forger)):
        postgres.ask("DROP SCHEMA IF EXISTS panicast CASCADE")
        for folder in order:
            tell(folder, postgres.dsn)
        with closing(Reader(Central(postgres.dsn))) as central:
            assert [(one["state"], one["sealed"]) for one in answers(central)["hosts"]] == [("armed", True)]
            assert [one.summary["doubted"] for one in central.select(Query())] == [True, True]


def test_nobody_mutes_a_host_by_a_number_that_he_made_up(postgres, tmp_path) -> None:
    one = heard(tmp_path / "one", hello("db-01", 1, 1 << 30, -90, "bye"))
    tell(one, postgres.dsn)
    tell(heard(tmp_path / "one", hello("db-01", 1, 7, -30)), postgres.dsn)
    with closing(Reader(Central(postgres.dsn))) as central:
        assert answers(central)["states"] == {"armed": 1}
        tell(heard(tmp_path / "one", hello("db-01", 1, 8, -10, "bye", reason="power off")), postgres.dsn)
        assert [one["why"] for one in answers(central)["hosts"]] == ["power off"]


def test_services_tell_of_hosts_and_the_page_shows_them(serve, postgres, tmp_path) -> None:
    with ExitStack() as stack:
        folders = [tmp_path / name for name in "ab"]
        receivers = [serve("--postgresql", postgres.dsn, state_dir=folder) for folder in folders]
        for receiver in receivers:
            receiver.wait_for("records go to: postgresql")

        def say(type, event, host="db-01", boot=b"\1", reason=""):
            told = f"host={host}\nrelease=6.12.9\nmodule=1.0\niface=eth0\nmac=52:54:00:00:00:01\n"
            frames = encode(
                type, boot * 16, event, time.time_ns(), host, f"{told}reason={reason}\n".encode(), b""
            )
            for receiver in receivers:
                receiver.send(frames)

        say("hello", 1)
        say("hello", 1, "db-02", b"\2")
        page = stack.enter_context(website(tmp_path / "page", "--postgresql", postgres.dsn))
        hosts = lambda: page.ask("/hosts").text  # noqa: E731
        wait_until(lambda: '2</strong> <span class="tag armed' in hosts(), "both hosts are armed")
        assert "eth0" in hosts() and "The central store is told" not in hosts()
        say("bye", 2, reason="reboot")
        wait_until(lambda: "goodbye</span> reboot" in page.ask("/host?host=db-01").text, "it has said why")
        metrics = page.ask("/metrics").text
        assert (
            'panicast_hosts{state="armed"} 1.0' in metrics
            and 'panicast_hosts{state="goodbye"} 1.0' in metrics
        )
        assert "6.12.9" in page.ask("/compare").text
        assert postgres.ask("SELECT count(*) FROM panicast.boots") == [(2,)]
        assert postgres.ask("SELECT count(*) FROM panicast.records") == [(0,)]
        # A central store that is away holds up nothing, and is told when it is back.
        postgres.kill()
        say("hello", 3, boot=b"\3")
        postgres.start()
        wait_until(lambda: postgres.ask("SELECT count(*) FROM panicast.boots") == [(3,)], "it is told")
