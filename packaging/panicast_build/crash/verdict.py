# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides whether a crash was delivered: the receiver's own code makes the record from its frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_ntop

import dpkt

from panicast_build.crash.cases import KEY, KEY_ID, Case
from panicast_build.crash.guest import Frame, Outcome
from panicast_build.crash.loss import Loss, trials
from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.meaning import understand
from panicast_receiver.records.record import Instant, Record, Source
from panicast_receiver.wire.sealing import SharedKey

PANIC_LINE = "Kernel panic - not syncing"
# x86 and arm64.
CALL_TRACE = re.compile("Call [Tt]race:")
# How kernels begin to complain: lockdep, KASAN, kmemleak, and everything else that warns.
COMPLAINT = re.compile(r"^.*(?:WARNING: |BUG: |INFO: |unreferenced object).*$", re.MULTILINE)
NETCONSOLE_PORT = 6666
# What this long after its like came again is a new record: longer than any guest lives.
RAW_WINDOW_SECONDS = 3600.0
# The share of records that must be whole where frames are lost.
SURVIVES = 0.995


def ip_packets(frames: Iterable[Frame]) -> list[dpkt.ip.IP]:
    """Returns the IPv4 packets among Ethernet frames."""
    inside = (dpkt.ethernet.Ethernet(frame.data).data for frame in frames)
    return [packet for packet in inside if isinstance(packet, dpkt.ip.IP)]


def datagrams(frames: Iterable[Frame]) -> list[dpkt.udp.UDP]:
    """Returns the UDP datagrams among Ethernet frames."""
    return [packet.data for packet in ip_packets(frames) if isinstance(packet.data, dpkt.udp.UDP)]


def captured(frames: Iterable[Frame]) -> list[Packet]:
    """Returns the packets that the receiver's captures make from frames."""
    packets = []
    for frame in frames:
        udp = datagrams([frame])
        packets.append(Packet(udp[0].data if udp else frame.data, Source(), ethernet=not udp))
    return packets


def records(frames: Iterable[Frame], sealed: bool = False) -> list[Record]:
    """Returns every record that a guest has sent, complete or not, as the receiver makes them. For
    a case that seals, returns only sealed ones."""
    return received(captured(frames), sealed)


def received(packets: Iterable[Packet], sealed: bool = False) -> list[Record]:
    """Returns the records that the receiver makes from packets, complete or not."""
    intake, now = Intake(Limits(), RAW_WINDOW_SECONDS), Instant(0.0, 0)
    intake.keys, intake.require_sealed = {KEY_ID: SharedKey(KEY)}, sealed
    return [record for packet in packets for record in intake.feed(packet, now)] + intake.reassembler.flush()


def of_panics(frames: Iterable[Frame]) -> list[Frame]:
    """Returns the frames of version 1 that are part of a panic's record."""
    return [
        frame
        for frame in frames
        if datagrams([frame]) and any(record.type == "panic" for record in records([frame]))
    ]


def complete(parts: Iterable[Iterable[Frame]], loss: Loss) -> float:
    """Returns the share of records, 0 to 1, that the receiver completes of a record's frames. They
    leave in parts."""
    found = [received(came) for came in trials([captured(part) for part in parts], loss)]
    return sum(bool(records) and records[0].complete for records in found) / len(found)


def _netconsole_said(text: bytes, frames: Iterable[Frame]) -> bool:
    return any(udp.dport == NETCONSOLE_PORT and text in udp.data for udp in datagrams(frames)) or not text


def _largest(frames: Iterable[Frame]) -> int:
    """Returns the bytes of the largest IPv4 packet that holds a UDP datagram."""
    return max((packet.len for packet in ip_packets(frames) if packet.p == dpkt.ip.IP_PROTO_UDP), default=0)


def _sent(frames: Iterable[Frame], address: str, mac: str) -> list[Frame]:
    """Returns those frames that are for this address and, on their way there, for this MAC
    address."""
    kind, family = (dpkt.ip6.IP6, AF_INET6) if ":" in address else (dpkt.ip.IP, AF_INET)
    found = []
    for frame in frames:
        ethernet = dpkt.ethernet.Ethernet(frame.data)
        packet = ethernet.data
        if ethernet.dst.hex(":") == mac and isinstance(packet, kind):
            found += [frame] if inet_ntop(family, packet.dst) == address else []
    return found


def crashed_itself(case: Case, outcome: Outcome) -> bool:
    """Tells whether only panicast called the case's function, and so panicked there itself."""
    said = (f"nobody came by {case.place}", f"panics at {case.place}")
    return bool(case.place) and all(words in outcome.console for words in said)


def left_alone(case: Case, outcome: Outcome, drivers: Sequence[str]) -> bool:
    """Tells whether the panic was in one of these drivers, which have locks of their own, and sent
    no record."""
    trace = outcome.console.partition(PANIC_LINE)[2]
    inside = any(f"[{driver}]" in trace for driver in drivers)
    return inside and not any(record.type == "panic" for record in records(outcome.frames, case.sealed))


def fault(case: Case, outcome: Outcome, drivers: Sequence[str] = ()) -> str:
    """Says in words what is wrong with how a crash was delivered; "" if nothing is. drivers are the
    card's drivers with a lock of their own: a panic in one of them may have no record."""
    if outcome.rebooted == (case.panic == 0):
        return "the machine did not reboot" if case.panic else "the machine rebooted"
    before = outcome.console.partition(PANIC_LINE)[0]
    if case.clean and (complaint := COMPLAINT.search(before)):
        return f"the kernel complained: {complaint[0]}"
    for shown in case.shows:
        if shown not in outcome.console:
            return f"the console does not show {shown!r}"
    for hidden in case.hides:
        if hidden in outcome.console:
            return f"the console shows {hidden!r}"
    if not _netconsole_said(case.netconsole.encode(), outcome.frames):
        return f"netconsole did not send {case.netconsole!r}"
    found = records(outcome.frames, case.sealed)
    oopses = [record for record in found if record.type == "oops" and record.complete]
    if case.oops and not any(case.oops in record.meta["reason"] for record in oopses):
        return f"of {case.oops!r} no whole record arrived"
    if missing := set(case.heard) - {record.type for record in found}:
        return f"no record of type {', '.join(sorted(missing))} arrived"
    hellos = [record.metadata or b"" for record in found if record.type == "hello"]
    if case.greets and not any(case.greets in words.decode().splitlines() for words in hellos):
        return f"no hello says {case.greets!r}"
    if case.largest and (size := _largest(outcome.frames)) > case.largest:
        return f"a packet has {size} bytes, which is more than {case.largest}"
    if case.silent and (said := {record.type for record in records(outcome.cards[case.silent])} - {"panic"}):
        return f"card {case.silent} is to be silent and said {', '.join(sorted(said))}"
    for pair in case.to:
        sent = records(_sent(outcome.frames, *pair.split()), case.sealed)
        if not any(record.type == "panic" and record.complete for record in sent):
            return f"no whole record of a panic was sent to {pair}"
    panics = [record for record in found if record.type == "panic"]
    if case.record == "any" or crashed_itself(case, outcome):
        return ""
    if case.record == "none":
        return "a record of a panic arrived" if panics else ""
    if case.place and left_alone(case, outcome, drivers):
        return ""
    if not panics:
        return "no record of a panic arrived"
    record = panics[0]
    if len(panics) > 1:
        return f"{len(panics)} records of one panic"
    if not record.complete:
        return f"the record of {record.frames} frames is not complete, though {len(outcome.frames)} came"
    if case.lost and (share := complete([of_panics(outcome.frames)], Loss(case.lost))) < SURVIVES:
        return f"only {share:.1%} of the records would be whole if {case.lost:.0%} of the frames were lost"
    text = b"".join(run.data for run in record.runs).decode(errors="replace")
    if not CALL_TRACE.search(text):
        return "the record does not hold a call trace"
    for wanted in (PANIC_LINE, case.says, *case.holds):
        if wanted not in text:
            return f"the record does not hold {wanted!r}"
    # Raw frames have nothing but text.
    reason = record.meta.get("reason", "")
    if case.says not in reason and record.format != "raw":
        return f"the reason is {reason!r}"
    title = understand(record.marked_text.decode(errors="replace"), reason).title
    return f"it is called {title!r}, not {case.named!r}" if case.names and title not in case.names else ""
