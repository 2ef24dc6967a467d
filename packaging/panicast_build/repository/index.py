# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the indexes that package managers read, with the distributions' own tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.run import run

# One hash is enough, and the old ones are none.
UNWANTED = dict.fromkeys((f"APT::FTPArchive::{name}" for name in ("MD5", "SHA1", "SHA512")), "false")


def ftparchive(command: str, folder: str, top: Path, options: Mapping[str, str] | None = None) -> str:
    """Returns the output of apt-ftparchive COMMAND for a folder below top."""
    tools.need("apt-ftparchive")
    settings = {**UNWANTED, **(options or {})}
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return run([tools.find("apt-ftparchive") or "", "-qq", *words, command, folder], cwd=top).output


def packages(top: Path, folder: str = ".") -> str:
    """Returns the Packages file of the .debs in a folder below top, as of a repository at top."""
    return ftparchive("packages", folder, top)


def repodata(folder: Path, now: int = 0, tags: Sequence[str] = ()) -> None:
    """Makes a folder of RPMs, without its subfolders, a repository for dnf and zypper. The index has
    tags as those of its content."""
    tools.need("createrepo_c")
    dated = ["--revision", str(now), "--set-timestamp-to-revision"]
    tagged = [f"--content={tag}" for tag in tags]
    run([tools.find("createrepo_c") or "", "--quiet", "--excludes", "*/*", *dated, *tagged, folder])
