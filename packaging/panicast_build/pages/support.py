# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv support: writes docs/support.md from the evidence in dist/; it claims nothing that was not
run.

The evidence of a target: metadata.json says where its packages were built, reproduced.json that two
builds were identical, life.json which package manager installed, upgraded and removed them
(tests/package), smoke.json where a machine that has them was crashed, smoke-secureboot.json that
one with Secure Boot was. Evidence is valid only for the very packages that are in dist/.
"""

from __future__ import annotations

from dataclasses import dataclass

from panicast_build.build import dist, rpm, verified
from panicast_build.core import document, progress
from panicast_build.smoke import repo
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

NOT_YET = "not verified"
BUILT_ON = {rpm.REAL: "on the distribution", rpm.DEBIAN: "by Debian's rpmbuild"}


@dataclass(frozen=True)
class Row:
    """A target's row of the table, each cell in words."""

    name: str
    title: str
    built: str
    reproduced: str
    installed: str
    crashed: str


def _built(distro: Distro) -> str:
    stated = dist.read(distro.name)
    if not stated:
        return NOT_YET
    hosts = {part["inputs"].get("host", rpm.REAL) for part in stated["components"].values()}
    where = " and ".join(BUILT_ON[host] for host in sorted(hosts))
    return f"{stated['version']}, {where}{_on(stated.get('date'))}"


def _on(date: str | None) -> str:
    """Returns the evidence's date in words; "" if it has none."""
    return f", {date[:10]}" if date else ""


def _reproduced(distro: Distro) -> str:
    seen = verified.read(distro.name, verified.REPRODUCED)
    return f"{len(seen['packages'])} of its files{_on(seen.get('date'))}" if seen else NOT_YET


def _installed(distro: Distro) -> str:
    lives = verified.read(distro.name, verified.LIFE).get("lives", {})
    if set(lives) != set(repo.PACKAGES):
        return NOT_YET
    seen = lives[repo.PACKAGES[0]]
    return (
        f"{', '.join(seen['steps'])} by {', '.join(seen['tools'])} on {seen['host']}{_on(seen.get('date'))}"
    )


def _crashed(distro: Distro) -> str:
    seen = verified.read(distro.name, verified.SMOKE)
    if seen.get("result") != "pass":
        return NOT_YET
    formats = " and ".join(sorted({record["format"] for record in seen["records"]}, reverse=True))
    kernel = seen["kernels"]["server"]
    machine = f"kernel {kernel}, {seen['nic']}, on {seen['root']} under {seen['accelerator']}"
    return f"{formats}; {machine}{_on(seen.get('started'))}{_secure_boot(distro)}"


def _secure_boot(distro: Distro) -> str:
    seen = verified.read(distro.name, verified.SECURE_BOOT)
    if seen.get("result") != "pass":
        return ""
    return f"; with Secure Boot enforcing{_on(seen.get('started'))}"


def rows() -> list[Row]:
    """Returns the table, a row for each target."""
    return [
        Row(
            distro.name,
            distro.title,
            _built(distro),
            _reproduced(distro),
            _installed(distro),
            _crashed(distro),
        )
        for distro in distros.load().values()
    ]


def run() -> None:
    """Writes docs/support.md."""
    document.write("support.md", rows=rows())
    progress.say("wrote docs/support.md")
