# SPDX-License-Identifier: GPL-2.0-or-later
"""What the units let the processes do, as systemd sees it."""

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[4] / "receiver/dist"
#: The most that systemd-analyze may call a unit's exposure, times ten.
EXPOSURE = 12


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_exposure(path):
    most = f"--threshold={EXPOSURE}"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", most, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_nobody_has_a_capability(path):
    """What only root may do the receiver's first command has done before."""
    unit = path.read_text()
    assert set(re.findall(r"^(?:Ambient\w+|CapabilityBoundingSet)=(.*)$", unit, re.M)) == {""}
    assert re.findall(r"^\w+=[-:]*[+!].*", unit, re.M) == (
        ["ExecStartPre=-+/usr/bin/panicast-receiver sockets"] if path.stem == "panicast-receiver" else []
    )
