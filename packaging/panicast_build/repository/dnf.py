# SPDX-License-Identifier: GPL-2.0-or-later
"""The dnf repositories, which zypper reads too: one for each target of RPMs.

A metalink sends dnf to the folder of one publication and states the hash of its index. So dnf reads
all of one publication, and refuses an old index from elsewhere.

dnf takes a new key from the file that panicast-release brings. zypper asks a person about it, unless
an index that is signed with a key which it trusts names the new one: libzypp's keyhints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from panicast_build.build import dist
from panicast_build.core import files, templating
from panicast_build.core.paths import ROOT
from panicast_build.repository import index, kernels, key
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


def _hints(keys: Sequence[Key], folder: Path) -> Iterator[str]:
    """Puts each key beside the packages, and yields what tells libzypp of it."""
    for each in keys:
        name = f"gpg-pubkey-{each.fingerprint[-8:].lower()}-{each.created():08x}.asc"
        key.export_text([each], folder / name)
        yield f"{name}?fpr={each.fingerprint}"


def make(
    made: Snapshot,
    project: Project,
    distro: Distro,
    keys: Sequence[Key],
    now: int,
    valid_days: int,
    url: str,
) -> None:
    """See Archive."""
    for below in ("", f"/{SOURCE}", f"/{kernels.COMPONENT}", f"/{kernels.COMPONENT}/{SOURCE}"):
        where = f"{TOP}/{distro.folder}{below}"
        folder = made.folder / where
        if not folder.is_dir():
            continue
        index.repodata(folder, now, list(_hints(keys, folder)))
        repomd = folder / "repodata" / "repomd.xml"
        made.indexes += [
            str(path.relative_to(made.folder)) for path in repomd.parent.iterdir() if path != repomd
        ]
        if keys:
            keys[0].detached(repomd, repomd.with_name("repomd.xml.asc"))
        metalink = templating.environment(TEMPLATES).get_template("metalink.xml")
        text = metalink.render(
            now=now,
            size=repomd.stat().st_size,
            sha256=dist.sha256(repomd),
            url=f"{url}/{SNAPSHOTS}/{made.name}/{where}/repodata/repomd.xml",
        )
        files.write(folder / "metalink.xml", text)
