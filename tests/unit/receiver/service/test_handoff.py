# SPDX-License-Identifier: GPL-2.0-or-later
"""What waits to be stored: whose records go first, and what a flood costs the others."""

import threading
from dataclasses import replace

from panicast_receiver.service.allowances import Allowances
from panicast_receiver.service.handoff import Handoff

from ..conftest import PATIENCE_S
from ..db.test_store import raw_record


def test_the_handoff_waits_for_room_and_ends():
    handoff = Handoff(limit_bytes=1)
    large = replace(raw_record(b"x" * 4096), frames=9)
    assert handoff.put([large]) == 1
    waits = []

    def beat():
        waits.append(1)
        handoff.abandon()

    assert handoff.put([large], beat) == 0 and waits == [1]
    handoff.close()
    assert len(handoff.take(10, 0)) == 1 and handoff.take(10, 0) is None


def test_whoever_waits_for_room_is_told_of_it(monkeypatch):
    """Until then the kernel's buffer takes what arrives, and it is not large."""
    handoff = Handoff(limit_bytes=1)
    large = replace(raw_record(b"x" * 4096), frames=9)
    handoff.put([large])
    wait, told = handoff._changed.wait, []
    monkeypatch.setattr(handoff._changed, "wait", lambda timeout: told.append(wait(PATIENCE_S / 4)))
    taker = threading.Thread(target=lambda: handoff.take(1, 0))
    # From here on it waits, or is about to: it has the lock.
    assert handoff.put([large], beat=taker.start) == 1
    taker.join()
    assert told == [True]


def test_what_took_its_sender_most_goes_first_and_each_sender_has_its_turn():
    handoff = Handoff()
    flood = [replace(raw_record(identity=bytes([n]) * 20), header_host=f"f-{n}") for n in range(200)]
    small = replace(raw_record(mac="52:54:00:00:00:01"), header_host="small")
    large = replace(raw_record(b"x" * 40000, mac="52:54:00:00:00:02"), frames=40, header_host="large")
    sealed = replace(flood[0], flags=1, header_host="sealed")
    handoff.put([*flood, small, large, sealed])
    first = [record.header_host for record in handoff.take(40, 0)]
    assert first[:2] == ["sealed", "large"] and "small" in first
    assert [name for name in first if name[1] == "-"] == [f"f-{n}" for n in range(37)]


def test_a_sender_of_ever_so_many_does_not_make_it_slow():
    """What the queue does for each record takes as long as there are lanes."""
    handoff = Handoff()
    handoff.put([raw_record(identity=n.to_bytes(20, "big")) for n in range(5000)])
    assert len(handoff._lanes) <= 65
    other = raw_record(mac="52:54:00:00:00:01")
    handoff.put([other])
    assert other in handoff.take(32, 0)


def test_a_flood_of_small_records_drops_its_own_and_keeps_nobody_waiting():
    large = replace(raw_record(b"x" * 40000, mac="52:54:00:00:00:02"), frames=40, header_host="large")
    handoff = Handoff(limit_bytes=100_000)
    flood = [raw_record(identity=n.to_bytes(20, "big")) for n in range(100)]
    assert handoff.put([*flood, large]) == 101
    assert handoff.bytes <= handoff.limit and handoff.dropped
    left = handoff.take(200, 0)
    assert left[0] is large and left[1:] == flood[: len(left) - 1]


def test_small_records_do_not_use_up_the_allowance_of_large_ones():
    allowances = Allowances()
    small = [raw_record(mac=f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}") for n in range(1000)]
    told = sum(allowances.at_once(record, 1.0) for record in small)
    large = replace(raw_record(b"x" * 40000, mac="52:54:01:00:00:02"), frames=40)
    sealed = [replace(raw_record(), flags=1, header_host=f"s-{n}") for n in range(1000)]
    assert (
        told < 200 and allowances.at_once(large, 1.0) and all(allowances.at_once(one, 1.0) for one in sealed)
    )
    lying = [replace(one, frames=1000) for one in small]
    assert not any(allowances.at_once(record, 1.0) for record in lying)
    in_its_name = [raw_record(mac="52:54:01:00:00:03") for _ in range(100)]
    its_own = replace(raw_record(b"x" * 40000, mac="52:54:01:00:00:03"), frames=40)
    assert sum(allowances.at_once(record, 60.0) for record in in_its_name) < 100
    assert allowances.at_once(its_own, 60.0)


def test_a_greeting_goes_behind_what_tells_of_a_crash():
    handoff = Handoff()
    hello, panic = replace(raw_record(), type="hello"), raw_record()
    handoff.put([hello, panic])
    assert [one.type for one in handoff.take(2, 0)] == ["panic", "hello"]
