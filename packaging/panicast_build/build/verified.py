# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps evidence of what was verified beside the packages in dist/DISTRO. It is valid for those
bytes only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from panicast_build.build import dist
from panicast_build.core import files
from panicast_build.core.paths import dist_dir

LIFE, SMOKE, PATCHED = "life.json", "smoke.json", "smoke-patched.json"
SECURE_BOOT, MODULES = "smoke-secureboot.json", "smoke-modules.json"
REPRODUCED = "reproduced.json"
# Not written by the build, and so not in its checksums.
LATER = (LIFE, SMOKE, PATCHED, SECURE_BOOT, MODULES, REPRODUCED)


def hashes(distro: str) -> dict[str, str]:
    """Returns the SHA-256 of every file that was built for a distro, by name."""
    parts = dist.read(distro).get("components", {}).values()
    return {entry["file"]: entry["sha256"] for part in parts for entry in part["files"]}


def read(distro: str, name: str) -> dict[str, Any]:
    """Returns the evidence about the files in dist/; {} if there is none or the files have changed
    since.

    "packages" in it lists files of dist/, each with "file" and "sha256".
    """
    try:
        seen: dict[str, Any] = json.loads((dist_dir(distro) / name).read_text())
    except (OSError, ValueError):
        return {}
    now = hashes(distro)
    fits = seen["packages"] and all(now.get(of["file"]) == of["sha256"] for of in seen["packages"])
    return seen if fits else {}


def today() -> str:
    """Returns today's date in UTC."""
    return datetime.now(UTC).date().isoformat()


def add_life(distro: str, packages: Sequence[str], built: dict[str, str], seen: dict[str, Any]) -> None:
    """Adds to life.json what was seen of packages (their names) from installation to removal. built
    are the hashes() at that time.

    The file is {"packages": […], "lives": {name: seen}}; seen is {"tools": names and versions of
    the tools, "host": the root's system, "steps": the steps in order}.
    """
    of = [{"file": file, "sha256": sha} for file, sha in sorted(built.items())]
    before = read(distro, LIFE)
    lives = before["lives"] if before.get("packages") == of else {}
    lives |= {name: {**seen, "date": today()} for name in packages}
    text = json.dumps({"packages": of, "lives": lives}, indent=2)
    files.write(dist_dir(distro) / LIFE, text + "\n")
