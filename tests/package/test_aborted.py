# SPDX-License-Identifier: GPL-2.0-or-later
"""A script of panicast-dkms fails, and dpkg goes back to what was: the module is there again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from panicast_build.targets.distros import DebDistro

from .conftest import NEWER, VERSION, Boot, Machine

DKMS = "panicast-dkms"
PRERM = f"/var/lib/dpkg/info/{DKMS}.prerm"
# The installed version's fails, having done what it does.
PRERM_FAILS = f"echo 'exit 1' >> {PRERM}"
# A newer version, made of the present one, with scripts that fail: what they are called.
MAKE = """
set -e
cd /root
rm -rf new
dpkg-deb -R /repo/panicast-dkms_*.deb new
sed -i "s/^Version: .*/Version: $NEWER/" new/DEBIAN/control
for script in $FAILING; do
    printf '#!/bin/sh\\nexit 1\\n' > new/DEBIAN/$script
    chmod 755 new/DEBIAN/$script
done
dpkg-deb -b new new.deb
"""


@pytest.fixture(scope="module")
def server(boot: Boot, first_distro: DebDistro) -> Iterator[Machine]:
    with boot(first_distro) as box:
        box.apt("install", DKMS)
        yield box


def state(machine: Machine) -> dict[str, Any]:
    """What a kernel and DKMS find, and what dpkg says."""
    found = machine.modules()
    return {
        "modules": {path: machine.run(["modinfo", "-F", "version", path]).output.strip() for path in found},
        "dkms": machine.run(["dkms", "status", "panicast"]).output,
        "package": machine.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", DKMS]).output,
        "indexed": machine.run(
            ["sh", "-c", "cat /lib/modules/*/modules.dep | grep -c '^[^:]*panicast'"]
        ).output,
    }


@pytest.mark.parametrize(
    ("failing", "harm", "command"),
    [
        # The old prerm has taken the module away by then.
        pytest.param("preinst", "", "dpkg -i /root/new.deb", id="the new preinst"),
        pytest.param("prerm", PRERM_FAILS, "dpkg -i /root/new.deb", id="both prerms"),
        pytest.param("", PRERM_FAILS, f"dpkg --remove {DKMS}", id="prerm at removal"),
    ],
)
def test_the_old_module_is_there_again(server: Machine, failing: str, harm: str, command: str) -> None:
    before = state(server)
    assert set(before["modules"].values()) == {VERSION} and "installed" in before["dkms"]
    server.run(["env", f"FAILING={failing}", f"NEWER={NEWER}", "sh", "-c", MAKE])
    prerm = server.read(PRERM)
    server.run(["sh", "-c", harm])
    said = server.run(command.split(), check=False)
    assert said.code != 0 and "returned error exit status 1" in said.output, said.output
    assert state(server) == before, said.output
    assert server.run(["dpkg", "--audit"]).output == ""
    server.write({PRERM.rpartition("/")[2]: prerm}, PRERM.rpartition("/")[0])
    server.run(["chmod", "755", PRERM])
