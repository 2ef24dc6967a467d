# SPDX-License-Identifier: GPL-2.0-or-later
"""A crash counts as delivered only when its whole record came and the machine rebooted."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import dpkt
import pytest

from panicast_build.crash import verdict
from panicast_build.crash.cases import Case
from panicast_build.crash.guest import Frame, Outcome

VECTORS = json.loads((Path(__file__).parents[3] / "wire/vectors.json").read_text())
PANIC = next(vector for vector in VECTORS if vector["name"] == "panic of many frames")
CASE = Case(name="of the vectors", says=PANIC["meta"]["reason"])


def ethernet(payload: bytes) -> Frame:
    udp = dpkt.udp.UDP(sport=6665, dport=6664, data=payload, ulen=8 + len(payload))
    packet = dpkt.ip.IP(p=dpkt.ip.IP_PROTO_UDP, data=udp, len=28 + len(payload))
    return Frame(0.0, bytes(dpkt.ethernet.Ethernet(data=packet)))


FRAMES = [ethernet(bytes.fromhex(frame)) for frame in PANIC["frames"]]
NOISE = Frame(0.0, bytes(dpkt.ethernet.Ethernet(type=dpkt.ethernet.ETH_TYPE_ARP, data=bytes(28))))


def outcome(frames: list[Frame], *, rebooted: bool = True) -> Outcome:
    return Outcome(frames, "", rebooted, 1.0)


def test_what_a_silent_card_says_is_a_fault() -> None:
    case = Case(name=CASE.name, says=CASE.says, silent=1)
    hello = next(vector for vector in VECTORS if vector["name"] == "hello")
    spoken = [ethernet(bytes.fromhex(frame)) for frame in hello["frames"]]
    quiet = Outcome([*FRAMES, *FRAMES], "", True, 1.0, cards=(FRAMES, FRAMES))
    loud = Outcome([*FRAMES, *spoken], "", True, 1.0, cards=(FRAMES, spoken))
    assert verdict.fault(case, quiet) == ""
    assert verdict.fault(case, loud) == "card 1 is to be silent and said hello"


@pytest.mark.parametrize("kind", [dpkt.ip.IP, dpkt.ip6.IP6])
def test_a_record_that_went_to_another_or_by_another_is_a_fault(kind: type) -> None:
    address, mac = (
        ("192.0.2.7", "02:00:00:00:00:01") if kind is dpkt.ip.IP else ("2001:db8::7", "02:00:00:00:00:02")
    )
    family = socket.AF_INET if kind is dpkt.ip.IP else socket.AF_INET6

    def frames(address: str, mac: str) -> list[Frame]:
        made = []
        for payload in map(bytes.fromhex, PANIC["frames"]):
            udp = dpkt.udp.UDP(sport=6665, dport=6664, data=payload, ulen=8 + len(payload))
            packet = kind(p=17, data=udp, dst=socket.inet_pton(family, address))
            if kind is dpkt.ip6.IP6:
                packet.nxt, packet.plen = 17, udp.ulen
            else:
                packet.len = 20 + udp.ulen
            ethertype = 0x86DD if kind is dpkt.ip6.IP6 else 0x0800
            ethernet = dpkt.ethernet.Ethernet(
                dst=bytes.fromhex(mac.replace(":", "")), type=ethertype, data=packet
            )
            made.append(Frame(0.0, bytes(ethernet)))
        return made

    case = Case(name=CASE.name, says=CASE.says, to=(f"{address} {mac}",))
    other = {"192.0.2.7": "192.0.2.8", "2001:db8::7": "2001:db8::8"}[address]
    assert verdict.fault(case, outcome(frames(address, mac))) == ""
    for wrong in (frames(other, mac), frames(address, "02:00:00:00:00:03"), frames(address, mac)[:-1]):
        assert (
            verdict.fault(case, outcome(wrong)) == f"no whole record of a panic was sent to {address} {mac}"
        )


def test_what_is_to_be_heard_and_is_not_is_a_fault() -> None:
    case = Case(name=CASE.name, says=CASE.says, heard=("hello",))
    assert verdict.fault(case, outcome(FRAMES)) == "no record of type hello arrived"


def test_a_record_that_came_whole_is_delivered() -> None:
    assert verdict.fault(CASE, outcome([NOISE, *FRAMES, *FRAMES])) == ""


def test_of_a_machine_that_seals_an_unsealed_record_counts_for_nothing() -> None:
    sealing = Case(name=CASE.name, says=CASE.says, sealed=True)
    assert verdict.fault(sealing, outcome(FRAMES)) == "no record of a panic arrived"


def test_a_raw_frame_is_judged_by_its_text() -> None:
    text = b"<0>[    1.0] Kernel panic - not syncing: sysrq triggered crash\n<4>[    1.0] Call Trace:\n"
    packet = dpkt.ip.IP(p=255, data=text, len=20 + len(text), src=bytes(4), dst=b"\xff" * 4)
    raw = [Frame(0.0, bytes(dpkt.ethernet.Ethernet(src=b"\2" * 6, data=packet)))] * 2
    named = Case(name="raw", named="panic: sysrq triggered crash")
    assert verdict.fault(named, outcome(raw)) == ""
    assert "does not hold 'of another'" in verdict.fault(Case(name="raw", says="of another"), outcome(raw))


def test_a_record_without_parity_does_not_survive_the_loss_of_a_fifth() -> None:
    case = Case(name=CASE.name, says=CASE.says, lost=0.2)
    assert "records would be whole if 20% of the frames were lost" in verdict.fault(case, outcome(FRAMES))
    many = [frame for frame in FRAMES for _ in range(9)]
    assert verdict.fault(case, outcome([*many, NOISE])) == ""


def test_a_record_that_is_called_otherwise_is_a_fault() -> None:
    named = Case(name=CASE.name, says=CASE.says, named="panic: sysrq triggered crash")
    assert verdict.fault(named, outcome(FRAMES)) == ""
    other = Case(name=CASE.name, says=CASE.says, named="kernel BUG in somebody")
    assert verdict.fault(other, outcome(FRAMES)).endswith("not 'kernel BUG in somebody'")


@pytest.mark.parametrize(
    ("case", "seen", "fault"),
    [
        (CASE, outcome([NOISE]), "no record of a panic arrived"),
        (CASE, outcome(FRAMES[1:]), "the record of 6 frames is not complete, though 5 came"),
        (CASE, outcome(FRAMES, rebooted=False), "the machine did not reboot"),
        (Case(name="other", says="of another crash"), outcome(FRAMES), "does not hold 'of another crash'"),
        (Case(name="seen", shows=("a word",)), outcome(FRAMES), "the console does not show 'a word'"),
        (Case(name="beside", netconsole="a line"), outcome(FRAMES), "netconsole did not send 'a line'"),
    ],
    ids=["silence", "gap", "hang", "other", "unseen", "netconsole"],
)
def test_anything_less_is_a_fault(case: Case, seen: Outcome, fault: str) -> None:
    assert fault in verdict.fault(case, seen)


AT = Case(name="at-send", place="send", says="panics at send")
INSIDE = "Kernel panic - not syncing: panics at send\nCall Trace:\n card_send+0x1/0x2 [card]\n"


def test_a_panic_inside_a_driver_with_a_lock_may_have_no_record() -> None:
    silent = Outcome([], INSIDE, True, 1.0)
    assert verdict.fault(AT, silent, ["card"]) == "" and verdict.left_alone(AT, silent, ["card"])
    assert verdict.fault(AT, silent, ["other"]) == verdict.fault(AT, silent) == "no record of a panic arrived"
    assert verdict.fault(AT, Outcome([], INSIDE, False, 1.0), ["card"]) == "the machine did not reboot"


def test_where_only_panicast_comes_by_the_machine_reboots() -> None:
    twice = f"Kernel panic - not syncing: nobody came by send\n{INSIDE}"
    assert verdict.fault(AT, Outcome(FRAMES[1:], twice, True, 1.0)) == ""
    assert verdict.fault(AT, Outcome([], twice, False, 1.0)) == "the machine did not reboot"
    # Nobody at all: the list is wrong.
    once = twice.partition("\n")[0]
    assert "does not hold" in verdict.fault(AT, Outcome(FRAMES, once, True, 1.0))


def test_datagrams_end_where_the_packet_does_not_where_the_frame_is_padded() -> None:
    padded = Frame(0.0, ethernet(b"short").data + bytes(13))
    assert [datagram.data for datagram in verdict.datagrams([padded])] == [b"short"]
