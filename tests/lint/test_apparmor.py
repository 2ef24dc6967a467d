# SPDX-License-Identifier: GPL-2.0-or-later
"""The receiver's AppArmor profiles, read by AppArmor's own parser."""

import re

import docker

from panicast_build.core.paths import ROOT
from panicast_build.engine.container import Container

FOLDER = ROOT / "receiver/dist/apparmor"
UNITS = sorted(ROOT.glob("receiver/dist/*.service"))


def test_each_unit_names_a_profile_that_can_be_read(client: docker.DockerClient, lint_image: str) -> None:
    named = [name for unit in UNITS for name in re.findall("^AppArmorProfile=-(.+)$", unit.read_text(), re.M)]
    profiles = [f"/etc/apparmor.d/{path.name}" for path in sorted(FOLDER.iterdir()) if path.is_file()]
    with Container(client, lint_image) as box:
        box.put(FOLDER, "/etc/apparmor.d")
        # No kernel takes them here.
        box.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", *profiles])
        said = box.run(["apparmor_parser", "--names", *profiles]).output.splitlines()
    # It may complain, too, that this kernel has no AppArmor.
    held = [line for line in said if " " not in line]
    assert len(named) == len(UNITS) and sorted(named) == sorted(held)
