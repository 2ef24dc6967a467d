# SPDX-License-Identifier: GPL-2.0-or-later
"""panicast-receiver through its life on a machine; the smoke test sees the service run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from panicast_build.build import verified
from panicast_build.targets.distros import DebDistro

from ..waiting import wait_until
from .conftest import Boot, Machine

UNIT, WEB_UNIT = "panicast-receiver.service", "panicast-receiver-web.service"
COLLECT_UNIT = "panicast-collect.service"
VECTORS = json.loads((Path(__file__).parents[1] / "wire/vectors.json").read_text())
SENDER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for frame in sys.argv[1:]:
        sock.sendto(bytes.fromhex(frame), ("127.0.0.1", 6664))
"""


def wait_for(machine: Machine, log: str, words: str) -> None:
    """Returns when a log has the words, fails when that takes too long."""
    wait_until(lambda: words in machine.read(log).decode(), f"{log} has {words!r}")


def test_life(machine: Machine, distro: DebDistro, newer) -> None:
    before = machine.files()
    machine.apt("install", "panicast-receiver")
    assert "serve" in machine.run(["panicast-receiver", "--help"]).output
    assert machine.run(["id", "-un", "panicast"]).output.strip() == "panicast"
    assert machine.run(["man", "--where", "panicast-receiver"]).code == 0

    machine.write({"receiver.toml": b"# edited\n"}, "/etc/panicast")
    machine.run(["systemctl", "disable", UNIT])
    machine.run(["mkdir", "/var/lib/panicast"])
    machine.write({"panicast.db": b"records"}, "/var/lib/panicast")
    machine.add(newer(distro.name).glob("panicast-receiver_*.deb"))
    for step, version in machine.live("panicast-receiver"):
        assert version in machine.run(["panicast-receiver", "--version"]).output, step
        assert machine.read("/etc/panicast/receiver.toml") == b"# edited\n", step
        assert machine.run(["systemctl", "is-enabled", UNIT], check=False).output.strip() == "disabled", step

    machine.apt("remove", "panicast-receiver")
    assert machine.read("/var/lib/panicast/panicast.db") == b"records"

    # It is evidence: a purge that nobody is there to be asked about leaves it.
    machine.apt("purge", "panicast-receiver")
    assert machine.files() - before == {"/var/lib/panicast", "/var/lib/panicast/panicast.db"}
    machine.apt("install", "panicast-receiver")
    answer = "panicast-receiver panicast-receiver/remove-records boolean true"
    machine.run(["sh", "-c", f"echo {answer} | debconf-set-selections"])
    machine.apt("purge", "panicast-receiver")
    assert machine.files() - before == set()
    verified.add_life(distro.name, ["panicast-receiver"], machine.built, machine.seen())


@pytest.fixture(scope="module")
def installed(boot: Boot, distro: DebDistro) -> Iterator[Machine]:
    """One on which tests look at what the package's installation made."""
    with boot(distro) as machine:
        machine.apt("install", "panicast-receiver")
        yield machine


@pytest.mark.parametrize(
    ("unit", "enabled"), [(UNIT, "enabled"), (WEB_UNIT, "disabled"), (COLLECT_UNIT, "disabled")]
)
def test_unit(unit: str, enabled: str, installed: Machine) -> None:
    (path,) = installed.run(["find", "/usr/lib/systemd/system", "-name", unit]).output.split()
    verified = installed.run(["systemd-analyze", "verify", path])
    assert unit not in verified.output, verified.output
    assert installed.run(["systemctl", "is-enabled", unit], check=False).output.strip() == enabled


def test_the_client_that_it_takes_along_is_its_own(installed: Machine) -> None:
    settings = ["--nats", "nats://127.0.0.1:1", "--postgresql", "dbname=x"]
    said = installed.run(["panicast-receiver", "collect", *settings], check=False)
    assert said.code == 2 and "python3-psycopg2" in said.output and "Traceback" not in said.output
    script = "import panicast_receiver, nats; print(nats.__file__)"
    assert "/panicast_receiver/vendored/nats/" in installed.run(["python3", "-c", script]).output
    assert installed.run(["python3", "-c", "import nats"], check=False).code == 1


def test_the_web_page_is_served_by_a_user_who_can_only_read(machine: Machine) -> None:
    """With the libraries of the distribution; the records are of a service that runs as another user."""
    machine.apt("install", "panicast-receiver")
    assert "panicast" in machine.run(["id", "-nG", "panicast-web"]).output.split()
    machine.run(["install", "-d", "--owner=panicast", "--group=panicast", "--mode=750", "/var/lib/panicast"])
    for user, command in (("panicast", "serve"), ("panicast-web", "web")):
        started = [
            "start-stop-daemon",
            "--start",
            "--background",
            f"--chuid={user}",
            f"--output=/tmp/{command}",
        ]
        machine.run([*started, "--exec=/usr/bin/panicast-receiver", "--", command])
    (frames,) = (vector["frames"] for vector in VECTORS if vector["name"] == "panic of many frames")
    wait_for(machine, "/tmp/serve", "records are kept in")
    machine.run(["python3", "-c", SENDER, *frames])
    wait_for(machine, "/tmp/serve", "complete)")
    wait_for(machine, "/tmp/web", "web page: http://127.0.0.1:6680/")
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"

    def fetched(path: str) -> str:
        return machine.run(["python3", "-c", fetch, f"http://127.0.0.1:6680{path}"]).output

    assert fetched("/healthz").strip() == "ok"
    (record,) = json.loads(fetched("/api/v1/records"))["records"]
    assert record["complete"] and record["reason"] == "sysrq triggered crash"
    for path in ("/", "/hosts", f"/records/{record['id']}"):
        assert record["host"] in fetched(path)
    # What the crash is, another process of the service's finds out a moment later.
    wait_until(lambda: "sysrq triggered crash" in fetched("/groups"), "it is known what the crash is")
    assert "panicast_receiver_up 1.0" in fetched("/metrics")
    refused = machine.run(["touch", "/var/lib/panicast/x"], user="panicast-web", check=False)
    assert refused.code and "Permission denied" in refused.output


def test_members_of_the_group_read_without_write_permission(machine: Machine) -> None:
    """While the service runs, after it stopped, and after it was killed with its log left behind."""
    machine.apt("install", "panicast-receiver")
    machine.run(["useradd", "--groups", "panicast", "member"])
    machine.run(["useradd", "stranger"])
    # What the unit's StateDirectory= and User= do.
    machine.run(["install", "-d", "--owner=panicast", "--group=panicast", "--mode=750", "/var/lib/panicast"])
    daemon = ["start-stop-daemon", "--pidfile=/run/receiver.pid"]
    as_daemon = ["--make-pidfile", "--background", "--chuid=panicast:panicast"]
    (frames,) = (vector["frames"] for vector in VECTORS if vector["name"] == "panic of many frames")

    for number, signal in enumerate(("TERM", "KILL"), 1):
        # Of the first life nothing is waited for in the second: each has a log and an event of its own.
        log, event = f"/tmp/{signal}", number.to_bytes(4, "big").hex()
        program = [f"--output={log}", "--exec=/usr/bin/panicast-receiver", "--", "serve"]
        machine.run([*daemon, "--start", *as_daemon, *program])
        wait_for(machine, log, "cannot receive raw frames without CAP_NET_RAW; using a UDP socket")
        wait_for(machine, log, "records are kept in")
        machine.run(["python3", "-c", SENDER, *(frame[:48] + event + frame[56:] for frame in frames)])
        wait_for(machine, log, "complete)")
        for _ in ("it runs", "it has ended"):
            listed = machine.run(["panicast-receiver", "list", "--json"], user="member").output
            assert [record["complete"] for record in json.loads(listed)] == [True] * number
            refused = machine.run(["panicast-receiver", "list"], user="stranger", check=False)
            assert refused.code == 1 and "usermod" in refused.output and "Traceback" not in refused.output
            machine.run([*daemon, "--stop", "--oknodo", f"--retry={signal}/120"])
