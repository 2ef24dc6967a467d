# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks git about the tree: the files of a component, the time of a build, the commit."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run
from panicast_build.targets import changelog


def _git(*arguments: str) -> str:
    tools.need("git")
    return run(["git", "-C", ROOT, *arguments]).output


def files(folder: str) -> dict[str, Path]:
    """Returns the files below folder (from the root of the tree), by their path within it, as they
    are on disk. Includes new files that git does not ignore."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder).split("\0")
    top = ROOT / folder
    paths = (ROOT / name for name in sorted(filter(None, listed)))
    return {str(path.relative_to(top)): path for path in paths if path.is_file()}


def epoch() -> int:
    """Returns SOURCE_DATE_EPOCH if set, else the time of the last commit, in seconds since 1970."""
    chosen = os.environ.get("SOURCE_DATE_EPOCH")
    if chosen and not chosen.isdigit():
        raise UserError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {chosen}")
    return int(chosen or _git("log", "-1", "--format=%ct"))


def commit() -> dict[str, object]:
    """Returns {"commit": full hash, "dirty": whether the tree differs from it}."""
    return {
        "commit": _git("rev-parse", "HEAD").strip(),
        "dirty": bool(_git("status", "--porcelain").strip()),
    }


def snapshot(version: str) -> str:
    """Returns the version of the commit between releases.

    It is older than version if that is still to come, newer than it if it is out, and newer than
    the versions of earlier commits. Raises UserError if the tree differs from its commit.
    """
    here = commit()
    if here["dirty"]:
        raise UserError(
            "a snapshot is named after its commit, and the tree differs from it",
            "commit your changes, or leave --snapshot out",
        )
    out = changelog.parse(changelog.PATH.read_text())[0].released is not None
    made = datetime.fromtimestamp(epoch(), UTC).strftime("%Y%m%d%H%M%S")
    return f"{version}{'+' if out else '~'}git{made}.{str(here['commit'])[:7]}"
