# SPDX-License-Identifier: GPL-2.0-or-later
"""netconsole's two formats: lines around a panic become one record."""

import json
import socket

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.netconsoleruns import BEFORE, TOGETHER
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.meaning import understand
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.wire.netconsole import Message, parse_netconsole, take_apart

from ..conftest import OWN_PORT, own_address, udp_frame

HERE = Source(mac="52:54:00:12:34:56", ip="10.0.0.7", iface="eth0")
NOW = Instant(100.0, 1_700_000_000_000_000_000)
LATER = Instant(106.0, NOW.wall_ns)
PORT = 6666
PLAIN = [
    b"[    8.000000] usb 1-1: new device\n",
    b"[    9.000000] Kernel panic - not syncing: sysrq triggered crash\n",
    b"[    9.000100] Call Trace:\n",
    b"[    9.000200]  sysrq_handle_crash+0x16/0x20\n",
]
EXTENDED = [
    b"6.1.0-56-amd64,6,440,8000000,-;usb 1-1: new device\n SUBSYSTEM=usb\n DEVICE=c189:2\n",
    b"6.1.0-56-amd64,0,441,9000000,-,caller=T1;Kernel panic - not syncing: sysrq triggered crash\n",
    b"6.1.0-56-amd64,4,442,9000100,-,ncfrag=0/11;Call ",
    b"6.1.0-56-amd64,4,442,9000100,-,ncfrag=5/11;Trace:",
    b"6.1.0-56-amd64,4,443,9000200,-; sysrq_handle_crash+0x16/0x20\n",
]
TEXT = (
    b"<6>[    8.000000] usb 1-1: new device\n"
    b"<0>[    9.000000][    T1] Kernel panic - not syncing: sysrq triggered crash\n"
    b"<4>[    9.000100] Call Trace:\n"
    b"<4>[    9.000200]  sysrq_handle_crash+0x16/0x20\n"
)


def fed(datagrams, source=HERE, intake=None):
    """What becomes of datagrams of netconsole after a while of silence."""
    intake = intake or Intake(Limits(), 60, netconsole_port=PORT)
    early = [r for data in datagrams for r in intake.feed(Packet(data, source, port=PORT), NOW)]
    return early + intake.tick(LATER)


def test_plain_lines_become_one_record():
    (record,) = fed(PLAIN)
    assert record.received_text == b"".join(PLAIN) and record.complete
    assert (record.format, record.type, record.reason) == ("netconsole", "panic", "sysrq triggered crash")
    assert understand(record.received_text.decode()).trace == ("sysrq_handle_crash",)
    assert record.source == HERE


@settings(deadline=None)
@given(st.permutations(EXTENDED), st.lists(st.sampled_from(EXTENDED), max_size=4))
def test_extended_messages_are_put_in_order_once(order, extra):
    (record,) = fed([*order, *extra])
    assert record.received_text == TEXT
    assert record.meta == {"release": "6.1.0-56-amd64", "SUBSYSTEM": "usb", "DEVICE": "c189:2"}
    assert record.complete


def test_what_is_missing_is_said():
    (record,) = fed(EXTENDED[1:2] + EXTENDED[4:])
    assert b"crash\n[panicast: 1 messages missing]\n<4>[    9.000200]" in record.received_text
    assert not record.complete and record.meta["lost_messages"] == "1"


def test_of_a_message_that_lacks_a_piece_the_others_are_kept():
    """When the sender falls silent, or when newer ones take its place."""
    (record,) = fed([*EXTENDED[:3], *EXTENDED[4:]])
    assert b"<4>[    9.000100] Call [panicast: 6 bytes missing]\n" in record.received_text
    assert not record.complete and record.meta["lost_messages"] == "1"
    many = [b"6,%d,1,-,ncfrag=0/9;x" % number for number in range(40)]
    (record,) = fed([*many, b"0,40,2,-;Kernel panic - not syncing: y\n"])
    assert record.received_text.count(b"x[panicast: 8 bytes missing]\n") == 40


ADDED = b" rack=r7\n cpu=3\n taskname=kworker/3:1\n release=7.3.0\n msgid=%d\n"


def test_what_the_administrator_and_the_kernel_add_are_facts_of_the_panic():
    datagrams = [
        b"6,500,1,-;before\n cpu=1\n" + ADDED.split(b"\n", 2)[2] % ((1 << 32) - 1),
        b"0,510,2,-;Kernel panic - not syncing: x\n" + ADDED % 0,
        b"6,511,3,-;after\n cpu=9\n msgid=1\n",
    ]
    (record,) = fed(datagrams)
    wanted = {"rack": "r7", "cpu": "3", "taskname": "kworker/3:1", "release": "7.3.0", "msgid": "0"}
    assert record.meta == wanted and record.complete
    assert b"missing" not in record.received_text and b"cpu" not in record.received_text
    # The log's numbers left some out; the numbers of what was sent say that one is missing.
    (record,) = fed([datagrams[1], b"6,511,3,-;after\n msgid=2\n"])
    assert record.meta["lost_messages"] == "1" and b"[panicast: 1 messages missing]" in record.received_text
    # The numbers of what was sent begin anew after the last one of 32 bits.
    (record,) = fed([datagrams[0], b"0,511,3,-;Kernel panic - not syncing: x\n msgid=1\n"])
    assert record.meta["lost_messages"] == "1"
    (record,) = fed([b"0,1,1,-;Kernel panic - not syncing: x\n rack=" + b"r" * 5000 + b"\n"])
    assert 64 <= len(record.meta["rack"]) <= 1024


def test_pieces_count_as_memory_and_who_makes_up_senders_pushes_out_none_of_the_others():
    """150,000 of them once took 223 MiB, of which none was counted."""
    intake = Intake(Limits(), 60, netconsole_port=PORT)
    for line in [*PLAIN[:1] * 5, *PLAIN[1:]]:
        intake.feed(Packet(line, HERE, port=PORT), NOW)
    for number in range(60_000):
        source = HERE._replace(
            ip=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", mac="02:00:00:00:00:01"
        )
        intake.feed(Packet(b"6,1,1,-,ncfrag=0/70000;" + b"x" * 900, source, port=PORT), NOW)
    assert intake._netconsole._size <= TOGETHER
    assert len(intake._netconsole._new) < 20_000
    (record,) = intake.tick(LATER)
    assert record.received_text == b"".join([*PLAIN[:1] * 5, *PLAIN[1:]])
    assert not any(run.fragments for run in intake._netconsole._new.values())
    intake.flush()
    assert intake._netconsole._size == 0


def test_without_a_panic_there_is_no_record():
    intake = Intake(Limits(), 60, netconsole_port=PORT)
    before = [b"[    8.%06d] usb 1-1: new device\n" % number for number in range(5000)]
    assert fed(before, intake=intake) == []
    (record,) = fed(PLAIN[1:], intake=intake)
    assert BEFORE / 8 < len(record.received_text) <= BEFORE + 1000
    # What led to it is there, without a gap; the oldest is forgotten.
    assert b"".join([*before, *PLAIN[1:]]).endswith(record.received_text)


def test_senders_are_kept_apart_and_their_memory_is_bounded():
    intake = Intake(Limits(), 60, netconsole_port=PORT)
    records = fed(PLAIN, intake=intake)
    line = b"[    1.0] " + b"x" * 900 + b"\n"
    for number in range(1100):
        source = HERE._replace(ip=f"10.0.{number >> 8}.{number & 255}")
        for _ in range(65):
            records += intake.feed(Packet(line, source, port=PORT), NOW)
    assert intake._netconsole._size <= TOGETHER
    assert len(records) == 1 and intake.counts["netconsole senders forgotten for room"] > 0


def test_through_the_ring_and_only_when_asked_for():
    frames = [udp_frame(data, port=PORT) for data in PLAIN]
    for port, wanted in ((PORT, 1), (0, 0)):
        intake = Intake(Limits(), 60, netconsole_port=port)
        for frame in frames:
            intake.feed(Packet(frame, Source(), ethernet=True), NOW)
        assert len(intake.flush()) == wanted


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        (b"hello\n", Message(b"hello\n")),
        (b"6,1,2,-;x\n", Message(b"x\n", 1, "", b"<6>[    0.000002] ", 0, 2)),
        (b"6.4.0,6,444,501151268,-;x", Message(b"x", 444, "6.4.0", b"<6>[  501.151268] ", 0, 1)),
        (b"6.4\xff,6,1,2,-;x", Message(b"x", 1, "6.4\ufffd", b"<6>[    0.000002] ", 0, 1)),
        (b"6,1,2,-,ncfrag=x/y;z", Message(b"z", 1, "", b"<6>[    0.000002] ", 0, 1)),
        (b"", None),
        (b"x" * 9000, None),
    ],
)
def test_datagrams(datagram, message):
    assert parse_netconsole(datagram) == message


@pytest.mark.parametrize("text", [b"XX", b"x  ", b"a\tb", b"\xff", b""])
def test_a_text_is_taken_as_it_is_but_for_its_newline(text):
    assert take_apart(b"<6>[    0.000002] ", text + b"\n")[0] == b"<6>[    0.000002] " + text + b"\n"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=80)
        | st.builds(
            lambda s, o, t, d: b"6,%d,1,-,ncfrag=%d/%d;" % (s, o, t) + d,
            st.integers(0, 5),
            st.integers(0, 60),
            st.integers(0, 60),
            st.binary(max_size=40),
        ),
        max_size=40,
    )
)
def test_nothing_raises(datagrams):
    # Hypothesis takes words of the sources too, this one among them.
    assume(not any(b"missing]" in datagram for datagram in datagrams))
    for record in fed([*datagrams, PLAIN[1]]):
        assert (
            record.complete
            == ("lost_messages" not in record.meta)
            == (b"missing]" not in record.received_text)
        )


def test_over_a_real_socket(serve, cli):
    address, port = own_address(), OWN_PORT
    receiver = serve("--listen", f"{address}:0", "--netconsole-port", str(port), "--idle-s", "1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in EXTENDED:
            sock.sendto(data, (address, port))
    receiver.wait_for("record .* panic from .*: sysrq triggered crash")
    assert receiver.stop() == 0
    (record,) = json.loads(cli("list", "--json").stdout)
    assert (record["format"], record["release"], record["complete"]) == ("netconsole", "6.1.0-56-amd64", True)
