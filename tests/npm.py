# SPDX-License-Identifier: GPL-2.0-or-later
"""Tools of tests that only npm has, as a package-lock.json pins them."""

from __future__ import annotations

import shutil
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.paths import CACHE
from panicast_build.core.run import run


def installed(pinned: Path, name: str) -> Path:
    """The folder, called name in the cache, to which npm has installed what the folder pinned names."""
    tools.need("node", "npm")
    folder = CACHE / "npm" / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = (pinned / "package-lock.json").read_bytes()
    done = folder / "node_modules" / ".of"
    if not done.exists() or done.read_bytes() != lock:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(pinned / file, folder)
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)
        done.write_bytes(lock)
    return folder
