# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPMs through their life under each package manager: what is there counts, not exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.build import verified
from panicast_build.targets import metadata

from .conftest import Machine, Start

VERSION, NEWER = metadata.load().version, "0.99.0"
PACKAGES = ("panicast-dkms", "panicast-common", "panicast-receiver")
UNIT = "panicast-receiver.service"
CONFIGS = ("/etc/modprobe.d/panicast.conf", "/etc/panicast/receiver.toml")
SWITCH = "/etc/panicast/initramfs"
# The life, step by step, and the version that is there after each.
STEPS = (("upgrade", NEWER), ("reinstall", NEWER), ("downgrade", VERSION))


def assert_installed(machine: Machine, version: str) -> None:
    assert machine.module_version() == version
    assert machine.dkms_versions() == {version}
    for package in PACKAGES:
        assert machine.run(["rpm", "-q", "--qf", "%{VERSION}\n", package]).output == f"{version}\n"
    said = machine.run(["panicast-receiver", "--version"]).output
    assert version in said
    assert machine.run(["id", "-un", "panicast"]).output.strip() == "panicast"


@pytest.mark.parametrize("name", ["dnf", "dnf5", "zypper"])
def test_life(name: str, start: Start, newer: Callable[[str], Path]) -> None:
    machine = start(name)
    before = machine.files()

    # In one transaction with the headers of a kernel.
    said = machine.do("install", *PACKAGES, "kernel-devel")
    assert "NOT every kernel" not in said
    assert_installed(machine, VERSION)
    assert machine.run(["rpm", "-V", *PACKAGES], check=False).output == ""
    enabled = machine.run(["systemctl", "is-enabled", UNIT], check=False).output.strip()
    assert enabled == "disabled"

    edits = {}
    for path in CONFIGS:
        edits[path] = machine.read(path) + b"# edited\n"
        machine.write({Path(path).name: edits[path]}, str(Path(path).parent))
    machine.run(["systemctl", "enable", UNIT])
    # panicast-ctl initramfs on, and a boot that has sent what was kept of a crash.
    used = f"mkdir -p /etc/panicast /var/lib/panicast-ctl && touch {SWITCH} /var/lib/panicast-ctl/kept"
    machine.run(["sh", "-c", used])

    machine.add(newer(machine.distro).glob("*.noarch.rpm"))
    for step, version in STEPS:
        exactly = version if step == "downgrade" and name == "zypper" else ""
        machine.do(step, *PACKAGES, version=exactly)
        assert_installed(machine, version)
        for path, text in edits.items():
            assert machine.read(path) == text, (step, path)
        changed = machine.run(["rpm", "-V", *PACKAGES], check=False).output.splitlines()
        assert sorted(line.split()[-1] for line in changed) == sorted(CONFIGS), (step, changed)
        enabled = machine.run(["systemctl", "is-enabled", UNIT]).output.strip()
        assert enabled == "enabled", step
        machine.run(["test", "-e", SWITCH])

    machine.do("remove", *PACKAGES, "kernel-devel")
    assert machine.modules() == []
    assert machine.dkms_versions() == set()
    enabled = machine.run(["systemctl", "is-enabled", UNIT], check=False).output
    assert "enabled" not in enabled
    left = machine.files() - before
    # What was edited is kept aside.
    assert {path for path in left if not path.endswith(".rpmsave")} == {"/etc/panicast"}
    assert {path.removesuffix(".rpmsave") for path in left} == {"/etc/panicast", *CONFIGS}

    tools = [machine.run([tool, "--version"]).output.split("\n")[0] for tool in (name, "rpm", "dkms")]
    tools[0] = tools[0].removeprefix(f"{name} ")
    seen = {"tools": [f"{name} {tools[0]}", *tools[1:]], "host": machine.host()}
    seen["steps"] = ["install", *(step for step, _ in STEPS), "remove"]
    verified.add_life(machine.distro, PACKAGES, machine.built, seen)
