# SPDX-License-Identifier: GPL-2.0-or-later
"""panicast-receiver through its life on a machine; the smoke test sees the service run."""

from __future__ import annotations

import json
import time
from pathlib import Path

from panicast_build import evidence

UNITS = ("panicast-receiver.service", "panicast-collect.service")
# systemd-analyze's exposure level, times ten: 2.0 and less is what it calls OK.
EXPOSURE = "20"
VECTORS = json.loads((Path(__file__).parents[1] / "wire/vectors.json").read_text())
SENDER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for frame in sys.argv[1:]:
        sock.sendto(bytes.fromhex(frame), ("127.0.0.1", 6664))
"""
PATIENCE_SECONDS = 20


def test_life(machine, distro) -> None:
    before = machine.files()
    machine.apt("install", "panicast-receiver")
    assert "serve" in machine.run(["panicast-receiver", "--help"]).output
    assert machine.run(["id", "-un", "panicast"]).output.strip() == "panicast"
    assert machine.run(["man", "--where", "panicast-receiver"]).code == 0

    machine.write({"receiver.toml": b"# edited\n"}, "/etc/panicast")
    machine.run(["mkdir", "/var/lib/panicast"])
    machine.write({"panicast.db": b"records"}, "/var/lib/panicast")
    machine.apt("install", "--reinstall", "panicast-receiver")
    assert machine.read("/etc/panicast/receiver.toml") == b"# edited\n"

    machine.apt("remove", "panicast-receiver")
    assert machine.read("/var/lib/panicast/panicast.db") == b"records"

    machine.apt("purge", "panicast-receiver")
    assert machine.files() - before == set()
    evidence.add_life(distro.name, ["panicast-receiver"], machine.built, machine.seen())


def test_units(machine) -> None:
    machine.apt("install", "panicast-receiver")
    for unit in UNITS:
        (path,) = machine.run(["find", "/usr/lib/systemd/system", "-name", unit]).output.split()
        verified = machine.run(["systemd-analyze", "verify", path])
        assert unit not in verified.output, verified.output
        machine.run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", path])
    # Whoever wants this machine to collect says so.
    wanted = machine.run(["ls", "/etc/systemd/system/multi-user.target.wants"]).output.split()
    assert set(wanted) & set(UNITS) == {"panicast-receiver.service"}


def test_the_client_that_it_takes_along_is_its_own(machine) -> None:
    machine.apt("install", "panicast-receiver")
    settings = ["--nats", "nats://127.0.0.1:1", "--postgresql", "dbname=x"]
    said = machine.run(["panicast-receiver", "collect", *settings], check=False)
    assert said.code == 2 and "python3-psycopg2" in said.output and "Traceback" not in said.output
    script = "import panicast_receiver, nats; print(nats.__file__)"
    assert "/panicast_receiver/vendored/nats/" in machine.run(["python3", "-c", script]).output
    assert machine.run(["python3", "-c", "import nats"], check=False).code == 1


def test_members_of_the_group_read_without_write_permission(machine) -> None:
    """While the service runs, after it stopped, and after it was killed with its log left behind."""
    machine.apt("install", "panicast-receiver")
    machine.run(["useradd", "--groups", "panicast", "member"])
    machine.run(["useradd", "stranger"])
    # What the unit's StateDirectory= and User= do.
    machine.run(["install", "-d", "--owner=panicast", "--group=panicast", "--mode=750", "/var/lib/panicast"])
    daemon = ["start-stop-daemon", "--pidfile=/run/receiver.pid"]
    as_daemon = ["--make-pidfile", "--background", "--chuid=panicast:panicast", "--output=/tmp/log"]
    (frames,) = (vector["frames"] for vector in VECTORS if vector["name"] == "panic of many frames")

    def wait_for(words: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in (log := machine.read("/tmp/log").decode()):
            assert time.monotonic() < deadline, log
            time.sleep(0.2)

    for signal in ("TERM", "KILL"):
        machine.run([*daemon, "--start", *as_daemon, "--exec=/usr/bin/panicast-receiver", "--", "serve"])
        wait_for("raw frames cannot be heard without CAP_NET_RAW; going on with UDP")
        machine.run(["python3", "-c", SENDER, *frames])
        wait_for("complete)")
        for _ in ("it runs", "it has ended"):
            listed = machine.run(["panicast-receiver", "list", "--json"], user="member").output
            assert [record["complete"] for record in json.loads(listed)] == [True]
            refused = machine.run(["panicast-receiver", "list"], user="stranger", check=False)
            assert refused.code == 1 and "adduser" in refused.output and "Traceback" not in refused.output
            machine.run([*daemon, "--stop", "--oknodo", f"--retry={signal}/20"])
