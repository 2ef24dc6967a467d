# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch a source RPM gets, and what kernels in RPMs are called."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from panicast_build.core.errors import BuildError, UserError
from panicast_build.kernel import rpm, series
from panicast_build.kernel.rpm import FromSourcePackage

TOP = "/build/BUILD/kernel-5.14.0-570/linux"


class Box:
    """A container in which a spec has prepared these kernels. It keeps what ran, and where."""

    def __init__(self, version: str, *tops: str) -> None:
        self.said = {
            "find": "\n".join(f"{top}/kernel/printk/printk.c" for top in tops),
            "make": f"{version}\n",
        }
        self.written: list[str] = []
        self.ran: list[tuple[list[str], str]] = []

    def run(self, argv: list[str], cwd: str = "/", **_: Any) -> SimpleNamespace:
        self.ran.append((argv, cwd))
        return SimpleNamespace(output=self.said.get(argv[0], ""), code=0)

    def write(self, files: dict[str, object], folder: str) -> None:
        self.written += [f"{folder}/{name}" for name in files]


@pytest.fixture
def builder() -> Any:
    made = object.__new__(FromSourcePackage)
    made._rpmbuild = lambda stage, jobs: ["rpmbuild", stage]  # type: ignore[method-assign]
    return made


@pytest.fixture
def log() -> Any:
    made = io.StringIO()
    made.name = "log"
    return made


@pytest.mark.parametrize("version", ["5.14.0", "6.12.0", "7.3.4"])
def test_it_is_the_one_that_check_tries_and_must_apply_without_fuzz(
    version: str, builder: Any, log: Any
) -> None:
    box = Box(version, TOP)
    patch = builder._tried(box, log)
    assert patch == series.for_version(version).patch
    argv, where = box.ran[-1]
    assert where == TOP and argv[0] == "patch" and {"--dry-run", "--fuzz=0"} <= set(argv)
    assert argv[argv.index("--input") + 1] == f"/tmp/{patch.name}" == box.written[-1]


def test_a_version_without_a_patch_is_said(builder: Any, log: Any) -> None:
    with pytest.raises(UserError, match=r"no kernel patch is for Linux 4\.18\.0"):
        builder._tried(Box("4.18.0", TOP), log)


def test_two_kernels_in_one_package_are_an_error(builder: Any, log: Any) -> None:
    with pytest.raises(BuildError, match="2 kernels, not one"):
        builder._tried(Box("5.14.0", TOP, "/build/BUILD/other"), log)


LOG = Path("log")


@pytest.mark.parametrize(
    "line",
    ["Name: kernel", "%global package_name kernel\nName: %{package_name}", "%define package_name kernel"],
)
def test_a_distributions_spec_says_its_name_in_one_place(line: str) -> None:
    """EL 9's as itself, EL 10's and Fedora's as a macro."""
    spec = f"# kernel\n{line}\nProvides: kernel-core-uname-r = 1\n%package -n kernel-tools\n"
    assert rpm.rename(spec, "kernel-panicast", rpm.NAME, LOG) == spec.replace(
        line, line.replace(" kernel", " kernel-panicast", 1)
    )
    with pytest.raises(BuildError, match="0 places"):
        rpm.rename(spec.replace(line, "Name: linux"), "kernel-panicast", rpm.NAME, LOG)
    with pytest.raises(BuildError, match="2 places"):
        rpm.rename(f"{line}\n{spec}", "kernel-panicast", rpm.NAME, LOG)


# What EL 9.6's (the first of a pair) and Fedora's of 6.17 have where the name matters, and what it becomes.
@pytest.mark.parametrize(
    ("line", "renamed"),
    [
        ("Requires: kernel%{?1:-%{1}}-devel = %{version}", "Requires: @NAME@%{?1:-%{1}}-devel = %{version}"),
        ("Requires: kernel%{?1:-%{1}}-core = %{version}", "Requires: @NAME@%{?1:-%{1}}-core = %{version}"),
        ("Requires: kernel%{?1:-%{1}}-uki-virt = 1", "Requires: @NAME@%{?1:-%{1}}-uki-virt = 1"),
        ("%description -n kernel%{?1:-%{1}}-kvm\\", "%description -n @NAME@%{?1:-%{1}}-kvm\\"),
        ("%description -n kernel-tools", None),
        ("Requires: kernel-tools-libs = 1", None),
        ("Requires: kernel-core-uname-r = %{KVERREL}", None),
        ("Provides: kernel-modules = 1", None),
        ("Requires: %{name}-debuginfo-common = 1", None),
        ("Source32: kernel-x86_64-rhel.config", None),
        ("Source32: %{name}-x86_64-rhel.config", "Source32: kernel-x86_64-rhel.config"),
        ("cp $RPM_SOURCE_DIR/%{name}-*.config .", "cp $RPM_SOURCE_DIR/kernel-*.config ."),
        ("X=1 SPECPACKAGE_NAME=%{name} ./configs.sh 1", "X=1 SPECPACKAGE_NAME=kernel ./configs.sh 1"),
        (
            "Provides: %{name}%{?1:-%{1}}-modules-uname-r = 1",
            "Provides: kernel%{?1:-%{1}}-modules-uname-r = 1",
        ),
        ("Provides: %{name}-uname-r = 1", "Provides: kernel-uname-r = 1"),
        ("mkdir -p /var/lib/rpm-state/%{name}", None),
        ("grep $patch %{_specdir}/${RPM_PACKAGE_NAME}.spec", None),
    ],
)
def test_a_distributions_spec_finds_its_own_sources_and_packages(line: str, renamed: str | None) -> None:
    """Also where it says them twice."""
    spec = f"Name: kernel\n{line}\n{line}\n"
    line = (renamed or line).replace("@NAME@", "kernel-panicast")
    assert rpm.rename(spec, "kernel-panicast", rpm.NAME, LOG) == f"Name: kernel-panicast\n{line}\n{line}\n"


# As Linux 6.12 has it, shortened.
OWN = """%define debug_package %{nil}

Name: kernel
Version: %(echo %{KERNELRELEASE} | sed -e 's/-/_/g')
Provides: kernel-%{KERNELRELEASE}
BuildRequires: bc

%description
The Linux Kernel

%package headers
Obsoletes: kernel-headers
Provides: kernel-headers = %{version}
%description headers
Kernel-headers includes the C header files

%if %{with_devel}
%package devel
AutoReqProv: no
%description -n kernel-devel
This package provides kernel headers
%endif

%install
%{make} %{makeflags} INSTALL_MOD_PATH=%{buildroot} modules_install
%{make} %{makeflags} INSTALL_HDR_PATH=%{buildroot}/usr headers_install
cp System.map %{buildroot}

%files
/lib/modules/%{KERNELRELEASE}

%files headers
/usr/include

%if %{with_devel}
%files devel
/usr/src/kernels/%{KERNELRELEASE}
%endif
"""
RENAMED = """%define debug_package %{nil}

Name: kernel-panicast
Version: %(echo %{KERNELRELEASE} | sed -e 's/-/_/g')
Provides: kernel-%{KERNELRELEASE}
Provides: installonlypkg(kernel)
Provides: multiversion(kernel)
Provides: kernel-uname-r = %(echo %{KERNELRELEASE} | sed s/-/_/2g)
BuildRequires: bc

%description
The Linux Kernel

%if %{with_devel}
%package devel
Provides: installonlypkg(kernel)
Provides: multiversion(kernel)
Provides: kernel-devel-uname-r = %(echo %{KERNELRELEASE} | sed s/-/_/2g)
AutoReqProv: no
%description devel
This package provides kernel headers
%endif

%install
%{make} %{makeflags} INSTALL_MOD_PATH=%{buildroot} modules_install
cp System.map %{buildroot}

%files
/lib/modules/%{KERNELRELEASE}

%if %{with_devel}
%files devel
/usr/src/kernels/%{KERNELRELEASE}
%endif
"""


def test_the_kernels_own_spec_makes_nothing_that_is_the_distributions() -> None:
    assert rpm.rename(OWN, "kernel-panicast", rpm.OWN_SPEC, LOG) == RENAMED
    newer = OWN.replace("-n kernel-devel", "devel")
    assert rpm.rename(newer, "kernel-panicast", rpm.OWN_SPEC, LOG) == RENAMED
    with pytest.raises(BuildError, match="headers_install"):
        rpm.rename(OWN.replace("headers_install", "install"), "kernel-panicast", rpm.OWN_SPEC, LOG)
