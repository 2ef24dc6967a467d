# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a crash was delivered: the record of its frames, put together by the receiver's own code."""

from __future__ import annotations

from collections import Counter

import dpkt

from panicast_build.crash.cases import Case
from panicast_build.crash.guest import Outcome
from panicast_receiver.reassembly import Limits, Reassembler
from panicast_receiver.record import Instant, Record, Source
from panicast_receiver.wire import Drop, decode


def datagrams(frames: list[bytes]) -> list[bytes]:
    """The payloads of the UDP datagrams among Ethernet frames."""
    packets = (dpkt.ethernet.Ethernet(frame).data for frame in frames)
    udp = (packet.data for packet in packets if isinstance(packet, dpkt.ip.IP))
    return [datagram.data for datagram in udp if isinstance(datagram, dpkt.udp.UDP)]


def records(outcome: Outcome) -> list[Record]:
    """Every record that a guest has sent, complete or not."""
    reassembler = Reassembler(Limits(), Counter())
    found: list[Record] = []
    for datagram in datagrams(outcome.frames):
        if not isinstance(frame := decode(datagram), Drop):
            found += reassembler.feed(frame, Source(), Instant(0.0, 0))
    return found + reassembler.flush()


def fault(case: Case, outcome: Outcome) -> str:
    """What is wrong with how a crash was delivered, in words; "" if nothing."""
    panics = [record for record in records(outcome) if record.type == "panic"]
    if not panics:
        return "no record of a panic arrived"
    record = panics[0]
    if len(panics) > 1:
        return f"{len(panics)} records of one panic"
    if not record.complete:
        return f"the record of {record.frames} frames is not complete, though {len(outcome.frames)} came"
    text = b"".join(run.data for run in record.runs).decode(errors="replace")
    for wanted in ("Kernel panic - not syncing", "Call Trace:", case.says):
        if wanted not in text:
            return f"the record does not hold {wanted!r}"
    if case.says not in record.meta["reason"]:
        return f"the reason is {record.meta['reason']!r}"
    return "" if outcome.rebooted else "the machine did not reboot"
