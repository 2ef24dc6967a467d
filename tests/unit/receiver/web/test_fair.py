# SPDX-License-Identifier: GPL-2.0-or-later
"""However much one visitor asks for, the others are answered, and find a place."""

import asyncio
import threading
import time
from contextlib import ExitStack

from panicast_receiver.db.reader import Query
from panicast_receiver.db.store import Store
from panicast_receiver.web import fair, live
from panicast_receiver.web.fair import VISITOR, FairThreads, Places

from ..conftest import PATIENCE_S
from .website import website


async def asked(threads, who, work):
    """In a context of its own, as each request is."""
    VISITOR.set(who)
    return await threads.run(work)


def test_visitors_have_their_turns():
    """One asks for much; who comes after is answered after one more at most.

    With one thread: of two, the other may stand still for as long as the machine is busy.
    """
    done, go = [], threading.Event()

    def work(who):
        go.wait(PATIENCE_S)
        done.append(who)

    async def all_ask():
        threads = FairThreads(1, "test")
        tasks = [asyncio.create_task(asked(threads, "greedy", lambda: work("greedy"))) for _ in range(20)]
        await asyncio.sleep(0)
        tasks += [
            asyncio.create_task(asked(threads, who, lambda who=who: work(who))) for who in ("one", "two")
        ]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)
        threads.close()

    asyncio.run(all_ask())
    assert done.count("greedy") == 20
    assert {done.index("one"), done.index("two")} <= set(range(4)), done


def test_a_visitor_has_one_thing_done_at_a_time():
    """So that one thread is free for the next one, who would else wait for what takes long."""
    working, most = 0, 0

    async def all_ask():
        nonlocal most
        threads = FairThreads(4, "test")
        lock = threading.Lock()

        def work():
            nonlocal working, most
            with lock:
                working += 1
                most = max(most, working)
            time.sleep(0.001)
            with lock:
                working -= 1

        await asyncio.gather(*(asked(threads, "greedy", work) for _ in range(20)))
        threads.close()

    asyncio.run(all_ask())
    assert most == 1


def test_who_asks_for_too_much_at_once_is_told_so(monkeypatch):
    monkeypatch.setattr(fair, "_MOST_OF_ONE", 3)

    async def all_ask():
        threads = FairThreads(1, "test")
        tasks = [asyncio.create_task(asked(threads, "greedy", lambda: 1)) for _ in range(9)]
        other = asyncio.create_task(asked(threads, "other", lambda: 2))
        found = await asyncio.gather(*tasks, other, return_exceptions=True)
        threads.close()
        return found

    *found, other = asyncio.run(all_ask())
    assert other == 2 and found.count(1) in (3, 4)
    assert all(one == 1 or "wait for the answers" in str(one) for one in found)


def test_who_goes_while_waiting_leaves_no_thread_taken():
    async def all_ask():
        threads, go = FairThreads(1, "test"), threading.Event()
        first = asyncio.create_task(asked(threads, "first", lambda: go.wait(PATIENCE_S)))
        await asyncio.sleep(0)
        gone = [asyncio.create_task(asked(threads, who, lambda: 1)) for who in ("a", "b", "first")]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        go.set()
        await first
        answer = await asyncio.wait_for(asked(threads, "last", lambda: 3), PATIENCE_S)
        threads.close()
        return answer

    assert asyncio.run(all_ask()) == 3


def test_places():
    places, ended = Places(4), []

    def take(who, number):
        VISITOR.set(who)
        return places.take((who, number), lambda: ended.append((who, number)))

    assert all(take("rich", number) for number in range(4))
    # None is taken from oneself, or from who would then have less.
    assert not take("rich", 4)
    assert take("poor", 0) and take("poor", 1)
    assert ended == [("rich", 0), ("rich", 1)]
    assert not take("poor", 2)
    places.leave(("rich", 2))
    places.leave(("rich", 0))
    assert len(places) == 3 and take("new", 0)


def test_a_stream_ends_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "LASTS_S", 0.0)
    Store(tmp_path).close()

    async def listen():
        feed = live.Feed(tmp_path)
        stream = feed.join()
        found = [event async for event in feed.events(stream, Query(), await feed.newest())]
        feed.leave(stream)
        feed.stop()
        return found, feed.streams

    assert asyncio.run(listen()) == (["retry: 3000\nid: 0\n\n"], 0)


def test_who_keeps_all_streams_gives_one_to_the_next_visitor(tmp_path):
    Store(tmp_path).close()
    with website(tmp_path, "--web-proxy") as site, ExitStack() as stack:

        def listen(who):
            connection = site.connect()
            stack.callback(connection.close)
            connection.request("GET", f"{site.base}/api/v1/events", headers={"X-Forwarded-For": who})
            answer = connection.getresponse()
            return answer.status, answer

        streams = [listen("192.0.2.1") for _ in range(live.MOST_STREAMS)]
        assert {status for status, _ in streams} == {200}
        assert listen("192.0.2.1")[0] == 503
        status, _ = listen("192.0.2.2")
        assert status == 200
        # The oldest one has ended: there is an end to what it tells.
        assert streams[0][1].read().startswith(b"retry: ")
