# SPDX-License-Identifier: GPL-2.0-or-later
"""Adds a second segment behind the log host, which is its router, with a receiver of its own."""

from __future__ import annotations

import json
from typing import Any

from panicast_build.smoke.failure import SmokeFailure, wait_for
from panicast_build.smoke.system import System

# The guests' addresses are in containers/guest-deb.
ROUTER, SEGMENT, ADDRESS = "10.66.0.2", "192.0.2.0/24", "192.0.2.7"
STATE, KEYS = "/var/lib/far", "/run/far-keys"
BUILD = f"""
set -e
modprobe -a veth
ip netns add far
ip link add to-far type veth peer name eth0 netns far
ip address add 192.0.2.1/24 dev to-far
ip link set to-far up
ip -n far address add {ADDRESS}/24 dev eth0
ip -n far link set eth0 up
ip -n far link set lo up
ip -n far route add default via 192.0.2.1
echo 1 > /proc/sys/net/ipv4/ip_forward
install -m 600 /dev/null {KEYS}
mkdir -p {STATE}
"""
SERVE = (
    *("systemd-run", "--unit=far", "--property=Type=notify", "--property=NotifyAccess=all"),
    *("ip", "netns", "exec", "far", "panicast-receiver", "serve", "--config", "/dev/null"),
    *("--state-dir", STATE, "--receive-buffer-mib", "8"),
)
MODULE = "/sys/module/panicast"
SECONDS = 120.0


class FarSegment:
    """The segment, once it is built; server sends to it after ``aim``."""

    def __init__(self, server: System, log_host: System) -> None:
        self._server = server
        self._log_host = log_host
        log_host.run(["sh", "-c", BUILD])

    def serve(self, key: str = "") -> None:
        """Starts the receiver there, with a line of a key file, if one is given."""
        more: tuple[str, ...] = ()
        if key:
            self._log_host.run(["tee", KEYS], stdin=key)
            more = ("--key-file", KEYS)
        self._log_host.run([*SERVE, *more])

    def stop(self) -> None:
        """Ends the receiver; what it has stored stays."""
        self._log_host.run(["systemctl", "stop", "far"])

    def aim(self) -> None:
        """Has the server send there, and waits until it knows the next hop."""
        self._server.run(["ip", "route", "replace", SEGMENT, "via", ROUTER])
        self._server.run(["tee", f"{MODULE}/parameters/dest"], stdin=ADDRESS)
        wait_for("the module to know its router", SECONDS, self._is_known)

    def ask(self, *, answers: bool, sealed: bool = False) -> None:
        """Sends a test there. Raises SmokeFailure if its receiver answers and should not, or the other way
        round, or with another seal."""
        said = self._server.run(["panicast-ctl", "test"], check=False)
        heard = f"({ADDRESS}) has it: it answered after" in said.out
        if heard != answers or (said.code == 0) != answers:
            raise SmokeFailure(f"panicast-ctl test ends with {said.code} and says: {said.out}{said.err}")
        if heard and ("answer was sealed" in said.out) != sealed:
            raise SmokeFailure(f"the answer is {'not ' if sealed else ''}sealed: {said.out}")

    def panics(self) -> list[dict[str, Any]]:
        """Returns the records of panics that its receiver has."""
        listed = self._log_host.run(["panicast-receiver", "list", "--state-dir", STATE, "--all", "--json"])
        return [record for record in json.loads(listed.out) if record["type"] == "panic"]

    def _is_known(self) -> bool:
        shown = self._server.run(["cat", f"{MODULE}/state/destinations"]).out
        return f"via {ROUTER} mac 52:54:00:66:00:02" in shown
