# SPDX-License-Identifier: GPL-2.0-or-later
"""The ring and its filter in the real kernel: what comes in, what is counted, interfaces that come and go."""

import json
import os
import subprocess
import sys

import pytest

from panicast_receiver.capture.bpf import programs_for

from ..conftest import PATIENCE_S, udp_frame

SETUP = (
    "ip link set lo up && ip link add pc-a type veth peer name pc-b && ip link set pc-a up && "
    'ip link set pc-b up && exec "$@"'
)
SENDER = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("pc-b", 0))
for frame in sys.stdin.read().split():
    s.send(bytes.fromhex(frame))
"""
TAG = bytes.fromhex("81000064")


@pytest.fixture
def inside(serve):
    """The service in a network namespace of its own, listening by a ring."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    receiver = serve(
        *("--interface", "pc-a,lo", "--capture", "ring", "--receive-buffer-mib", "8", "--idle-s", "30"),
        prefix=("unshare", "--net", "sh", "-c", SETUP, "sh"),
    )
    enter = ("nsenter", f"--net=/proc/{receiver.process.pid}/ns/net")

    def run(*argv, **more):
        subprocess.run([*enter, *argv], check=True, timeout=PATIENCE_S, **more)

    def send(*frames):
        run(sys.executable, "-c", SENDER, input="\n".join(frame.hex() for frame in frames), text=True)

    receiver.run, receiver.send_frames = run, send
    return receiver


def frames_to(receiver, datagrams, **more):
    """Ethernet frames to the address and port at which the service listens."""
    made = [udp_frame(data, port=receiver.port, **more) for data in datagrams]
    return [frame[:30] + bytes([127, 0, 0, 1]) + frame[34:] for frame in made]


def counted(receiver):
    """The last line of counters."""
    assert receiver.stop() == 0
    return [line for line in receiver.log if line.startswith("packets ")][-1]


def test_tags_options_padding_and_what_is_not_ours(inside, cli, big):
    plain = frames_to(inside, big["frames"])
    tagged = [frame[:12] + TAG + frame[12:] for frame in plain]
    options = frames_to(inside, big["frames"][:1], options=b"\x01" * 8)
    padded = frames_to(inside, big["frames"][5:], tail=b"\xee" * 7)
    other_port = [udp_frame(big["frames"][0], port=9)]
    elsewhere = [udp_frame(big["frames"][0], port=inside.port)]
    fragment = [frame[:20] + b"\x00\x01" + frame[22:] for frame in plain[:1]]
    lying = [plain[3][:-100]]
    inside.send_frames(*options, tagged[1], plain[2], *lying, plain[3], *other_port, *elsewhere, *fragment)
    inside.send_frames(plain[2], *padded, tagged[4])
    inside.wait_for("record .* panic from .* \\(6 frames, complete\\)")
    line = counted(inside)
    assert "packets 8; duplicate 1; records new 1; truncated 1" in line
    (found,) = json.loads(cli("list", "--json").stdout)
    assert cli("show", found["id"], "--raw", text=False).stdout == big["text"].encode()
    assert found["source"]["iface"] == "pc-a" and found["source"]["ip"] == "10.0.0.7"


def test_several_interfaces_fill_one_record(inside, cli, big):
    inside.send_frames(*frames_to(inside, big["frames"][:3]))
    sender = "import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    sender += f"[s.sendto(bytes.fromhex(f), ('127.0.0.1', {inside.port})) for f in sys.stdin.read().split()]"
    rest = "\n".join(frame.hex() for frame in big["frames"][3:])
    inside.run(sys.executable, "-c", sender, input=rest, text=True)
    inside.wait_for("\\(6 frames, complete\\)")


def test_an_interface_that_went_and_came_again_is_heard(inside, big):
    inside.run("ip", "link", "del", "pc-a")
    inside.wait_for("packet ring .*pc-a: ENETDOWN")
    inside.run("sh", "-c", SETUP.replace('exec "$@"', "true").replace("ip link set lo up && ", ""))
    inside.wait_for("packet ring .*pc-a: heard again")
    inside.send_frames(*frames_to(inside, big["frames"]))
    inside.wait_for("\\(6 frames, complete\\)")


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("address", ["0.0.0.0", "10.1.2.3", "::", "2001:db8::1"])
def test_every_way_through_the_filter_ends_inside_it(raw, address):
    ends = {0x06, 0x16}
    for program in programs_for(address, [6664, 6666], raw).values():
        for number, (code, true, false, _) in enumerate(program):
            if code not in ends:
                assert max(number + 1 + true, number + 1 + false) < len(program)
