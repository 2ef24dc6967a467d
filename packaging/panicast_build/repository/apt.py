# SPDX-License-Identifier: GPL-2.0-or-later
"""The apt repository: a suite for each target of Debian's family."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

from panicast_build.build import dist
from panicast_build.core import files
from panicast_build.repository import index, kernels
from panicast_build.repository.key import Key
from panicast_build.repository.publish import Snapshot, link
from panicast_build.targets.distros import Distro
from panicast_build.targets.metadata import Project

TOP = "deb"
MAIN = "main"
ARCHITECTURES = ("amd64", "arm64")
SUFFIXES: tuple[str, ...] = (".deb", ".dsc", ".tar.gz", ".tar.xz")
# How long an index is good: what somebody replays later is refused. Publish again before.
VALID_DAYS = 30
DAY_SECONDS = 86400


def pool(distro: Distro, component: str = MAIN) -> str:
    """Returns the folder of the packages of a target's component, below TOP."""
    return f"pool/{distro.suite}" if component == MAIN else f"pool/{component}/{distro.suite}"


def place(distro: Distro, name: str, kernel: bool) -> str:
    """See Archive."""
    return f"{TOP}/{pool(distro, kernels.COMPONENT if kernel else MAIN)}"


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
    top = made.folder / TOP
    suite = top / "dists" / distro.suite
    components = [name for name in (MAIN, kernels.COMPONENT) if (top / pool(distro, name)).is_dir()]
    for component in components:
        folder = pool(distro, component)
        _index(suite / component / "source/Sources", index.ftparchive("sources", folder, top))
        for architecture in ARCHITECTURES:
            # What is for all is in each.
            only = {"APT::FTPArchive::Architecture": architecture, "APT::FTPArchive::AlwaysStat": "true"}
            text = index.ftparchive("packages", folder, top, only)
            _index(suite / component / f"binary-{architecture}/Packages", text)
    made.indexes += [str(path.relative_to(made.folder)) for path in suite.rglob("by-hash/*/*")]
    fields = {
        "Origin": project.name,
        "Label": project.name,
        "Suite": distro.suite,
        "Codename": distro.suite,
        "Architectures": " ".join(ARCHITECTURES),
        "Components": " ".join(components),
        "Description": project.description,
        "Date": formatdate(now),
    }
    options = {f"APT::FTPArchive::Release::{name}": value for name, value in fields.items()}
    text = index.ftparchive("release", f"dists/{distro.suite}", top, options)
    # Fields that it does not let anybody set.
    until, release = formatdate(now + valid_days * DAY_SECONDS), suite / "Release"
    files.write(release, f"Acquire-By-Hash: yes\nValid-Until: {until}\n{text}")
    if keys:
        keys[0].clearsign(release, suite / "InRelease")
        keys[0].detached(release, suite / "Release.gpg")


def _index(path: Path, text: str) -> None:
    """Writes an index, plain and compressed, each also by its hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    forms = {"": data, ".gz": gzip.compress(data, mtime=0), ".xz": lzma.compress(data)}
    for suffix, packed in forms.items():
        form = path.with_name(path.name + suffix)
        form.write_bytes(packed)
        link(form, path.parent / "by-hash" / "SHA256" / dist.sha256(form))
