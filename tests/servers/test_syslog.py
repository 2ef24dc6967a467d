# SPDX-License-Identifier: GPL-2.0-or-later
"""The syslog sink over TLS into rsyslog: what arrives, and that a server nobody vouches for gets nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from panicast_build.core import tools

from .conftest import Server, wait_until

CONFIG = """
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
global(
    workDirectory="{folder}"
    DefaultNetstreamDriverCAFile="{folder}/server.pem"
    DefaultNetstreamDriverCertFile="{folder}/server.pem"
    DefaultNetstreamDriverKeyFile="{folder}/server.key"
)
template(name="whole" type="string" string="%timereported:::date-rfc3339% %structured-data%%msg%\\n")
input(type="imtcp" address="127.0.0.1" port="{port}")
action(type="omfile" file="{folder}/got" template="whole")
"""


class Rsyslog(Server):
    """A syslog server with a certificate of its own for localhost."""

    def __init__(self, folder: Path, port: int) -> None:
        tools.need("rsyslogd", "openssl")
        self.port = port
        self.certificate = folder / "server.pem"
        self.got = folder / "got"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
                *("-keyout", str(folder / "server.key"), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
        config = folder / "config"
        config.write_text(CONFIG.format(folder=folder, port=self.port))
        argv = [str(tools.find("rsyslogd")), "-n", "-f", str(config), "-i", str(folder / "pid")]
        super().__init__(argv, folder)

    def listens(self) -> bool:
        """Whether somebody answers at its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def lines(self) -> list[str]:
        """What it has written, whole lines."""
        return self.got.read_text().split("\n")[:-1] if self.got.exists() else []

    def told(self) -> set[str]:
        """The records of which it has written: of one whose meaning came late, it is told twice."""
        return {
            found[1] for line in self.lines() if (found := re.search(r'\[panicast@32473 id="(\w+)"', line))
        }


@pytest.fixture
def rsyslog(folder: Path, port: Callable[[], int]) -> Iterator[Rsyslog]:
    """A running server."""
    server = Rsyslog(folder, port())
    with contextlib.closing(server):
        server.start()
        wait_until(server.listens, "it listens")
        yield server


def test_a_server_that_is_vouched_for(serve, burst, rsyslog) -> None:
    trust = ("env", f"SSL_CERT_FILE={rsyslog.certificate}")
    receiver = serve("--syslog", f"tls:localhost:{rsyslog.port}", prefix=trust)
    receiver.wait_for("records go to: syslog")
    panics = burst(receiver)
    panics.send(3)
    wait_until(lambda: len(rsyslog.told()) == 3, "all were told")
    # What it misses while it is away comes when it is back.
    rsyslog.kill()
    panics.send(1)
    receiver.wait_for("syslog: .*; trying again until it works")
    rsyslog.start()
    wait_until(lambda: len(rsyslog.told()) == 4, "that one was told too")
    assert receiver.stop() == 0
    for line in rsyslog.lines():
        assert '[panicast@32473 id="' in line and "sysrq triggered crash" in line
    assert any(re.search("syslog delivered [4-9]", line) for line in receiver.log)


def test_one_that_is_not(serve, burst, rsyslog) -> None:
    receiver = serve("--syslog", f"tls:localhost:{rsyslog.port}")
    receiver.wait_for("records go to: syslog")
    burst(receiver).send(1)
    receiver.wait_for("syslog: .*CERTIFICATE_VERIFY_FAILED.*; trying again until it works")
    receiver.stop()
    assert not rsyslog.got.exists()
