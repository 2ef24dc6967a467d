# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock kernel crashes with the module that a package brings to servers without a compiler."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from debian.debfile import DebFile

from panicast_build.build import dist
from panicast_build.core import paths, tools
from panicast_build.core.run import run
from panicast_build.crash import cases, guest, verdict
from panicast_build.crash.kit import kit
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.modules import task
from panicast_build.repository import index
from panicast_build.smoke import uefi
from panicast_build.targets import distros, kernels
from panicast_build.targets.distros import DebDistro, Distro

from ..conftest import FLAVOUR
from ..kits import NAMES, assert_heard, with_modules
from ..nightly import rows

# The kernels, and the targets whose archive they are of.
TESTED = {"6.1": "debian-12", "6.12": "debian-13", "6.1-arm64": "debian-12", "6.12-arm64": "debian-13"}
# A key as the message about a missing one has it, and seconds that a firmware may take under TCG.
REQUEST = (
    *("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "30"),
    *("-subj", "/CN=our kernel modules/", "-addext", "keyUsage=digitalSignature"),
)
SECURE_BOOT_S = 600
NEWEST = f"panicast-modules-{FLAVOUR}"


def contents(deb: Path, end: str = ".ko") -> dict[str, bytes]:
    """The files in a package whose names have this end, the modules, by path."""
    data = DebFile(str(deb)).data.tgz()
    files = {str(name): data.extractfile(name) for name in data.getnames() if name.endswith(end)}
    return {name: file.read() for name, file in files.items() if file is not None}


@pytest.mark.parametrize(
    ("name", "target"), rows({name: (name, of) for name, of in TESTED.items()}, ("6.1",))
)
def test_its_record_arrives(
    name: str, target: str, client: docker.DockerClient, prebuilt: Callable[..., Path], tmp_path: Path
) -> None:
    stock = kit(client, kernels.load()[name])
    tools.need(stock.architecture.qemu, "setpriv")
    built = prebuilt(distros.get(target), stock.release)
    (deb,) = built.glob(f"panicast-modules-{stock.release}_*.deb")
    assert_heard(with_modules(stock, contents(deb), tmp_path / "kit"))


@pytest.mark.nightly
def test_under_secure_boot_it_is_heard_if_its_signer_is_enrolled(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distro, stock = distros.of_family(DebDistro)[TESTED["6.1"]], kit(client, kernels.load()["6.1"])
    tools.need(stock.architecture.qemu, "setpriv", "openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    run([*REQUEST, "-keyout", key, "-out", certificate])
    key.write_bytes(key.read_bytes() + certificate.read_bytes())
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", tmp_path / "dist")
    task.run(distro.name, stock.release, key=str(key))
    (deb,) = paths.dist_dir(paths.modules_target(distro.name)).glob(f"panicast-modules-{stock.release}_*.deb")
    made = with_modules(stock, contents(deb), tmp_path / "kit")
    # The package brings it for mokutil.
    signer = tmp_path / "signer.der"
    (certificate_der,) = contents(deb, ".der").values()
    signer.write_bytes(certificate_der)

    loaders, case = uefi.chain(client, distro), replace(cases.load()["sysrq"], life=SECURE_BOOT_S)
    # What is refused is waited for no longer.
    refused = replace(case, load="insmod /panicast.ko || reboot -f")
    outcome = guest.under_secure_boot(made, "virtio-net-pci", refused, loaders, [])
    assert "Secure boot enabled" in outcome.console and not outcome.frames, str(outcome)
    assert "Loading of module with unavailable key is rejected" in outcome.console, str(outcome)
    outcome = guest.under_secure_boot(made, "virtio-net-pci", case, loaders, [signer])
    assert "Secure boot enabled" in outcome.console
    assert not verdict.fault(case, outcome), str(outcome)


class Server(Container):
    """A stock machine without a compiler, whose apt knows the distribution's archive and a folder of ours."""

    def offer(self, debs: Iterable[Path], folder: Path) -> None:
        """Puts packages into our folder, besides those that are there; folder keeps them all here."""
        folder.mkdir(exist_ok=True)
        for deb in debs:
            shutil.copy(deb, folder)
        (folder / "Packages").write_text(index.packages(folder))
        self.run(["mkdir", "-p", "/repo"])
        self.put(folder, "/repo")
        self.write({"ours.list": b"deb [trusted=yes] file:/repo ./\n"}, "/etc/apt/sources.list.d")
        self.run(["apt-get", "update"])

    def apt(self, *arguments: str) -> None:
        self.run(["apt-get", "-y", "--no-install-recommends", *arguments])

    def kernels(self) -> list[str]:
        """The archive's kernels of the flavour, the newest last."""
        names = self.run(["apt-cache", "pkgnames", "linux-image-"]).output.split()
        releases = [
            match[1]
            for match in map(re.compile(rf"linux-image-(\d.*-\d+-{FLAVOUR})").fullmatch, names)
            if match
        ]
        return sorted(releases, key=lambda release: [int(number) for number in re.findall(r"\d+", release)])

    def modules(self, release: str) -> dict[str, bytes]:
        """The modules that modprobe finds for a kernel, by path."""
        found = [self.run(["modinfo", "-k", release, "-n", Path(name).stem]).output.strip() for name in NAMES]
        return {path: self.read(path) for path in found}


def of_kernel(built: Path, release: str) -> list[Path]:
    """The package with the module for a kernel, and the one that brings it."""
    (deb,) = built.glob(f"panicast-modules-{release}_*.deb")
    return [deb, built / deb.name.replace(release, FLAVOUR, 1)]


@pytest.mark.nightly
def test_its_record_arrives_after_a_kernel_update(
    client: docker.DockerClient,
    packaged: Callable[[Distro], Path],
    prebuilt: Callable[..., Path],
    tmp_path: Path,
) -> None:
    distro = distros.of_family(DebDistro)[TESTED["6.1"]]
    stock = kit(client, kernels.load()["6.1"])
    with Server(client, images.base(client, distro), network="host", env={"INITRD": "No"}) as server:
        server.run(["apt-get", "update"])
        *_, old, new = server.kernels()
        assert new == stock.release
        server.offer(
            [*packaged(distro).glob("*.deb"), *of_kernel(prebuilt(distro, old), old)], tmp_path / "repo"
        )
        server.apt("install", f"linux-image-{old}", NEWEST)
        assert server.modules(old)

        # First comes the kernel; until our package does, doctor says what is missing.
        server.apt("install", distro.kernel_image)
        said = server.run(["panicast-ctl", "doctor", "--next"], check=False)
        assert said.code == 1 and new in said.output, said.output
        server.offer(of_kernel(prebuilt(distro, new), new), tmp_path / "repo")
        server.apt("upgrade", "--with-new-pkgs")
        assert server.run(["panicast-ctl", "doctor", "--next"]).output.endswith("which has the module.\n")
        listed = server.run(["dpkg-query", "-W", "-f", "${Package}\n"]).output.split()
        assert not [
            name for name in listed if name in ("gcc", "make", "dkms") or name.startswith("linux-headers")
        ]
        brought = server.modules(new)
    assert_heard(with_modules(stock, brought, tmp_path / "kit"))
