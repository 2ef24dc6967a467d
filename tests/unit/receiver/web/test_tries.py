# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a wrong token may be given, by one and by all, and how fast that is forgiven."""

from __future__ import annotations

import pytest

from panicast_receiver.web import tries
from panicast_receiver.web.access import bearer
from panicast_receiver.web.fair import VISITOR, Places
from panicast_receiver.web.tries import Tries, whose


@pytest.fixture
def clock():
    """A clock that a test sets, in a list."""
    return [1000.0]


@pytest.fixture
def counted(clock):
    return Tries(lambda: clock[0])


def wrong(counted, who, times=1):
    for _ in range(times):
        counted.wrong(who)


def test_one_may_be_wrong_a_few_times_and_then_waits_for_each(counted, clock):
    wrong(counted, "a", tries._EACH - 1)
    assert counted.wait_s("a") == 0.0
    wrong(counted, "a")
    assert counted.wait_s("a") == pytest.approx(tries._EACH_S) and counted.wait_s("b") == 0.0
    wrong(counted, "a")
    assert counted.wait_s("a") == pytest.approx(2 * tries._EACH_S)
    clock[0] += tries._EACH_S
    assert counted.wait_s("a") == pytest.approx(tries._EACH_S)
    clock[0] += tries._EACH_S
    assert counted.wait_s("a") == pytest.approx(0.0)


def test_who_was_away_for_long_may_be_wrong_no_more_often_than_others(counted, clock):
    wrong(counted, "a")
    clock[0] += 1_000_000
    wrong(counted, "a", tries._EACH)
    assert counted.wait_s("a") > 0


def test_all_together_wait_but_not_who_was_right_before(counted, clock):
    counted.right("known")
    for number in range(tries._ALL - 1):
        wrong(counted, f"stranger {number}")
    assert counted.wait_s("another") == 0.0
    # Who was right before counts by himself.
    wrong(counted, "known")
    assert counted.wait_s("another") == 0.0
    wrong(counted, "one more")
    assert counted.wait_s("another") == pytest.approx(tries._ALL_S)
    assert counted.wait_s("known") == 0.0 and counted.knows("known") and not counted.knows("another")
    clock[0] += tries._ALL_S
    assert counted.wait_s("another") == pytest.approx(0.0)


def test_a_right_try_is_a_new_beginning(counted):
    wrong(counted, "a", 2 * tries._EACH)
    counted.right("a")
    assert counted.wait_s("a") == 0.0


def test_no_more_is_remembered_than_fits(counted, monkeypatch):
    monkeypatch.setattr(tries, "_MOST", 3)
    for who in "abcde":
        wrong(counted, who, tries._EACH)
        counted.right(f"right {who}")
    # The last are remembered, of either kind.
    assert [who for who in "abcde" if counted.wait_s(who)] == ["c", "d", "e"]
    assert [who for who in "abcde" if counted.knows(f"right {who}")] == ["c", "d", "e"]
    counted.right("right c")
    counted.right("right f")
    assert counted.knows("right c") and not counted.knows("right d")


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        # Only a proxy on this machine is believed, and of what it says the last.
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.7", "198.51.100.7"),
        ("::1", "198.51.100.7", "198.51.100.7"),
        ("", " 198.51.100.7 ", "198.51.100.7"),
        ("127.0.0.1", "no address", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.5, unknown", "127.0.0.1"),
        ("", "", "nobody"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("fe80::1:2:3%eth0", "", "fe80::/64"),
        ("::ffff:192.0.2.1", "198.51.100.7", "192.0.2.1"),
    ],
)
def test_a_visitor_is_counted_by_his_network(peer, forwarded, who):
    assert whose(peer, forwarded) == who


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer x", "x"), ("bEARER  x ", "x"), ("Basic x", ""), ("x", ""), ("", ""), ("Bearerx", "")],
)
def test_a_token_in_a_header(header, token):
    assert bearer(header) == token


def test_a_place_is_taken_from_whoever_has_the_most_and_only_if_that_is_fairer():
    places, ended = Places(3), []

    def take(who, place):
        VISITOR.set(who)
        return places.take(place, lambda: ended.append(place))

    assert all(take("rich", place) for place in ("r1", "r2", "r3")) and len(places) == 3
    # Of the richest the oldest; then two have two and one, and nobody would be better off.
    assert take("poor", "p1") and ended == ["r1"]
    assert not take("poor", "p2") and not take("rich", "r4") and ended == ["r1"] and len(places) == 3
    assert take("third", "t1") and ended == ["r1", "r2"]
    assert not take("fourth", "f1")
    places.leave("t1")
    places.leave("t1")
    assert len(places) == 2 and take("fourth", "f1")
