# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMs with the module itself on a Debian root, for its kernel: without a compiler, and from panicast-dkms to
them and back."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from panicast_build.build import dist, rpm
from panicast_build.core import paths, tools
from panicast_build.core.paths import CACHE, ROOT
from panicast_build.crash.kit import kit
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.modules import task
from panicast_build.targets import distros, kernels, metadata

from ...kits import NAMES, assert_heard, with_modules
from .conftest import Machine, Start

VERSION = metadata.load().version
TARGET = "el9"
DKMS, COMMON, NEWEST = "panicast-dkms", "panicast-common", "kmod-panicast"
CONFIG = "/etc/modprobe.d/panicast.conf"
# The kernel, as its own package says it to rpm.
KERNEL = """
Name: kernel-core
Version: 1
Release: 1
Summary: A kernel
License: GPL-2.0-only
BuildArch: noarch
Provides: kernel-uname-r = {number}-{rest}

%description
As rpm sees it.

%files
"""


@pytest.fixture(scope="module")
def made(client: docker.DockerClient) -> list[Path]:
    """Those for Debian's kernel. They are nothing to publish, and so lie in another dist/, where the next run
    finds them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (paths, dist):
            patch.setattr(module, "DIST", CACHE / "tested" / "rpm")
        task.run(TARGET, rpm_host=rpm.DEBIAN)
        target = paths.modules_target(TARGET)
        # A run of last week may have left those for the kernel of that day.
        (kernel,) = task.orders_for(client, metadata.load(), distros.get(TARGET), [], None, rpm.DEBIAN)
        names = [entry["file"] for entry in dist.read(target)["components"][kernel]["files"]]
        folder = paths.dist_dir(target)
    return sorted(folder / name for name in names if name.endswith(".rpm") and ".src." not in name)


def test_rpmlint(made: list[Path], client: docker.DockerClient) -> None:
    base = distros.get(rpm.DEBIAN_HOST)
    builder = images.build(client, base, "build-rpm-debian")
    with Container(client, images.build(client, base, "lint-rpm", buildargs={"BASE": builder})) as box:
        box.write({path.name: path for path in made}, "/tmp")
        box.put(ROOT / "packaging/rpmlint.toml", "/etc")
        argv = ["rpmlint", "-c", "/etc/rpmlint.toml", *(path.name for path in made)]
        said = box.run(argv, cwd="/tmp", check=False).output
    assert " 0 errors, 0 warnings" in said, said


def place(machine: Machine, kernel: str) -> str:
    """Where modprobe finds the module, below the kernel's folder."""
    found = machine.run(["modinfo", "-k", kernel, "-n", "panicast"]).output.strip()
    assert machine.run(["modinfo", "-F", "version", found]).output.strip() == VERSION
    return found.partition(f"/{kernel}/")[2]


@pytest.fixture
def server(made: list[Path], start: Start) -> Machine:
    """A machine without a compiler, whose dnf knows the packages and its kernel."""
    machine = start()
    kernel = machine.run(["ls", "/lib/modules"]).output.strip()
    number, _, rest = kernel.partition("-")
    spec = KERNEL.format(number=number, rest=rest.replace("-", "_"))
    machine.write({"kernel.spec": spec.encode()}, "/tmp")
    machine.run(["rpmbuild", "-bb", "--quiet", "/tmp/kernel.spec"])
    machine.run(["sh", "-c", "mv /root/rpmbuild/RPMS/noarch/*.rpm /repo"])
    machine.add(made)
    return machine


def test_life_and_change(server: Machine) -> None:
    machine, before = server, server.files()
    kernel = machine.run(["ls", "/lib/modules"]).output.strip()
    machine.do("install", NEWEST)
    names = machine.run(["rpm", "-qa", "--qf", "%{NAME}\n"]).output.split()
    assert {NEWEST, f"{NEWEST}-{kernel}", COMMON} <= set(names) and not {"gcc", "make", "dkms"} & set(names)
    assert place(machine, kernel) == "updates/panicast/panicast.ko"

    edited = machine.read(CONFIG) + b"# edited\n"
    machine.write({Path(CONFIG).name: edited}, str(Path(CONFIG).parent))
    machine.run([*machine.manager.argv, "swap", NEWEST, DKMS, "--allowerasing"])
    machine.do("install", "kernel-devel")
    assert place(machine, kernel).startswith("updates/dkms/panicast.ko")
    machine.run([*machine.manager.argv, "swap", DKMS, NEWEST])
    assert place(machine, kernel) == "updates/panicast/panicast.ko"
    assert machine.read(CONFIG) == edited
    assert machine.run(["rpm", "-q", DKMS], check=False).code == 1

    machine.do("remove", NEWEST, f"{NEWEST}-{kernel}", COMMON, "kernel-devel")
    assert machine.files() - before == {f"{CONFIG}.rpmsave"}


@pytest.mark.nightly
def test_its_crash_is_heard(server: Machine, client: docker.DockerClient, tmp_path: Path) -> None:
    stock = kit(client, kernels.load()["6.1"])
    tools.need(stock.architecture.qemu, "setpriv")
    # Debian's, of which rpm does not know.
    server.run(["sh", "-c", "rm -r /usr/bin/*gcc* /usr/bin/make /usr/src/linux-headers-*"])
    server.do("install", NEWEST)
    paths = [
        server.run(["modinfo", "-k", stock.release, "-n", Path(name).stem]).output.strip() for name in NAMES
    ]
    brought = {path: server.read(path) for path in paths}
    assert_heard(with_modules(stock, brought, tmp_path / "kit"))
