# SPDX-License-Identifier: GPL-2.0-or-later
"""A day and longer in the life of the service, an hour in a second or two: what it has said that it keeps is
there, byte for byte, whatever happens to it; it ends when it is told to, and its memory stays what it is."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader

from .world import HOSTS, World

HOUR_S = 3600
#: What may come to the memory in the second half of the time, which is one life of the service, beside what
#: it remembers, up to a bound, of each record (reassembly.py: REMEMBERED, in two places).
FLAT_KIB, REMEMBERED_BYTES = 2 << 10, 600


def quiet(world: World) -> None:
    """Nothing but panics."""
    ids, frames = world.panics(8)
    world.send(frames)
    world.wait_kept(ids)


def full_disk(world: World) -> None:
    """Panics while not a byte more fits: they wait."""
    world.read_log()
    said = len(world.receiver.log)
    with world.full_disk():
        ids, frames = world.panics(12)
        world.send(frames)
        world.receiver.wait_for("no room", since=said)
    world.wait_kept(ids)


def clock(world: World) -> None:
    """The clock jumps, back or ahead."""
    ids, frames = world.panics(6)
    half = len(frames) // 2
    world.send(frames[:half])
    world.turn_clock(world.random.choice((-3, -30, 48, 24 * 400)) * HOUR_S)
    world.send(frames[half:])
    world.wait_kept(ids)


def interface(world: World) -> None:
    """The interface goes and comes again."""
    world.read_log()
    said = len(world.receiver.log)
    world.unplug()
    world.receiver.wait_for("packet ring .*pc-a", since=said)
    world.plug()
    world.receiver.wait_for("heard again", since=said)
    quiet(world)


def killed(world: World) -> None:
    """kill -9 in the midst of panics."""
    world.send(world.panics(12)[1])
    world.read_log(world.random.random() / 4)
    world.kill()
    world.start()


def power_cut(world: World) -> None:
    """The same, and all is gone that was not put on the disk."""
    world.send(world.panics(12)[1])
    world.read_log(world.random.random() / 4)
    world.cut_power()
    world.start()


def power_cut_on_a_full_disk(world: World) -> None:
    """The same while not a byte more fits."""
    with world.full_disk():
        world.send(world.panics(6)[1])
        world.read_log(0.3)
        world.cut_power()
    world.start()


def killed_on_a_full_disk(world: World) -> None:
    """The same while not a byte more fits."""
    with world.full_disk():
        world.send(world.panics(6)[1])
        world.read_log(0.3)
        world.kill()
    world.start()


def torn_log(world: World) -> None:
    """The same, and the write-ahead log ends in rubbish."""
    world.send(world.panics(12)[1])
    world.read_log(world.random.random() / 4)
    world.kill()
    world.tear_log()
    world.start()


LIVES: tuple[Callable[[World], None], ...] = (
    *(quiet, killed, torn_log, full_disk, power_cut, clock),
    *(killed_on_a_full_disk, interface, power_cut, clock, power_cut_on_a_full_disk, torn_log),
)
ONE_LIFE: tuple[Callable[[World], None], ...] = (quiet, full_disk, clock, interface)


def check(world: World) -> None:
    """Everything that was announced is there, and what is there is what was sent."""
    with closing(Reader(world.state)) as reader:
        found = {entry.summary["id"]: entry for entry in reader.select(Query())}
        assert set(world.kept) <= set(found)
        for one, whole in world.kept.items():
            assert found[one].summary["complete"] or not whole
        for one in world.sent.keys() & found.keys():
            if found[one].summary["complete"]:
                assert reader.load(found[one]).received_text == world.sent[one]
        reader.groups(Query())
        known = {host["host"] for host in reader.hosts(Ages(900), time.time_ns())}
        assert {f"host-{number:02d}" for number in range(HOSTS)} <= known


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a network and a file system")
def test_days(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    days, seed = request.config.getoption("--days", 1), request.config.getoption("--seed", None)
    seed = random.randrange(1 << 30) if seed is None else seed
    print(f"--seed {seed}")
    began = time.monotonic()
    world = World(tmp_path, seed)
    hours, memory = range(24 * days), []
    late: list[tuple[str, list[bytes]]] = []
    with world.made():
        for hour in hours:
            world.turn_clock(HOUR_S)
            world.send(world.background())
            if late and world.random.random() < 0.7:
                one, frames = late.pop(0)
                world.send(frames)
                if one in world.kept:
                    world.wait_kept({one})
            one, now, some_day = world.cut()
            world.send(now)
            late.append((one, some_day))
            if hour < len(hours) / 2:
                LIVES[hour % len(LIVES)](world)
            else:
                ONE_LIFE[hour % len(ONE_LIFE)](world)
                memory.append(world.rss_kib)
            spent = time.monotonic() - began
            print(f"hour {hour}, {spent:.0f} s: {len(world.kept)} kept, {world.rss_kib} KiB")
            if hour % 24 == 23:
                world.wait_told()
                check(world)
                world.prune()
                late.clear()
        world.stop()
        check(world)
    # The first hours of a life are those in which it gets what it needs.
    quarter = len(memory) // 4
    growth = max(memory[-quarter:]) - max(memory[:quarter])
    assert growth <= FLAT_KIB + world.identities * REMEMBERED_BYTES / 2 / 1024, memory
    assert sum(world.ever.values()) > days * 100, (len(world.ever), len(world.sent))
