# SPDX-License-Identifier: GPL-2.0-or-later
"""What the units let the processes do, as systemd sees it."""

import re
import subprocess
from pathlib import Path

import pytest

from ..conftest import PATIENCE_S

ROOT = Path(__file__).parents[4]
UNITS, POLICY = ROOT / "receiver/dist", ROOT / "selinux/panicast.te"
#: The most that systemd-analyze may call a unit's exposure, times ten.
EXPOSURE = 12


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_exposure(path):
    most = f"--threshold={EXPOSURE}"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", most, str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
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


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_each_service_is_confined_where_its_domain_is_known(path):
    (domain,) = re.findall(r"^SELinuxContext=-system_u:system_r:(\w+):s0$", path.read_text(), re.M)
    assert domain == f"panicast_{path.stem.rpartition('-')[2]}_t"
    assert f"\ntype {domain}, panicast_domain;\n" in POLICY.read_text()


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.stem)
def test_what_ends_by_a_mistake_or_hangs_is_started_again(path):
    """Of the values of Restart= these two mean an exit code, a signal and a watchdog: systemd.service(5)."""
    (restart,) = re.findall(r"^Restart=(.*)$", path.read_text(), re.M)
    assert restart in ("on-failure", "always")
    assert re.search(r"^WatchdogSec=[1-9]", path.read_text(), re.M)
