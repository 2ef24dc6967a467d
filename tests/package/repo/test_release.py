# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/release.md by which a user verifies a download, on a release that was signed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.build import dist
from panicast_build.core.paths import ROOT
from panicast_build.core.run import Result, run
from panicast_build.release import statements, steps
from panicast_build.release.steps import Release
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro

OURS = "archive@example.org"
TARGETS = ("debian-12", "el9")


@pytest.fixture
def release(keys, packaged: Callable[[Distro], Path], tmp_path: Path, monkeypatch) -> Release:
    """A release of what was built here, gathered and signed."""
    chosen = tuple(distros.get(name) for name in TARGETS)
    for distro in chosen:
        packaged(distro)
    monkeypatch.setattr(steps, "DIST", tmp_path / "dist")
    made = Release(metadata.load().version, chosen, (), OURS, tmp_path / "release")
    made.folder.mkdir()
    with (tmp_path / "log").open("w") as log:
        for step in steps.STEPS:
            if step.name in ("collect", "sign"):
                step.do(made, log)
    return made


def commands() -> list[str]:
    text = (ROOT / "docs/release.md").read_text()
    (block,) = re.findall(r"```\n(gpg --import .*?)```", text, re.DOTALL)
    return block.splitlines()


def verify(folder: Path) -> Result:
    return run(["sh", "-ec", "\n".join(commands())], cwd=folder, check=False)


def test_a_changed_byte_in_any_file_is_refused(release: Release) -> None:
    verified = verify(release.folder)
    assert verified.code == 0, verified.output
    stated = [path for path in release.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    # Signatures of repositories are not summed: apt and dnf verify them.
    for path in [path for path in stated if path.suffix != ".asc" or path.parent == release.folder]:
        before = path.read_bytes()
        # In the middle: gpg does not mind what is around an armored signature.
        middle = len(before) // 2
        path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        assert verify(release.folder).code != 0, path
        path.write_bytes(before)


def test_evidence_is_of_what_users_install(release: Release) -> None:
    statement = json.loads((release.folder / statements.PROVENANCE).read_text())
    hashes = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    published = {
        path.name: dist.sha256(path)
        for path in (release.folder / "repo/current/").rglob("*")
        if path.suffix in statements.PACKAGES and not path.name.endswith(".src.rpm")
    }
    bom = json.loads((release.folder / statements.SBOM).read_text())
    for component in bom["components"]:
        name = component["bom-ref"].rpartition("/")[2]
        if not name.endswith(".src.rpm"):
            assert component["hashes"][0]["content"] == published[name] == hashes[component["bom-ref"]]
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert all(dependency["digest"] for dependency in dependencies)
    for name in TARGETS:
        for component in dist.read(name)["components"].values():
            assert component["inputs"]["image"]["base"]["digests"]
