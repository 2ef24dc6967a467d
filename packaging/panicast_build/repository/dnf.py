# SPDX-License-Identifier: GPL-2.0-or-later
"""The dnf repositories, which zypper reads too: one for each target of RPMs.

A metalink sends dnf to the folder of one publication and states the hash of its index. So dnf reads
all of one publication, and refuses an old index from elsewhere.

dnf takes a new key from the file that panicast-release brings. zypper asks a person about it, unless
an index that is signed with a key which it trusts names the new one: libzypp's keyhints.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from panicast_build.build import dist
from panicast_build.core import files, templating
from panicast_build.core.paths import ROOT
from panicast_build.repository import index, kernels, key
from panicast_build.repository.key import Key
from panicast_build.repository.publish import SNAPSHOTS, Snapshot, Terms
from panicast_build.targets.distros import Distro

TOP = "rpm"
TEMPLATES = ROOT / "packaging" / "templates" / "repository"
# Source packages are a repository of their own.
SOURCE = "source"
SUFFIXES: tuple[str, ...] = (".rpm",)


def place(distro: Distro, name: str, kernel: bool) -> str:
    """See Archive."""
    folder = f"{TOP}/{distro.folder}" + (f"/{kernels.COMPONENT}" if kernel else "")
    return folder + (f"/{SOURCE}" if name.endswith(".src.rpm") else "")


def _hints(keys: Mapping[str, Key], folder: Path) -> list[str]:
    """Puts keys, by the names of their files, beside the packages; returns what tells libzypp of them."""
    for name, each in keys.items():
        key.export_text([each], folder / name)
    return [f"{name}?fpr={each.fingerprint}" for name, each in keys.items()]


def make(made: Snapshot, distro: Distro, terms: Terms) -> None:
    """See Archive."""
    keys = {
        f"gpg-pubkey-{each.fingerprint[-8:].lower()}-{each.created():08x}.asc": each for each in terms.keys
    }
    for below in ("", f"/{SOURCE}", f"/{kernels.COMPONENT}", f"/{kernels.COMPONENT}/{SOURCE}"):
        where = f"{TOP}/{distro.folder}{below}"
        folder = made.folder / where
        if not folder.is_dir():
            continue
        index.repodata(folder, terms.now, _hints(keys, folder))
        repomd = folder / "repodata" / "repomd.xml"
        made.indexes += [
            str(path.relative_to(made.folder)) for path in repomd.parent.iterdir() if path != repomd
        ]
        if terms.keys:
            terms.keys[0].detached(repomd, repomd.with_name("repomd.xml.asc"))
        metalink = templating.environment(TEMPLATES).get_template("metalink.xml")
        text = metalink.render(
            now=terms.now,
            size=repomd.stat().st_size,
            sha256=dist.sha256(repomd),
            url=f"{terms.url}/{SNAPSHOTS}/{made.name}/{where}/repodata/repomd.xml",
        )
        files.write(folder / "metalink.xml", text)
