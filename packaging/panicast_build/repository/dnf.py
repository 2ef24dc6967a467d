# SPDX-License-Identifier: GPL-2.0-or-later
"""The dnf repositories, which zypper reads too: one for each target of RPMs.

A metalink sends dnf to the folder of one publication and states the hash of its index. So dnf reads
all of one publication, and refuses an old index from elsewhere.
"""

from __future__ import annotations

from panicast_build.build import dist
from panicast_build.core import files, templating
from panicast_build.core.paths import ROOT
from panicast_build.repository import index, kernels
from panicast_build.repository.key import Key
from panicast_build.repository.publish import SNAPSHOTS, Snapshot
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Project

TOP = "rpm"
TEMPLATES = ROOT / "packaging" / "templates" / "repository"
# Source packages are a repository of their own.
SOURCE = "source"
SUFFIXES: tuple[str, ...] = (".rpm",)


def place(distro: Distro, name: str, kernel: bool) -> str:
    """See Archive."""
    folder = f"{TOP}/{distro.folder}" + (f"/{kernels.COMPONENT}" if kernel else "")
    return folder + (f"/{SOURCE}" if name.endswith(".src.rpm") else "")


def make(
    made: Snapshot, project: Project, distro: Distro, key: Key | None, now: int, valid_days: int, url: str
) -> None:
    """Makes and signs the indexes of a target's packages, which are in the snapshot already."""
    for below in ("", f"/{SOURCE}", f"/{kernels.COMPONENT}", f"/{kernels.COMPONENT}/{SOURCE}"):
        where = f"{TOP}/{distro.folder}{below}"
        folder = made.folder / where
        if not folder.is_dir():
            continue
        index.repodata(folder, now)
        repomd = folder / "repodata" / "repomd.xml"
        made.indexes += [
            str(path.relative_to(made.folder)) for path in repomd.parent.iterdir() if path != repomd
        ]
        if key:
            key.detached(repomd, repomd.with_name("repomd.xml.asc"))
        metalink = templating.environment(TEMPLATES).get_template("metalink.xml")
        text = metalink.render(
            now=now,
            size=repomd.stat().st_size,
            sha256=dist.sha256(repomd),
            url=f"{url}/{SNAPSHOTS}/{made.name}/{where}/repodata/repomd.xml",
        )
        files.write(folder / "metalink.xml", text)
