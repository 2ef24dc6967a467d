# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels that DKMS leaves alone, as dkms' shell and build-modules' grep read their pattern."""

from __future__ import annotations

import re
import subprocess

import pytest

from panicast_build.core.paths import ROOT


@pytest.mark.parametrize(
    ("release", "new_enough"),
    [
        *((release, False) for release in ("3.10.0-1160.el7", "4.18.0-553.el8", "5.1.21", "5.9.0-5-amd64")),
        *((release, True) for release in ("5.10.0-32-amd64", "5.19.17", "6.1.0-57-amd64", "7.3.0", "10.0.1")),
    ],
)
def test_kernels_before_5_10_are_left_alone(release: str, new_enough: bool) -> None:
    (pattern,) = re.findall(r'^BUILD_EXCLUSIVE_KERNEL="(.*)"$', (ROOT / "kmod/dkms.conf").read_text(), re.M)
    bash = ["bash", "-c", "[[ $0 =~ $1 ]]", release, pattern]
    grep = ["grep", "-Eq", "--", pattern]
    codes = {subprocess.run(bash, check=False).returncode}
    codes.add(subprocess.run(grep, input=f"{release}\n", text=True, check=False).returncode)
    assert codes == {0 if new_enough else 1}
