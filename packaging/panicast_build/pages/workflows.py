# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv workflows: writes what other CI systems run, a job for each target, from distros.toml."""

from __future__ import annotations

from pathlib import Path

from panicast_build.core import files, progress, templating
from panicast_build.core.paths import ROOT
from panicast_build.targets import distros

TEMPLATES = ROOT / "packaging" / "templates" / "ci"
# template -> where its CI system looks for it
WRITTEN = {
    "github.yml": Path(".github/workflows/packages.yml"),
    "gitlab.yml": Path(".gitlab-ci.yml"),
}


def render(name: str) -> str:
    """Returns a rendered template of WRITTEN, for today's targets."""
    template = templating.environment(TEMPLATES).get_template(name)
    return template.render(distros=list(distros.load().values()))


def run() -> None:
    """Writes the files."""
    for name, path in WRITTEN.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        files.write(ROOT / path, render(name))
        progress.say(f"wrote {path}")
