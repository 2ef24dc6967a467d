# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 in the real kernel: by the ring with its filter, by a UDP socket, beside IPv4, without IPv6."""

import json
import os
import socket
import subprocess
import sys

import pytest

from panicast_receiver.capture import udp

from ..conftest import PATIENCE_S, udp_frame
from ..ipv6 import FRAGMENT, HOP_BY_HOP, MAC, OPTIONS, RECEIVER, SENDER, ipv6_frame

CARD = "52:54:00:00:00:01"
#: The vectors' frames are as long as IPv4 lets them be. nodad: an address that is looked for first cannot be
#: used at once.
SETUP = (
    f"ip link set lo up && ip link add pc-a address {CARD} mtu 2000 type veth peer name pc-b mtu 2000 && "
    f'ip link set pc-a up && ip link set pc-b up && ip -6 addr add {RECEIVER}/64 dev pc-a nodad && exec "$@"'
)
SENDER_PROGRAM = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("pc-b", 0))
for frame in sys.stdin.read().split():
    s.send(bytes.fromhex(frame))
"""
LOCAL_PROGRAM = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for datagram in sys.stdin.read().split():
    s.sendto(bytes.fromhex(datagram), (sys.argv[1], int(sys.argv[2])))
"""
OPTION = b"\0\1\4" + bytes(4)


@pytest.fixture
def inside(serve):
    """Starts the service in a network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")

    def start(*flags):
        receiver = serve(
            *("--receive-buffer-mib", "8", "--idle-s", "30", *flags),
            prefix=("unshare", "--net", "sh", "-c", SETUP, "sh"),
        )
        enter = ("nsenter", f"--net=/proc/{receiver.process.pid}/ns/net")

        def run(*argv, lines):
            text = "\n".join(line.hex() for line in lines)
            subprocess.run([*enter, *argv], check=True, timeout=PATIENCE_S, input=text, text=True)

        receiver.send_frames = lambda *frames: run(sys.executable, "-c", SENDER_PROGRAM, lines=frames)
        receiver.send_locally = lambda to, datagrams: run(
            sys.executable, "-c", LOCAL_PROGRAM, to, str(receiver.port), lines=datagrams
        )
        return receiver

    return start


def counted(receiver):
    """The last line of counters."""
    assert receiver.stop() == 0
    return [line for line in receiver.log if line.startswith("packets ")][-1]


def to_card(frame):
    """The frame to the card's own address, so that the IP stack takes it too."""
    return bytes.fromhex(CARD.replace(":", "")) + frame[6:]


@pytest.mark.parametrize("listen", ["[::]:0", f"[{RECEIVER}]:0"])
def test_the_ring_hears_ours_alone(inside, cli, big, listen):
    receiver = inside("--interface", "pc-a", "--capture", "ring", "--listen", listen)
    plain = [ipv6_frame(data, receiver.port) for data in big["frames"]]
    extended = ipv6_frame(
        big["frames"][1], receiver.port, extensions=[(HOP_BY_HOP, OPTION), (OPTIONS, OPTION)]
    )
    tagged = ipv6_frame(big["frames"][2], receiver.port, tags=bytes.fromhex("81000064"))
    spoiled = plain[3][:-1] + bytes([plain[3][-1] ^ 1])
    others = [
        ipv6_frame(big["frames"][3], 9),
        ipv6_frame(big["frames"][3], receiver.port, extensions=[(FRAGMENT, bytes(7))]),
        ipv6_frame(big["frames"][3], receiver.port, extensions=[(OPTIONS, OPTION)] * 5),
        # Multicast listener reports look like this.
        ipv6_frame(big["frames"][3], receiver.port, extensions=[(HOP_BY_HOP, OPTION), (58, OPTION)]),
    ]
    receiver.send_frames(plain[0], extended, tagged, spoiled, *others, *plain[3:], plain[4])
    receiver.wait_for("record .* panic from .* \\(6 frames, complete\\)")
    line = counted(receiver)
    assert "bad UDP checksum 1" in line and "duplicate 1" in line and "packets 8;" in line, line
    (found,) = json.loads(cli("list", "--json").stdout)
    assert cli("show", found["id"], "--raw", text=False).stdout == big["text"].encode()
    assert found["source"] == {"mac": MAC.hex(":"), "ip": SENDER, "iface": "pc-a"}
    assert SENDER in cli("show", found["id"]).stdout


def test_an_address_hears_nothing_of_another(inside, big):
    receiver = inside("--interface", "pc-a", "--capture", "ring", "--listen", f"[{RECEIVER}]:0")
    receiver.send_frames(*(ipv6_frame(data, receiver.port, to="2001:db8::2") for data in big["frames"]))
    receiver.send_frames(*(ipv6_frame(data, receiver.port) for data in big["frames"]))
    receiver.wait_for("\\(6 frames, complete\\)")
    assert "packets 6;" in counted(receiver)


@pytest.mark.parametrize("capture", ["ring", "udp"])
def test_both_kinds_of_addresses_are_heard_and_shown(inside, cli, vectors, capture):
    receiver = inside("--interface", "pc-a", "--capture", capture, "--listen", "[::]:0", "--no-raw-frames")
    first, second = [vector for vector in vectors if not vector["key"] and vector["count"] > 1][:2]
    old = [udp_frame(data, receiver.port) for data in first["frames"]]
    # The namespace has no IPv4 address: a broadcast is for everybody, whoever sends it.
    receiver.send_frames(*old)
    receiver.send_frames(*(to_card(ipv6_frame(data, receiver.port)) for data in second["frames"]))
    receiver.wait_for(f"record .* \\({second['count']} frames, complete\\)")
    assert receiver.stop() == 0
    found = json.loads(cli("list", "--all", "--json").stdout)
    heard = {record["source"]["ip"] for record in found}
    assert SENDER in heard
    assert capture == "udp" or heard == {SENDER, "10.0.0.7"}


def test_what_this_machine_sends_has_no_checksum_yet(inside, big):
    receiver = inside("--interface", "lo", "--capture", "ring", "--listen", "[::]:0")
    receiver.send_locally("::1", big["frames"])
    receiver.wait_for("\\(6 frames, complete\\)")


def test_a_udp_socket_tells_ipv4_addresses_as_ever(inside, cli, big):
    receiver = inside("--capture", "udp", "--listen", "[::]:0")
    receiver.send_locally("::ffff:127.0.0.1", big["frames"])
    receiver.wait_for("\\(6 frames, complete\\)")
    assert receiver.stop() == 0
    (found,) = json.loads(cli("list", "--json").stdout)
    assert (found["source"]["ip"], found["source"]["iface"]) == ("127.0.0.1", "lo")


def test_a_kernel_without_ipv6_hears_ipv4(monkeypatch):
    real = socket.socket

    def without(family, *rest):
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(udp.socket, "socket", without)
    capture = udp.UdpCapture("::", 0, "", 1 << 20)
    try:
        assert capture.name == f"UDP 0.0.0.0:{capture.port}"
    finally:
        capture.close()
    with pytest.raises(udp.ReceiverError, match="cannot listen on ::1: this kernel has no IPv6"):
        udp.UdpCapture("::1", 0, "", 1 << 20)
