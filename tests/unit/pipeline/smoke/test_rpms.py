# SPDX-License-Identifier: GPL-2.0-or-later
"""What a real guest of each RPM distribution is made with."""

from __future__ import annotations

import re

import pytest

from panicast_build.build import rpmroot
from panicast_build.smoke import rpms
from panicast_build.targets import distros
from panicast_build.targets.distros import RpmDistro

TARGETS = [distro for distro in distros.load().values() if isinstance(distro, RpmDistro)]


@pytest.mark.parametrize("distro", TARGETS, ids=lambda distro: distro.name)
def test_a_real_guest_has_what_the_packages_under_test_need(distro: RpmDistro) -> None:
    arguments = rpms.real_guest(distro, rpmroot.MANAGERS[distro.manager])
    packages = arguments["PACKAGES"].split()
    # A name that a shell and a package manager take as it is: no version, no rich dependency.
    assert all(re.fullmatch(r"[A-Za-z0-9._+-]+", package) for package in packages)
    assert {"dkms", "dracut", "qemu-guest-agent"} < set(packages)
    for wanted in distro.python_requires:
        assert wanted.split()[0] in packages
    # The headers' package that a rich dependency of panicast-dkms names, for the kernel that boots.
    kernel, headers = packages[:2]
    assert headers == f"{kernel}-devel"
    assert any(headers in dependency for dependency in distro.kernel_devel)
