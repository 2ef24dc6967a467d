# SPDX-License-Identifier: GPL-2.0-or-later
"""What the units let the processes do, as systemd sees it."""

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[4] / "receiver/dist"
#: systemd-analyze's exposure level, times ten. The receiver's is higher by what a packet ring and sinks need:
#: CAP_NET_RAW, which no user namespace has, AF_PACKET, and addresses that nobody knows before.
EXPOSURE = {"panicast-receiver": 18, "panicast-receiver-web": 12, "panicast-collect": 12}


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_exposure(path):
    most = f"--threshold={EXPOSURE[path.stem]}"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", most, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_the_service_alone_has_a_capability():
    capabilities = {
        path.stem: set(re.findall(r"^(?:Ambient\w+|CapabilityBoundingSet)=(.*)$", path.read_text(), re.M))
        for path in UNITS.glob("*.service")
    }
    assert capabilities.pop("panicast-receiver") == {"CAP_NET_RAW"}
    assert all(given == {""} for given in capabilities.values())
