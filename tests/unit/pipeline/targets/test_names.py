# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets, components, versions: right names are found, wrong ones are answered with the right ones."""

import shutil
from pathlib import Path

import pytest
from debian.debian_support import Version

from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.engine import bootstrap
from panicast_build.targets import distros, metadata


def test_every_family_has_a_bootstrap_and_a_builder() -> None:
    families = {distro.family for distro in distros.load().values()}
    assert families <= set(bootstrap.BOOTSTRAPS) & set(distros.KINDS)


def test_version_suffixes_sort_as_the_distros_do() -> None:
    for vendor in ("debian", "ubuntu"):
        targets = [d for d in distros.of_family(distros.DebDistro).values() if d.image.startswith(vendor)]
        versions = [Version(f"1.0-1{distro.version_suffix}") for distro in targets]
        assert len(versions) > 1 and versions == sorted(set(versions))


def test_select() -> None:
    assert [distro.name for distro in distros.select("debian-13, debian-12,debian-13")] == [
        "debian-13",
        "debian-12",
    ]
    assert distros.select("all") == list(distros.load().values())


@pytest.mark.parametrize("names", ["", " , ", "debian-12,nonesuch", "Debian"])
def test_wrong_distro(names: str) -> None:
    with pytest.raises(UserError) as refused:
        distros.select(names)
    assert "debian-12, debian-13" in refused.value.hint


def test_a_near_miss_is_guessed() -> None:
    with pytest.raises(UserError) as refused:
        distros.get("debian12")
    assert refused.value.hint.startswith("did you mean debian-12?")


def test_wrong_component() -> None:
    with pytest.raises(UserError) as refused:
        metadata.components("module")
    assert "kmod, receiver" in refused.value.hint


def test_versions_agree() -> None:
    assert metadata.load().version


@pytest.mark.parametrize("path", metadata.VERSION_COPIES)
def test_disagreeing_versions_are_refused(path: Path, tmp_path: Path) -> None:
    version = metadata.load().version
    for name in (metadata.METADATA, *metadata.VERSION_COPIES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / path).write_text((tmp_path / path).read_text().replace(f'"{version}"', '"9.9.9"', 1))
    with pytest.raises(UserError, match=f"{path} says 9.9.9"):
        metadata.load(tmp_path)
