# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages with the module itself: which kernels are meant, what their packages are called and contain."""

from __future__ import annotations

import pytest

from panicast_build.build import deb, rpm
from panicast_build.core.errors import UserError
from panicast_build.modules import kernels, task
from panicast_build.modules.kernels import DebKernel as Kernel
from panicast_build.modules.rpm import RpmKernel
from panicast_build.targets import distros, metadata
from panicast_build.targets.distros import DebDistro, RpmDistro
from panicast_build.targets.metadata import Component

DEBS, RPMS = distros.of_family(DebDistro), distros.of_family(RpmDistro)
PROJECT = metadata.load()
EL = RpmKernel("5.14.0-570.32.1.el9_6.x86_64", "5.14.0-570.32.1.el9_6.x86_64", "/usr/src/kernels/x", "image")
SUSE = RpmKernel("6.12.0-160000.5-default", "6.12.0-160000.5.1", "/usr/src/linux-obj", "image")


@pytest.mark.parametrize(
    ("release", "flavour"),
    [
        ("6.1.0-57-amd64", "amd64"),
        ("6.1.0-57-cloud-amd64", "cloud-amd64"),
        ("6.12.48+deb13-rt-amd64", "rt-amd64"),
    ],
)
def test_a_kernels_flavour_is_its_longest(release: str, flavour: str) -> None:
    assert kernels.flavour(DEBS["debian-12"], release) == flavour


def test_a_kernel_of_another_distribution_is_refused() -> None:
    with pytest.raises(UserError, match=r"no kernel called '6\.8\.0-59-generic'") as error:
        kernels.flavour(DEBS["debian-12"], "6.8.0-59-generic")
    assert "amd64, cloud-amd64" in (error.value.hint or "")


def control(kernel: Kernel, key: str = "") -> dict[str, str]:
    component = Component("kmod", f"panicast-modules-{kernel.release}", ("deb",), task.TEMPLATES)
    values = {"kernel": kernel, "key": key, "signers": task.SIGNERS}
    rendered = deb.render(PROJECT, component, DEBS["debian-13"], 0, kernel.suffix, values)
    return {name: text.decode() for name, text in rendered.items()}


def test_a_newer_kernels_packages_are_newer_and_named_after_it() -> None:
    kernel = Kernel("6.12.48+deb13-cloud-amd64", "6.12.48-1", "cloud-amd64")
    files = control(kernel)
    assert f"({PROJECT.version}-1~deb13+6.12.48.1)" in files["changelog"]
    assert "Package: panicast-modules-6.12.48+deb13-cloud-amd64\nArchitecture: amd64\n" in files["control"]
    assert "Package: panicast-modules-cloud-amd64\n" in files["control"]
    assert "/usr/lib/modules/6.12.48+deb13-cloud-amd64/updates/panicast" in files["rules"]


def test_another_architecture_is_compiled_for_here() -> None:
    kernel = Kernel("6.1.0-57-arm64", "6.1.192-3", "arm64")
    files = control(kernel)
    assert "Architecture: arm64\n" in files["control"]
    assert "ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- KCFLAGS" in files["rules"]
    assert "aarch64-linux-gnu-strip --strip-debug" in files["rules"]
    assert kernel.options[:2] == ("--host-arch", "arm64")
    assert Kernel("6.1.0-57-amd64", "6.1.192-3", "amd64").options == ()


def test_only_a_key_signs() -> None:
    kernel = Kernel("6.12.48+deb13-amd64", "6.12.48-1", "amd64")
    unsigned, signed = control(kernel)["rules"], control(kernel, "/key/k.pem")["rules"]
    assert "sign-file" not in unsigned and "signer.der" not in unsigned
    assert "sign-file sha256 /key/k.pem /key/k.pem" in signed
    assert f"/usr/share/panicast/signers/{kernel.release}.der" in signed


@pytest.mark.parametrize(
    ("name", "kernel", "package", "version", "newest", "requires"),
    [
        (
            "el9",
            EL,
            f"kmod-panicast-{EL.release}",
            PROJECT.version,
            "kmod-panicast",
            f"kernel-uname-r = {EL.release}",
        ),
        (
            "opensuse-leap",
            SUSE,
            "panicast-kmp-default",
            f"{PROJECT.version}_k6.12.0_160000.5.1",
            "",
            "kernel-default = 6.12.0-160000.5.1",
        ),
    ],
)
def test_rpms_are_called_as_their_distribution_does(
    name: str, kernel: RpmKernel, package: str, version: str, newest: str, requires: str
) -> None:
    distro = RPMS[name]
    assert distro.kmod.name.format(release=kernel.release) == package
    component = Component("kmod", package, ("rpm",), task.TEMPLATES)
    files = rpm.render(
        PROJECT,
        component,
        distro,
        0,
        f"1{kernel.suffix}",
        {"kernel": kernel, "key": "/key/k.pem", "signers": task.SIGNERS},
    )
    spec = files[f"{package}.spec"].decode()
    assert f"Name:           {package}\nVersion:        {version}\n" in spec
    assert f"Release:        1.{kernel.mangled}%{{?dist}}\n" in spec and "-" not in kernel.mangled
    assert (f"%package -n {newest}\n" in spec) == bool(newest) and "sign-file sha256 /key/k.pem" in spec
    assert "multiversion(kernel)" in spec or newest
    assert f"Requires:       {requires}\n" in spec
