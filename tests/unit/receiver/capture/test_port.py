# SPDX-License-Identifier: GPL-2.0-or-later
"""The port is the service's alone, whatever another program of this machine asks the kernel for."""

import errno
import os
import socket

import pytest

from panicast_receiver.capture.holder import holders

from ..conftest import held_port

RIGHTS = [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)]


def tried(address, port, options, family=socket.AF_INET):
    """The error with which a socket does not get the port; 0 when it does."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        return _bind(sock, (address, port))


def _bind(sock, place):
    try:
        sock.bind(place)
    except OSError as error:
        return error.errno
    return 0


@pytest.mark.parametrize("capture", ["udp", "ring"])
@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "[::]"])
def test_nobody_binds_beside_the_service(serve, capture, listen):
    if capture == "ring" and os.geteuid() != 0:
        pytest.skip("needs root: a packet ring")
    receiver = serve("--capture", capture, "--listen", f"{listen}:0")
    everywhere = [] if listen == "127.0.0.1" else ["127.0.0.2", "255.255.255.255"]
    for options in RIGHTS:
        for address in ("127.0.0.1", "0.0.0.0", *everywhere):
            assert tried(address, receiver.port, options) == errno.EADDRINUSE, (address, options)
        assert tried("::", receiver.port, options, socket.AF_INET6) == errno.EADDRINUSE


@pytest.mark.parametrize("flag", ["--listen", "--netconsole-port"])
def test_a_port_that_is_taken_is_an_error_that_says_by_whom(cli, flag):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", 0))
        port = sock.getsockname()[1]
        done = cli(
            "serve",
            flag,
            f"127.0.0.1:{port}" if flag == "--listen" else str(port),
            *([] if flag == "--listen" else ["--listen", "127.0.0.1:0"]),
        )
        assert holders(port)[0].split(" (")[1].startswith(f"process {os.getpid()}, user ")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: the port is taken by " in done.stderr
    assert f"(process {os.getpid()}, user " in done.stderr and "Traceback" not in done.stderr


def test_nobody_has_a_port_that_no_datagram_comes_to():
    with held_port() as port:
        taken = tried("127.0.0.1", port, ())
        assert (holders(port) == []) == (not taken)
