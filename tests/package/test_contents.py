# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies in the packages and beside them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import docker
from debian.debfile import DebFile

from panicast_build.build import deb, source, verified
from panicast_build.build.order import Order
from panicast_build.build.reproduce import OTHER
from panicast_build.core.paths import ROOT
from panicast_build.targets import metadata
from panicast_build.targets.distros import DebDistro, Distro

VERSION = metadata.load().version


def opened(folder: Path, package: str) -> DebFile:
    (path,) = folder.glob(f"{package}_*_all.deb")
    return DebFile(path)


def names(package: DebFile) -> set[str]:
    return {name.removeprefix("./") for name in package.data.tgz().getnames()}


def test_module_package(packaged: Callable[[Distro], Path], distro: DebDistro) -> None:
    package = opened(packaged(distro), "panicast-dkms")
    found = names(package)
    sources = {name for name in source.files("kmod") if name.endswith((".c", ".h"))}
    assert {f"usr/src/panicast-{VERSION}/{name}" for name in sources | {"Kbuild", "dkms.conf"}} <= found
    assert not [name for name in found if name.endswith((".o", ".ko"))]
    dkms = package.data.get_content(f"usr/src/panicast-{VERSION}/dkms.conf").decode()
    assert f'PACKAGE_VERSION="{VERSION}"' in dkms
    assert not {name for name in found if name.startswith(("etc/", "usr/sbin/", "usr/share/man/"))}


def test_what_every_package_with_a_module_needs(
    packaged: Callable[[Distro], Path], distro: DebDistro
) -> None:
    package = opened(packaged(distro), "panicast-common")
    # Units are below /usr from Debian 13 on.
    found = {name.removeprefix("usr/") if "/systemd/" in name else name for name in names(package)}
    assert {
        "etc/modprobe.d/panicast.conf",
        "usr/lib/modules-load.d/panicast.conf",
        "usr/sbin/panicast-ctl",
        *(f"usr/share/panicast/{name[5:]}" for name in source.files("kmod") if name.startswith("dist/ctl/")),
        "usr/share/panicast/sysctl.conf",
        "usr/share/initramfs-tools/hooks/panicast",
        "usr/share/panicast/initramfs/contents.sh",
        "usr/share/initramfs-tools/scripts/init-top/panicast",
        "usr/lib/dracut/modules.d/45panicast/module-setup.sh",
        "usr/lib/dracut/modules.d/45panicast/load.sh",
        "usr/lib/dracut/dracut.conf.d/panicast.conf",
        "lib/systemd/system/panicast.service",
        "lib/systemd/system/panicast-kept.service",
        "usr/share/man/man8/panicast-ctl.8.gz",
    } <= found
    assert package.control.get_content("conffiles").decode().split() == ["/etc/modprobe.d/panicast.conf"]
    assert package.data.tgz().getmember("./usr/sbin/panicast-ctl").mode == 0o755


def test_receiver_package(packaged: Callable[[Distro], Path], distro: DebDistro) -> None:
    package = opened(packaged(distro), "panicast-receiver")
    found = {Path(name).name for name in names(package)}
    unit, manual = "panicast-receiver.service", "panicast-receiver.8.gz"
    assert {"panicast-receiver", unit, manual, "receiver.toml", "panicast-collect.service"} <= found
    taken = "usr/lib/python3/dist-packages/panicast_receiver/vendored"
    assert {f"{taken}/{module}/__init__.py" for module in distro.vendored} <= names(package)
    assert {"panicast-receiver-web.service", "style.css", "live.js", "records.html"} <= found
    documents = {"grafana-dashboard.json", "prometheus-rules.yml"}
    assert {f"usr/share/doc/panicast-receiver/{name}" for name in documents} <= names(package)
    profiles = {f"etc/apparmor.d/{name}" for name in source.files("receiver/dist/apparmor")}
    assert profiles <= names(package) and len(profiles) == 4
    control = package.debcontrol()
    assert control["Version"] == f"{VERSION}-1{distro.version_suffix}"
    assert {"python3-zstandard", "python3-sdnotify"} <= set(control["Depends"].split(", "))
    # A log host without them serves all but the page.
    wanted = {"python3-aiohttp", "python3-jinja2", "python3-prometheus-client"}
    assert wanted <= set(control["Recommends"].split(", ")) and not wanted & set(
        control["Depends"].split(", ")
    )
    files = {"/etc/panicast/receiver.toml", *(f"/{name}" for name in profiles)}
    assert set(package.control.get_content("conffiles").decode().split()) == files


def test_evidence(packaged: Callable[[Distro], Path], distro: DebDistro) -> None:
    folder = packaged(distro)
    stated = json.loads((folder / "metadata.json").read_text())
    assert stated["version"] == VERSION
    for component in metadata.of_family("deb"):
        files = [entry["file"] for entry in stated["components"][component.name]["files"]]
        version = f"{component.package}_{VERSION}-1{distro.version_suffix}"
        assert {f"{version}.dsc", f"{version}.debian.tar.xz", f"{version}_all.deb"} <= set(files)
        assert f"{component.package}_{VERSION}.orig.tar.gz" in files
        assert [name for name in files if name.endswith(".changes")]
        assert [name for name in files if name.endswith(".buildinfo")]
        assert f"dpkg-deb: building package '{component.package}'" in (folder / "build.log").read_text()
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in folder.iterdir() if path.is_file()} - {
        "SHA256SUMS",
        *verified.LATER,
    }
    for name, stated_sum in sums.items():
        assert sha256((folder / name).read_bytes()).hexdigest() == stated_sum


def test_same_inputs_give_same_bytes(
    client: docker.DockerClient, packaged: Callable[[Distro], Path], distro: DebDistro, tmp_path: Path
) -> None:
    first = packaged(distro)
    for component in metadata.of_family("deb"):
        with (tmp_path / "log").open("w") as log:
            deb.Build(Order(client, metadata.load(), component, around=OTHER), distro).run(tmp_path, log)
    again = [path for path in tmp_path.iterdir() if path.name.endswith((".deb", ".dsc", ".xz", ".gz"))]
    assert len(again) == 9
    for path in again:
        assert path.read_bytes() == (first / path.name).read_bytes(), path.name


def test_the_licence_is_in_the_source_too(packaged: Callable[[Distro], Path], distro: DebDistro) -> None:
    archives = [*packaged(distro).glob("*.orig.tar.gz")]
    assert {path.name.partition("_")[0] for path in archives} == {"panicast-dkms", "panicast-receiver"}
    for path in archives:
        with tarfile.open(path) as archive:
            (found,) = (each for each in archive.getmembers() if each.name.split("/")[1:] == ["LICENSE"])
            text = archive.extractfile(found)
            assert text and text.read() == (ROOT / "LICENSE").read_bytes()
