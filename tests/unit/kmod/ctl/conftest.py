# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up machines on which panicast-ctl runs. Each of its commands has a file of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..made_up import MODULE, Machine

KEY = "0123456789abcdef" * 4
KEY_FILE = "etc/panicast/key"
INSMOD_SAYS_ONE_IS_THERE = 'echo "insmod: ERROR: could not insert module: File exists" >&2; exit 1'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def loadable(machine: Machine) -> Machine:
    """A machine with the module loaded, whose modprobe unloads and loads it, refuses it with the settings on
    disk when there is a file wrong, and notes what it is given."""
    machine.load(tag="rack r7", kib="128")
    loaded, aside = machine.root / MODULE, machine.root / "unloaded"
    machine.command(
        "modprobe",
        f"""echo "$*" >> {machine.root}/calls
case "$*" in
-c) cat {machine.root}/modprobe-c ;;
-r*) mv {loaded} {aside} ;;
-C*) cat "$2"/panicast.conf > {machine.root}/given; mv {aside} {loaded} ;;
*) [ ! -e {machine.root}/wrong ] && mv {aside} {loaded} ;;
esac""",
    )
    machine.command("modinfo", 'case "$*" in *-n*) echo /panicast.ko ;; *) echo 1.2 ;; esac')
    machine.command("insmod", INSMOD_SAYS_ONE_IS_THERE)
    return machine
