# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies in the RPMs and beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import docker
import pytest

from panicast_build.build import rpm, rpmroot, source, verified
from panicast_build.build.order import Order
from panicast_build.build.reproduce import OTHER
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.targets import distros, metadata, vendored
from panicast_build.targets.distros import RpmDistro

VERSION = metadata.load().version
TARGETS = distros.of_family(RpmDistro)
SOURCES = f"/usr/src/panicast-{VERSION}"


@pytest.fixture(scope="module")
def box(client: docker.DockerClient, packaged: Callable) -> Iterator[Container]:
    """A container with rpm, and in /TARGET what was built for each target."""
    image = images.build(client, distros.get(rpm.DEBIAN_HOST), "build-rpm-debian")
    with Container(client, image) as box:
        for name, distro in TARGETS.items():
            box.run(["mkdir", f"/{name}"])
            box.put(packaged(distro), f"/{name}")
        yield box


def query(box: Container, name: str, package: str, *words: str) -> list[str]:
    path = f"/{name}/{package}-{VERSION}-{rpm.RELEASE}{TARGETS[name].dist}.noarch.rpm"
    return box.run(["rpm", "-qp", "--nosignature", *words, path]).output.splitlines()


@pytest.mark.parametrize("name", TARGETS)
def test_module_package(name: str, box: Container) -> None:
    files = query(box, name, "panicast-dkms", "-l")
    sources = {path for path in source.files("kmod") if path.endswith((".c", ".h"))}
    assert {f"{SOURCES}/{path}" for path in sources | {"Kbuild", "dkms.conf"}} <= set(files)
    requires = query(box, name, "panicast-dkms", "--requires")
    common = f"panicast-common = {VERSION}"
    assert set(TARGETS[name].kernel_devel) | {"dkms", "kmod", common} <= set(requires)
    # Nobody has looked for what the module's sources may need.
    assert not [line for line in requires if line.startswith("/") and line != "/bin/sh"]


@pytest.mark.parametrize("name", TARGETS)
def test_what_every_package_with_a_module_needs(name: str, box: Container) -> None:
    files = query(box, name, "panicast-common", "-l")
    assert {"/usr/lib/modules-load.d/panicast.conf", "/usr/share/man/man8/panicast-ctl.8.gz"} <= set(files)
    units = {f"/usr/lib/systemd/system/panicast{name}.service" for name in ("", "-kept")}
    assert units | {"/usr/lib/systemd/system-preset/85-panicast.preset"} <= set(files)
    dracut = {f"/usr/lib/dracut/modules.d/45panicast/{name}.sh" for name in ("load", "module-setup")}
    dracut |= {"/usr/lib/dracut/dracut.conf.d/panicast.conf"}
    assert dracut | {"/usr/share/panicast/initramfs/contents.sh"} <= set(files)
    parts = {name[5:] for name in source.files("kmod") if name.startswith("dist/ctl/")}
    assert {f"/usr/share/panicast/{part}" for part in parts | {"sysctl.conf"}} <= set(files)
    assert query(box, name, "panicast-common", "-c") == ["/etc/modprobe.d/panicast.conf"]


def test_sources_are_as_they_were(box: Container) -> None:
    box.run(["rpm", "-i", "--nodeps", "--noscripts", f"/el9/panicast-dkms-{VERSION}-1.el9.noarch.rpm"])
    for name, path in source.files("kmod").items():
        if name.endswith((".c", ".h")) or name == "Kbuild":
            assert box.read(f"{SOURCES}/{name}") == path.read_bytes(), name
    assert f'PACKAGE_VERSION="{VERSION}"' in box.read(f"{SOURCES}/dkms.conf").decode()


@pytest.mark.parametrize("name", TARGETS)
def test_receiver_package(name: str, box: Container) -> None:
    files = query(box, name, "panicast-receiver", "-l")
    assert {
        "/usr/bin/panicast-receiver",
        "/usr/lib/systemd/system/panicast-receiver.service",
        "/usr/lib/systemd/system/panicast-collect.service",
        "/usr/lib/systemd/system/panicast-receiver-web.service",
        "/usr/lib/panicast-receiver/panicast_receiver/web/templates/records.html",
        "/usr/share/doc/panicast-receiver/grafana-dashboard.json",
        "/usr/share/doc/panicast-receiver/prometheus-rules.yml",
        "/usr/lib/sysusers.d/panicast-receiver.conf",
        "/usr/lib/firewalld/services/panicast-receiver.xml",
    } <= set(files)
    assert query(box, name, "panicast-receiver", "-c") == ["/etc/panicast/receiver.toml"]
    requires = query(box, name, "panicast-receiver", "--requires")
    assert set(TARGETS[name].python_requires) | {TARGETS[name].python} <= set(requires)
    assert set(query(box, name, "panicast-receiver", "--recommends")) >= set(TARGETS[name].python_suggests)
    provides = query(box, name, "panicast-receiver", "--provides")
    for module in TARGETS[name].vendored:
        assert [path for path in files if path.startswith(f"/usr/lib/panicast-receiver/{module}")]
        assert [
            line
            for line in provides
            if line.startswith(f"bundled(python3dist({vendored.distribution(module)}))")
        ]


def test_el8_runs_with_what_it_takes_along(client: docker.DockerClient, packaged: Callable) -> None:
    """Without any module of a distribution: a record goes into the store and comes out."""
    script = """
import sys
sys.path.insert(0, "/usr/lib/panicast-receiver")
import tomli, sdnotify, zstandard
assert "/panicast-receiver/" in tomli.__file__ + sdnotify.__file__ + zstandard.__file__
from panicast_receiver.cli import main as cli
text = b"last words " * 1000
packed = zstandard.ZstdCompressor(level=3).compress(text)
assert len(packed) < 100
assert zstandard.ZstdDecompressor().decompress(packed, max_output_size=len(text)) == text
sys.exit(cli.main(["list", "--state-dir", "/tmp/state"]))
"""
    (path,) = packaged(TARGETS["el8"]).glob("panicast-receiver-*.noarch.rpm")
    with Container(client, rpmroot.image(client, rpmroot.MANAGERS["dnf"].root)) as box:
        box.put(path, "/tmp")
        box.run(["rpm", "-i", "--nodeps", "--noscripts", f"/tmp/{path.name}"])
        said = box.run(["python3", "-IB", "-c", script], check=False)
    assert "Traceback" not in said.output, said.output


@pytest.mark.parametrize("name", TARGETS)
def test_evidence(name: str, packaged: Callable) -> None:
    folder = packaged(TARGETS[name])
    stated = json.loads((folder / "metadata.json").read_text())
    for component in metadata.of_family("rpm"):
        built = stated["components"][component.name]
        assert built["inputs"]["host"] in (rpm.REAL, rpm.DEBIAN)
        stem = f"{component.package}-{VERSION}-{rpm.RELEASE}{TARGETS[name].dist}"
        files = {f"{stem}.noarch.rpm", f"{stem}.src.rpm", f"{component.package}.spec"}
        # The module's has a second one.
        files |= {f"{stem.replace('-dkms-', '-common-')}.noarch.rpm"}
        assert {entry["file"] for entry in built["files"]} == files
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in folder.iterdir() if path.is_file()} - {
        "SHA256SUMS",
        *verified.LATER,
    }
    for file, stated_sum in sums.items():
        assert sha256((folder / file).read_bytes()).hexdigest() == stated_sum


def test_same_inputs_give_same_bytes(client: docker.DockerClient, packaged: Callable, tmp_path: Path) -> None:
    first = packaged(TARGETS["el9"])
    for component in metadata.of_family("rpm"):
        with (tmp_path / "log").open("w") as log:
            built = rpm.Build(Order(client, metadata.load(), component, around=OTHER), TARGETS["el9"])
            built.run(tmp_path, log)
    again = [path for path in tmp_path.iterdir() if path.suffix in (".rpm", ".spec")]
    assert len(again) == 10
    for path in again:
        assert path.read_bytes() == (first / path.name).read_bytes(), path.name
