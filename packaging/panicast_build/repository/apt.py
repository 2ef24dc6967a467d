# SPDX-License-Identifier: GPL-2.0-or-later
"""The apt repository: a suite for each target of Debian's family."""

from __future__ import annotations

import gzip
import lzma
from email.utils import formatdate
from pathlib import Path

from panicast_build.build import dist
from panicast_build.core import files
from panicast_build.repository import index, kernels
from panicast_build.repository.publish import Snapshot, Terms, link
from panicast_build.targets.distros import Distro

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


def make(made: Snapshot, distro: Distro, terms: Terms) -> None:
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
        "Origin": terms.project.name,
        "Label": terms.project.name,
        "Suite": distro.suite,
        "Codename": distro.suite,
        "Architectures": " ".join(ARCHITECTURES),
        "Components": " ".join(components),
        "Description": terms.project.description,
        "Date": formatdate(terms.now),
    }
    options = {f"APT::FTPArchive::Release::{name}": value for name, value in fields.items()}
    text = index.ftparchive("release", f"dists/{distro.suite}", top, options)
    # Fields that it does not let anybody set.
    until, release = formatdate(terms.now + terms.valid_days * DAY_SECONDS), suite / "Release"
    files.write(release, f"Acquire-By-Hash: yes\nValid-Until: {until}\n{text}")
    if terms.keys:
        terms.keys[0].clearsign(release, suite / "InRelease")
        terms.keys[0].detached(release, suite / "Release.gpg")


def _index(path: Path, text: str) -> None:
    """Writes an index, plain and compressed, each also by its hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    forms = {"": data, ".gz": gzip.compress(data, mtime=0), ".xz": lzma.compress(data)}
    for suffix, packed in forms.items():
        form = path.with_name(path.name + suffix)
        form.write_bytes(packed)
        link(form, path.parent / "by-hash" / "SHA256" / dist.sha256(form))
