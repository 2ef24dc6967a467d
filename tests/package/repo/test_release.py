# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/release.md by which a user verifies a download, on a release that was signed."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from panicast_build.build import dist
from panicast_build.core import paths, tools
from panicast_build.core.paths import ROOT
from panicast_build.core.run import Result, run
from panicast_build.release import statements, steps
from panicast_build.release.steps import Release
from panicast_build.repository import task as repository
from panicast_build.repository.key import Key
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import Distro

from .conftest import OURS, THEIRS

TARGETS = ("debian-12", "el9")
MODULES = "debian-12"


@pytest.fixture
def release(
    keys: dict[str, Key],
    packaged: Callable[[Distro], Path],
    prebuilt: Callable[[Distro], Path],
    tmp_path: Path,
    monkeypatch,
) -> Release:
    """A release of what was built here, gathered and signed, with the module's own packages of a target."""
    tools.need("jq")
    chosen = tuple(distros.get(name) for name in TARGETS)
    built = {distro.name: packaged(distro) for distro in chosen}
    built[paths.modules_target(MODULES)] = prebuilt(distros.get(MODULES))
    for target, folder in built.items():
        shutil.copytree(
            folder, tmp_path / "dist" / target, ignore=shutil.ignore_patterns("kernel", "modules")
        )
    for module in (paths, dist, steps):
        monkeypatch.setattr(module, "DIST", tmp_path / "dist")

    def publish(_, task: str, *arguments: str, secrets: bool) -> None:
        """What steps.inv() runs in a process of its own, which would not know this dist/."""
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        assert task == "repo" and secrets and given.keys() == {"--distro", "--into", "--sign"}
        repository.run(given["--sign"], given["--distro"], given["--into"])

    monkeypatch.setattr(steps, "inv", publish)
    made = Release(metadata.load().version, chosen, (), OURS, tmp_path / "release", (MODULES,))
    made.folder.mkdir()
    with (tmp_path / "log").open("w") as log:
        for step in steps.STEPS:
            if step.name in ("collect", "sign"):
                step.do(made, log)
    return made


@pytest.fixture
def verify(tmp_path: Path) -> Callable[[Path, str], Result]:
    """verify(release's folder, first word of a block): runs that block of docs/release.md, as a user who has
    imported the key."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    blocks = re.findall(r"```\n((?:gpg|jq) .*?)```", (ROOT / "docs/release.md").read_text(), re.DOTALL)
    commands = {block.split()[0]: block for block in blocks}

    def verify(folder: Path, first: str) -> Result:
        env = {"GNUPGHOME": str(home)}
        return run(["bash", "-eo", "pipefail", "-c", commands[first]], cwd=folder, check=False, env=env)

    return verify


SUMMED, ATTESTED = "gpg", "jq"
# What is among a release's files: packages and sources of both families, what apt and dnf read, the key, and
# what is said of them.
KINDS = (
    *(
        "*.deb",
        "panicast-modules-*_amd64.deb",
        "*.dsc",
        "*.orig.tar.gz",
        "*.debian.tar.xz",
        "*.rpm",
        "*.src.rpm",
        "*.spec",
    ),
    *("InRelease", "Packages.xz", "repomd.xml", "repomd.xml.asc", "metalink.xml", "*-keyring.asc"),
    *("metadata.json", "manifest.json", "build.log", "sbom.cdx.json", "release-notes.md"),
)


def test_a_changed_byte_in_any_file_is_refused(
    release: Release, verify: Callable[[Path, str], Result]
) -> None:
    stated = [path for path in release.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert all(any(path.match(kind) for path in stated) for kind in KINDS)
    for block in (SUMMED, ATTESTED):
        verified = verify(release.folder, block)
        assert verified.code == 0, verified.output
    for path in stated:
        before = path.read_bytes()
        # In the middle: gpg does not mind what is around an armored signature.
        middle = len(before) // 2
        path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        # The provenance needs no sums.
        summing = path.name.removesuffix(".asc") == statements.SUMS
        for block in [SUMMED] if summing else [SUMMED, ATTESTED]:
            assert verify(release.folder, block).code != 0, (path, block)
        path.write_bytes(before)


def test_an_attestation_that_another_key_signed_is_refused(
    release: Release, keys: dict[str, Key], verify: Callable[[Path, str], Result]
) -> None:
    verify(release.folder, SUMMED)
    steps.state(release, keys[THEIRS], "c0ffee", datetime.now(UTC))
    verified = verify(release.folder, ATTESTED)
    assert verified.code != 0 and keys[THEIRS].fingerprint in verified.output


def test_evidence_is_of_what_users_install(release: Release) -> None:
    envelope = json.loads((release.folder / statements.PROVENANCE).read_text())
    statement = json.loads(b64decode(envelope["payload"]))
    hashes = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    published = {
        path.name: dist.sha256(path)
        for path in (release.folder / "repo/current/").rglob("*")
        if path.suffix in statements.PACKAGES and not path.name.endswith(".src.rpm")
    }
    bom = json.loads((release.folder / statements.SBOM).read_text())
    assert any("/panicast-modules-" in component["bom-ref"] for component in bom["components"])
    # All of it: what brings the archive's key, too.
    listed = {component["bom-ref"].rpartition("/")[2] for component in bom["components"]}
    assert published.keys() == {name for name in listed if not name.endswith(".src.rpm")}
    assert len({component["purl"] for component in bom["components"]}) == len(listed)
    for component in bom["components"]:
        name = component["bom-ref"].rpartition("/")[2]
        if not name.endswith(".src.rpm"):
            assert component["hashes"][0]["content"] == published[name] == hashes[component["bom-ref"]]
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert all(dependency["digest"] for dependency in dependencies)
    for name in release.targets:
        for component in dist.read(name)["components"].values():
            assert component["inputs"]["image"]["base"]["digests"]
