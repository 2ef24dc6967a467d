# SPDX-License-Identifier: GPL-2.0-or-later
"""Says where things are: the tree, dist/ for what is built, and the cache for what can be made
again."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DIST = ROOT / "dist"


def _cache() -> Path:
    if chosen := os.environ.get("PANICAST_CACHE"):
        return Path(chosen).resolve()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).resolve() / "panicast"


CACHE = _cache()
LOGS = CACHE / "logs"


def dist_dir(target: str) -> Path:
    """Returns the folder of what is built for a target: a distro, or DISTRO/kernel."""
    return DIST / target


def modules_target(distro: str) -> str:
    """Returns the target of the packages with the module itself, for a distro's kernels."""
    return f"{distro}/modules"


def kernel_target(distro: str) -> str:
    """Returns the target of a distro's patched kernel."""
    return f"{distro}/kernel"


def image_target(distro: str) -> str:
    """Returns the target of the receiver's container image."""
    return f"{distro}/image"
