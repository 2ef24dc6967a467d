# SPDX-License-Identifier: GPL-2.0-or-later
"""What the service takes it gives back, shares and counts: sockets, memory, and the time of others."""

import contextlib
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.capture import Read
from panicast_receiver.capture import sockets as packet_sockets
from panicast_receiver.capture.bpf import NOTHING
from panicast_receiver.capture.ring import RingCapture
from panicast_receiver.capture.udp import UdpCapture
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.service import committer as committer_module
from panicast_receiver.service import counts, listener, supervisor
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.service.listener import Listener
from panicast_receiver.settings import Settings
from panicast_receiver.wire.v1 import encode

from ..conftest import PATIENCE_S, wait_until
from ..db.test_store import raw_record

NOW = Instant(100.0, 1_700_000_000_000_000_000)
LARGE = replace(raw_record(b"x" * 4096), frames=9)


def sockets_open():
    """The sockets that this process has open."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(link.readlink()))
    return {one for one in found if one.startswith("socket:")}


def both_ports(port):
    settings = Settings({"listen": "127.0.0.1:0", "netconsole_port": port, "capture": "udp"})
    with contextlib.ExitStack() as stack:
        supervisor.hold_ports(settings, stack)


#: Ways to fail after something was opened.
WAYS = {
    "a port that is taken": lambda port: UdpCapture("127.0.0.1", port, [], 1 << 20),
    "the second port": both_ports,
    "no ring": lambda port: RingCapture(
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "lo", NOTHING, 1 << 20
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_whoever_fails_leaves_nothing_open(way):
    """Even while somebody still looks at the error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        before = sockets_open()
        with pytest.raises(ReceiverError) as caught:
            way(holder.getsockname()[1])
        assert sockets_open() == before
    assert caught.value


@pytest.mark.parametrize("capture", ["udp", "auto"])
def test_sockets_of_systemds_that_nobody_needs_are_closed(monkeypatch, capture):
    given = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    monkeypatch.setattr(packet_sockets, "given", lambda: given)

    def refused(given, ethertype):
        raise PermissionError

    monkeypatch.setattr(packet_sockets, "take", refused)
    settings = Settings({"listen": "127.0.0.1:0", "capture": capture})
    with contextlib.ExitStack() as stack:
        udps = supervisor.hold_ports(settings, stack)
        assert supervisor.open_captures(settings, udps, stack) == udps
    assert all(one.fileno() == -1 for one in (*given, *(udp._sock for udp in udps)))


def test_each_of_systemds_sockets_is_used_once_and_no_program_gets_it(monkeypatch):
    """A hook must not read what the service hears."""
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    first = 900
    for number, one in enumerate(made, first):
        os.dup2(one.fileno(), number, inheritable=True)
        one.close()
    monkeypatch.setattr(packet_sockets, "_FIRST", first)
    told = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": f"{packet_sockets.NAME}:x"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NOTIFY_SOCKET", "")
    given = packet_sockets.given()
    try:
        assert [one.fileno() for one in given] == [first]
        assert not os.get_inheritable(first) and not os.get_inheritable(first + 1)
        kind = given[0].getsockname()[1]
        assert packet_sockets.take(given, kind).fileno() == first and given == []
    finally:
        for number in (first, first + 1):
            with contextlib.suppress(OSError):
                os.close(number)


class Waiting:
    """A capture with so many packets to read, a few at a time."""

    name = "waiting"

    def __init__(self, packets, lost=0):
        self._packets, self._lost = packets, lost
        self.way = "udp"

    def read(self, intake, now):
        some = min(self._packets, 3)
        self._packets -= some
        intake.counts["packets"] += some
        return Read(some, [])

    def lost(self):
        return self._lost

    def fileno(self):
        return 0


def test_a_stop_takes_all_that_waits_in_every_socket(monkeypatch):
    monkeypatch.setattr(listener.sys, "setswitchinterval", lambda seconds: None)
    made = Listener([Waiting(10), Waiting(7)], Intake(Limits(), 60), Handoff())
    made._stopping = True
    monkeypatch.setattr(
        listener.selectors,
        "DefaultSelector",
        lambda: contextlib.nullcontext(SimpleNamespace(register=lambda *one: None)),
    )
    made.run()
    assert made.intake.counts["packets"] == 17


def test_every_capture_and_thread_is_counted():
    intake = Intake(Limits(), 60)
    handoff = Handoff()
    handoff.put([LARGE])
    intake.feed(Packet(encode("panic", b"b" * 16, 1, 5, "h", b"host=h\n", b"x")[0], Source()), NOW)
    made = Listener([Waiting(0, lost=3), Waiting(0, lost=4)], intake, handoff)
    some = {
        "committer": SimpleNamespace(counts={"new": 1}, trouble="no room"),
        "explainer": SimpleNamespace(counts={"bug": 2}),
        "answerer": SimpleNamespace(counts={"answered": 3}),
        "feeders": [SimpleNamespace(name=name, counts={"delivered": 4}) for name in "ab"],
    }
    found = counts.collect(made, **some)
    wanted = {
        **{"capture": ["udp"], "packets": {"packets": 1}, "lost": 7, "records": {"new": 1}},
        **{"tests": {"answered": 3}, "crashes": {"bug": 2}, "trouble": "no room", "in_flight": 1},
        "sinks": {"a": {"delivered": 4}, "b": {"delivered": 4}},
    }
    assert {key: found[key] for key in wanted} == wanted
    assert found["in_flight_bytes"] == intake.reassembler.memory > 0
    assert found["queue_bytes"] == handoff.bytes > 4096


def test_what_waits_and_what_arrives_share_the_memory_that_is_granted():
    intake = Intake(Limits(memory=20_000), 60)
    frames = [encode("panic", b"b" * 16, event, 5, "h", b"host=h\n", b"x" * 3000)[0] for event in range(4)]
    for frame in frames:
        intake.feed(Packet(frame, Source("52:54:00:12:34:56", "10.0.0.7")), NOW)
    handoff = Handoff(limit_bytes=6000)
    made = Listener([], intake, handoff)
    thread = threading.Thread(target=made._give, args=([LARGE] * 9,), daemon=True)
    made.beat_at = 0.0
    thread.start()
    # It waits once there is no more room.
    wait_until(lambda: made.beat_at)
    assert thread.is_alive() and handoff.bytes > 6000
    assert handoff.bytes - handoff.limit + intake.reassembler.memory <= 20_000
    made._balance()
    # What waits beyond its own limit is room that what arrives has not.
    assert intake.reassembler.reserved == handoff.bytes - handoff.limit
    handoff.abandon()
    thread.join(PATIENCE_S)


def test_what_takes_much_room_has_retention_look_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(committer_module, "LOOK_AFTER", 20)
    handoff, looks = Handoff(), []
    with contextlib.closing(Store(tmp_path)) as store:
        monkeypatch.setattr(store, "expire", lambda *how, **more: looks.append(how) or 0)
        thread = Committer(handoff, store)
        thread.start()
        wait_until(lambda: looks)
        handoff.put([replace(LARGE, identity=bytes([number]) * 20) for number in range(9)])
        wait_until(lambda: thread.counts["new"] == 9)
        assert len(looks) == 1
        handoff.put([raw_record(b"x" * (32768 * 12), identity=b"n" * 20)])
        wait_until(lambda: len(looks) > 1)
        # It is counted anew from then on.
        handoff.put([replace(LARGE, identity=b"m" * 20)])
        handoff.close()
        thread.join(PATIENCE_S)
        assert thread.counts["new"] == 11 and len(looks) == 2


def test_the_counters_of_a_service_that_ended_are_nobodys(serve, tmp_path):
    """Who looks within seconds after its end takes it for one that runs otherwise."""
    receiver = serve()
    wait_until(lambda: (tmp_path / "state/stats.json").exists())
    assert receiver.stop() == 0
    assert not (tmp_path / "state/stats.json").exists()


def test_a_burst_is_over_when_nothing_comes_any_more():
    """What is not urgent waits for that."""
    made = Listener([], Intake(Limits(), 60), Handoff())
    for second, packets, rate in ((10.0, 500, 500), (12.0, 700, 200), (14.0, 700, 0)):
        made.beat_at, made.intake.counts["packets"] = second, packets
        made._refresh()
        assert made.rate == rate
