# SPDX-License-Identifier: GPL-2.0-or-later
"""Rendered specs, and where they are built; rpm's own parser sees them in tests/lint."""

from __future__ import annotations

import re
from dataclasses import replace
from unittest.mock import Mock

import pytest

from panicast_build.build import package, rpm, rpmroot
from panicast_build.core.errors import UserError
from panicast_build.engine import bootstrap, images
from panicast_build.targets import changelog, distros, metadata
from panicast_build.targets.distros import RpmDistro

TARGETS = distros.of_family(RpmDistro)
PROJECT = metadata.load()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("component", metadata.of_family("rpm"), ids=lambda c: c.name)
def test_a_spec_is_an_ordinary_one(name: str, component: metadata.Component) -> None:
    files = rpm.render(PROJECT, component, TARGETS[name], epoch=0)
    spec = files[f"{component.package}.spec"].decode()
    # The epoch, until a release dates it.
    day = changelog.parse(changelog.PATH.read_text())[0].time(0)
    heading = f"* {day:%a %b %d %Y} {PROJECT.maintainer} - {PROJECT.version}-1{TARGETS[name].dist}\n"
    assert heading in spec
    assert f"Release:        {rpm.RELEASE}%{{?dist}}\n" in spec
    assert "\n\n\n" not in spec and "{{" not in spec and "{%" not in spec
    # Every other file is one of its sources.
    for source in files.keys() - {f"{component.package}.spec"}:
        assert f":        {source}\n" in spec


@pytest.mark.parametrize("name", TARGETS)
def test_no_upgrade_replaces_what_an_administrator_wrote(name: str) -> None:
    """What rpm says of each file that a package brings to /etc."""
    said = []
    for component in metadata.of_family("rpm"):
        spec = rpm.render(PROJECT, component, TARGETS[name], epoch=0)[f"{component.package}.spec"].decode()
        said += re.findall(
            r"^(?!%dir |%ghost )(.*)%\{_sysconfdir\}/\S+$", spec.partition("\n%files")[2], re.M
        )
    assert said and set(said) == {"%config(noreplace) "}


def test_the_host_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client, el9 = Mock(), TARGETS["el9"]
    for has, kind in ((True, rpm.REAL), (False, rpm.DEBIAN)):
        monkeypatch.setattr(images, "obtainable", lambda client, distro, has=has: has)
        assert rpm.host(client, el9, rpm.AUTO) == kind
        assert rpm.host(client, el9, rpm.REAL) == rpm.REAL
        assert rpm.host(client, el9, rpm.DEBIAN) == rpm.DEBIAN
    with pytest.raises(UserError) as refused:
        rpm.host(client, el9, "fedora")
    assert refused.value.hint == "there are: real, debian, auto"


def test_a_real_base_image_that_no_registry_has_is_refused_with_the_way_out(tmp_path) -> None:
    with pytest.raises(UserError, match="no registry answers for almalinux:9") as refused:
        bootstrap.BOOTSTRAPS["rpm"](TARGETS["el9"], "", tmp_path / "tar", tmp_path / "log")
    assert "--rpm-host debian" in refused.value.hint


def test_a_real_host_installs_what_the_specs_ask_for() -> None:
    wanted = rpm.build_requires(PROJECT, TARGETS["el9"])
    assert {"systemd-rpm-macros", "selinux-policy-devel", "firewalld-filesystem"} <= set(wanted)
    assert "systemd" in rpm.build_requires(PROJECT, TARGETS["el8"])


def test_every_target_has_a_manager_that_is_known() -> None:
    assert {distro.manager for distro in TARGETS.values()} <= set(rpmroot.MANAGERS)
    assert rpmroot.MANAGERS["zypper"].command("downgrade")[-2:] == ["install", "--oldpackage"]
    assert rpmroot.MANAGERS["dnf"].command("downgrade")[-1] == "downgrade"


def test_a_component_that_a_family_has_not_is_refused() -> None:
    with pytest.raises(UserError, match="debian-12 has no packages of selinux"):
        package.run("debian-12", "selinux")


def test_a_new_release_of_a_version_differs_in_its_release_alone() -> None:
    component = metadata.COMPONENTS["kmod"]
    first, second = (
        rpm.render(PROJECT, component, replace(TARGETS["el9"]), 0, release)["panicast-dkms.spec"].decode()
        for release in ("1", "2")
    )
    changed = [pair for pair in zip(first.splitlines(), second.splitlines(), strict=True) if len({*pair}) > 1]
    assert len(changed) == 2
