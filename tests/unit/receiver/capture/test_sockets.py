# SPDX-License-Identifier: GPL-2.0-or-later
"""The service has a ring without any right: its packet sockets are made before. A script plays systemd."""

import contextlib
import errno
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from panicast_receiver.capture import sockets

UNIT = Path(__file__).parents[4] / "receiver/dist/panicast-receiver.service"
#: Keeps what the first command leaves, then becomes the rest of its arguments with it, without CAP_NET_RAW.
AS_SYSTEMD = """
import os, socket, subprocess, sys
place = sys.argv[1]
systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
systemd.bind(place)
os.environ["NOTIFY_SOCKET"] = place
first = subprocess.Popen([sys.executable, "-m", "panicast_receiver", "sockets"])
# Those of a start before, which did not take them.
assert systemd.recv(4096) == b"FDSTOREREMOVE=1\\nFDNAME=packet"
said, kept, _, _ = socket.recv_fds(systemd, 4096, 100)
assert said == b"FDSTORE=1\\nFDNAME=packet", said
said, barrier, _, _ = socket.recv_fds(systemd, 4096, 100)
assert said == b"BARRIER=1" and first.poll() is None, said
os.close(*barrier)
assert first.wait() == 0
# Those that it keeps may be the descriptors that it hands on as others.
high = [os.dup2(number, 200 + at) for at, number in enumerate(kept)]
os.dup2(systemd.fileno(), 199)
os.closerange(3, 199)
for at, number in enumerate(high):
    os.dup2(number, 3 + at)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(kept))}
os.environ["LISTEN_FDNAMES"] = ":".join(["packet"] * len(kept))
os.closerange(200, 300)
os.execvp("setpriv", ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *sys.argv[2:]])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes packet sockets")
def test_the_service_hears_by_a_ring_without_a_right(serve, big, tmp_path):
    prefix = (sys.executable, "-c", AS_SYSTEMD, str(tmp_path / "systemd"))
    receiver = serve("--interface", "lo", "--capture", "ring", "--listen", "[::]:0", prefix=prefix)
    process = Path("/proc") / str(receiver.process.pid)
    capabilities = int(re.search("CapBnd:\t(.*)", (process / "status").read_text()).group(1), 16)
    assert not capabilities & 1 << 13, "the service may make packet sockets itself"
    receiver.send(big["frames"])
    receiver.wait_for(r"\(6 frames, complete\)")
    # Two are the rings'; the others are closed.
    inodes = {line.split()[-1] for line in (process / "net/packet").read_text().splitlines()[1:]}
    links = set()
    for link in (process / "fd").iterdir():
        # A file of the database may be closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            links.add(str(link.readlink()))
    assert len({link for link in links if link[8:-1] in inodes}) == 2, links
    assert receiver.stop() == 0


def test_nobody_else_takes_what_is_not_its_own(monkeypatch):
    """A program that the service, or whoever was handed something, begins."""
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", sockets.NAME)
    assert sockets.given() == []
    assert not {name for name in os.environ if name.startswith("LISTEN_")}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EAFNOSUPPORT], ids=errno.errorcode.get)
def test_whoever_keeps_the_service_from_a_ring_does_not_keep_it_from_hearing(monkeypatch, number):
    """CAP_NET_RAW, and what the unit restricts: the first command may have failed."""

    def refused(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(PermissionError):
        sockets.make()


def test_without_systemd_the_command_says_what_it_is_for(cli):
    done = cli("sockets", state_dir=None, env={"NOTIFY_SOCKET": ""})
    assert done.returncode == 1 and "by the receiver's unit" in done.stderr


def test_the_unit_keeps_as_many_as_are_made():
    assert f"FileDescriptorStoreMax={sockets.MOST}\n" in UNIT.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes packet sockets")
def test_a_socket_that_waits_for_its_filter_hears_nothing():
    with sockets.make() as made, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        made.setblocking(False)
        # On the loopback it would be there when this returns.
        other.sendto(b"x", ("127.0.0.1", 9))
        with pytest.raises(BlockingIOError):
            made.recv(2000)
