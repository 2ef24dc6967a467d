# SPDX-License-Identifier: GPL-2.0-or-later
"""panicast-receiver through its life on a machine; the smoke test sees the service run."""

from __future__ import annotations

UNIT = "panicast-receiver.service"
# systemd-analyze's exposure level, times ten: 2.0 and less is what it calls OK.
EXPOSURE = "20"


def test_life(machine) -> None:
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


def test_unit(machine) -> None:
    machine.apt("install", "panicast-receiver")
    (path,) = machine.run(["find", "/usr/lib/systemd/system", "-name", UNIT]).output.split()
    verified = machine.run(["systemd-analyze", "verify", path])
    assert UNIT not in verified.output, verified.output
    machine.run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", path])
