# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv support: writes docs/support.md from the evidence in dist/; it claims nothing that was not run.

For each target: metadata.json says where its packages were built, life.json which package manager took them
through install, upgrade and removal (tests/package), smoke.json where a machine that has them was crashed.
Evidence counts only for the very packages that are in dist/ now.
"""

from __future__ import annotations

from dataclasses import dataclass

from panicast_build import dist, distros, document, evidence, progress, rpm
from panicast_build.distros import Distro
from panicast_build.smoke import repo

NOT_YET = "not verified"
BUILT_ON = {rpm.REAL: "on the distribution", rpm.DEBIAN: "by Debian's rpmbuild"}


@dataclass(frozen=True)
class Row:
    """A target's line of the table, each cell in words."""

    name: str
    title: str
    built: str
    installed: str
    crashed: str


def _built(distro: Distro) -> str:
    stated = dist.read(distro.name)
    if not stated:
        return NOT_YET
    hosts = {part["inputs"].get("host", rpm.REAL) for part in stated["components"].values()}
    where = " and ".join(BUILT_ON[host] for host in sorted(hosts))
    return f"{stated['version']}, {where}"


def _installed(distro: Distro) -> str:
    lives = evidence.read(distro.name, evidence.LIFE).get("lives", {})
    if set(lives) != set(repo.PACKAGES):
        return NOT_YET
    seen = lives[repo.PACKAGES[0]]
    return f"{', '.join(seen['steps'])} by {', '.join(seen['tools'])} on {seen['host']}"


def _crashed(distro: Distro) -> str:
    seen = evidence.read(distro.name, evidence.SMOKE)
    if seen.get("result") != "pass":
        return NOT_YET
    formats = " and ".join(sorted({record["format"] for record in seen["records"]}, reverse=True))
    kernel = seen["kernels"]["server"]
    return f"{formats}; kernel {kernel}, {seen['nic']}, on {seen['root']} under {seen['accelerator']}"


def rows() -> list[Row]:
    """The table, a row for each target."""
    return [
        Row(distro.name, distro.title, _built(distro), _installed(distro), _crashed(distro))
        for distro in distros.load().values()
    ]


def run() -> None:
    """Writes docs/support.md."""
    document.write("support.md", rows=rows())
    progress.say("wrote docs/support.md")
