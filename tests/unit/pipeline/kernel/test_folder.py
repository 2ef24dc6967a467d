# SPDX-License-Identifier: GPL-2.0-or-later
"""Source trees of kernels: what they are called, and what is told to who gives something else."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from panicast_build.core.errors import UserError
from panicast_build.crash import tree as crashed
from panicast_build.kernel import folder, series

VANILLA = "VERSION = 5\nPATCHLEVEL = 14\nSUBLEVEL = 0\nEXTRAVERSION =\nNAME = Opossums on Parade\n"
RHEL = (
    "RHEL_MAJOR = 9\nRHEL_MINOR = 6\n\n#\n# RHEL_RELEASE\n# ----\n# is <RHEL_RELEASE>.<dist_tag>\n"
    "RHEL_RELEASE = 570.32.1\n"
)
UBUNTU = "linux (6.8.0-59.61) noble; urgency=medium\n\n  * x\n\nlinux (6.8.0-58.60) noble; urgency=medium\n"


def made(top: Path, **files: str) -> Path:
    """A folder that looks like a tree; files by their paths, of which "__" are the slashes."""
    (top / "arch/x86").mkdir(parents=True, exist_ok=True)
    for name in [*folder.SIGNS, *(name.replace("__", "/") for name in files)]:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        if not (top / name).exists():
            (top / name).write_text(VANILLA if name == "Makefile" else "")
    for name, text in files.items():
        (top / name.replace("__", "/")).write_text(text)
    return top


@pytest.mark.parametrize(
    ("files", "release", "title"),
    [
        ({}, "5.14.0", "Linux 5.14"),
        ({"Makefile.rhelver": RHEL}, "5.14.0-570.32.1.el9_6", "EL 9.6"),
        ({"debian.master__changelog": UBUNTU}, "6.8.0-59", "Ubuntu noble"),
        (
            {
                "debian.master__changelog": UBUNTU,
                "debian__changelog": "linux-aws-6.8 (6.8.0-1027.29~22.04.1) jammy; urgency=medium\n",
            },
            "6.8.0-1027",
            "Ubuntu jammy-aws-6.8",
        ),
        ({"debian__changelog": "linux (6.1.192-3) bookworm; urgency=low\n"}, "5.14.0", "Linux 5.14"),
        (
            {"Makefile": f"{VANILLA}OPENEULER_MAJOR = 2203\nOPENEULER_MINOR = 1\n"},
            "5.14.0",
            "openEuler 22.03",
        ),
        ({"Makefile.oever": "OPENEULER_MAJOR = 2403\n"}, "5.14.0", "openEuler 24.03"),
        # Development branches: two of them are not one kernel.
        (
            {
                "Makefile.oever": "OPENEULER_MAJOR = 9999\n",
                "arch__x86__configs__openeuler_defconfig": "CONFIG_SMP=y\n",
            },
            "5.14.0",
            "openEuler's 5.14.0",
        ),
        ({"Makefile": VANILLA.replace("EXTRAVERSION =", "EXTRAVERSION = -rc3")}, "5.14.0-rc3", "Linux 5.14"),
    ],
)
def test_a_tree_says_what_it_is_called(
    tmp_path: Path, files: dict[str, str], release: str, title: str
) -> None:
    found = folder.look(str(made(tmp_path, **files)))
    assert (found.release, found.title) == (release, title)
    assert found.version.startswith("5.14.0")


def test_what_is_no_tree_is_told_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the source tree of a kernel") as said:
        folder.look(str(tmp_path))
    assert str(tmp_path) in str(said.value)
    assert "arch/x86" in said.value.hint
    with pytest.raises(UserError, match=r"there is no folder .*elsewhere"):
        folder.look(str(tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    ("sign", "advice"),
    [
        ("arch/x86", "for other architectures"),
        ("kernel/panic.c", "headers and what was built are not enough"),
    ],
)
def test_half_a_tree_is_told_what_it_may_be(tmp_path: Path, sign: str, advice: str) -> None:
    top = made(tmp_path / "tree")
    (top / sign).rename(tmp_path / "gone")
    with pytest.raises(UserError, match=f"is not the source tree of a kernel: it has no {sign}$") as said:
        folder.look(str(top))
    assert advice in said.value.hint


@pytest.mark.parametrize(
    ("makefile", "said", "advice"),
    [
        (VANILLA.replace("VERSION = 5", "VERSION = 4", 1), "is Linux 4.14.0, and .* needs 5.10", "newer"),
        ("all:\n", "does not say the kernel's version", "VERSION, PATCHLEVEL and SUBLEVEL"),
        ("VERSION = @V@\nPATCHLEVEL = 1\n", "does not say the kernel's version", "VERSION"),
    ],
)
def test_a_tree_of_no_kernel_for_panicast_is_refused(
    tmp_path: Path, makefile: str, said: str, advice: str
) -> None:
    with pytest.raises(UserError, match=said) as told:
        folder.look(str(made(tmp_path, Makefile=makefile)))
    assert advice in told.value.hint


def test_where_the_tree_is_instead_is_said(tmp_path: Path) -> None:
    top = made(tmp_path / "a folder" / "linux 6.8")
    with pytest.raises(UserError, match="is not the source tree of a kernel") as said:
        folder.look(str(top.parent))
    assert said.value.hint == f"give the folder in it: {top}"
    drivers = top / "drivers" / "net"
    drivers.mkdir(parents=True)
    (drivers / "Makefile").touch()
    (drivers / "Kconfig").touch()
    with pytest.raises(UserError, match="is not the source tree of a kernel") as said:
        folder.look(str(drivers))
    assert said.value.hint == f"give the folder that it lies in: {top}"
    tarball = tmp_path / "linux-6.8.tar.xz"
    tarball.touch()
    with pytest.raises(UserError, match="is not the source tree of a kernel") as said:
        folder.look(str(tarball))
    assert said.value.hint.startswith("unpack it")
    with pytest.raises(UserError, match="has a colon"):
        folder.look(str(made(tmp_path / "a:b")))


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    top = made(tmp_path, **{".config": "CONFIG_SMP=y\n"})
    (top / "debian.master").mkdir()
    (top / "debian.master/changelog").write_bytes(UBUNTU.encode() + b"\n -- J\xf6rg <j@example.org>\n")
    (top / ".config").write_bytes(b"CONFIG_SMP=y\n# J\xf6rg's\n")
    assert folder.configured(str(top)).tree.title == "Ubuntu noble"
    assert folder.configured(str(top)).state()


def test_a_packed_configuration_is_to_be_unpacked(tmp_path: Path) -> None:
    top = made(tmp_path)
    (top / "config.gz").write_bytes(gzip.compress(b"CONFIG_SMP=y\n"))
    with pytest.raises(UserError, match=r"config\.gz is compressed") as said:
        folder.configured(str(top), str(top / "config.gz"))
    assert "zcat" in said.value.hint


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = made(tmp_path)

    def refuse(path: Path, *_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"Makefile cannot be read: Permission denied"):
        folder.look(str(top))


def test_without_a_configuration_those_of_the_tree_are_named(tmp_path: Path) -> None:
    top = made(tmp_path, **{"redhat__kernel-x86_64-rhel.config": "CONFIG_SMP=y\n"})
    with pytest.raises(UserError, match=r"there is no file .*/\.config") as said:
        folder.configured(str(top))
    assert "--config FILE" in said.value.hint
    assert "in the tree there are redhat/kernel-x86_64-rhel.config" in said.value.hint
    with pytest.raises(UserError, match=r"there is no file .*elsewhere"):
        folder.configured(str(top), "elsewhere")


@pytest.mark.parametrize(
    ("lists", "chosen"),
    [
        (["debian.master"], "debian.master"),
        (["debian.master", "debian.oracle"], "debian.oracle"),
        (["debian.aws", "debian.master"], "debian.aws"),
    ],
)
def test_ubuntu_makes_its_configuration_by_a_command_that_is_told(
    tmp_path: Path, lists: list[str], chosen: str
) -> None:
    files = {f"{name}__config__annotations": "CONFIG_NET policy<{'amd64': 'y'}>\n" for name in lists}
    top = made(tmp_path, **files)
    given = str(top / lists[0] / "config/annotations")
    with pytest.raises(UserError, match="is not the configuration of a kernel") as said:
        folder.configured(str(top), given)
    assert "annotations --file" not in said.value.hint
    made(top, debian__scripts__misc__annotations="")
    with pytest.raises(UserError, match="is not the configuration of a kernel") as said:
        folder.configured(str(top), given)
    assert (
        f"in {top} this makes it: python3 debian/scripts/misc/annotations "
        f"--file {chosen}/config/annotations --arch amd64 --flavour generic --export"
    ) in said.value.hint


@pytest.mark.parametrize("version", ["5.15.0-185-generic", "5.1.21", "4.14.0", "6.14.0"])
def test_the_configuration_of_another_kernel_is_refused(tmp_path: Path, version: str) -> None:
    text = f"#\n# Linux/x86 {version} Kernel Configuration\n#\nCONFIG_SMP=y\n"
    with pytest.raises(UserError, match=r"\.config is for Linux \d+\.\d+, and .* is 5\.14\.0") as said:
        folder.configured(str(made(tmp_path, **{".config": text})))
    assert "make olddefconfig" in said.value.hint


@pytest.mark.parametrize("version", ["5.14.0", "5.14.0-570.el9.x86_64", "5.14.21"])
def test_the_kernels_own_configuration_is_taken_whatever_its_build(tmp_path: Path, version: str) -> None:
    text = f"#\n# Linux/x86 {version} Kernel Configuration\n#\nCONFIG_SMP=y\n"
    assert folder.configured(str(made(tmp_path, **{".config": text})))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "CONFIG_NET   policy<{'amd64': 'y'}>\nifeq ($(CONFIG_NET),y)\n",
            "is not the configuration of a kernel",
        ),
        ("CONFIG_ARM64=y\n", "for another architecture: it has CONFIG_ARM64=y"),
        ("CONFIG_SMP=y\nCONFIG_PPC64=y\n", "for another architecture: it has CONFIG_PPC64=y"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        folder.configured(str(made(tmp_path, **{".config": text})))


def test_a_configuration_of_its_own_is_taken(tmp_path: Path) -> None:
    # A defconfig names only what differs: not even the architecture.
    top = made(tmp_path, **{".config": "CONFIG_SMP=y\n", "other": "# CONFIG_ARM64 is not set\nCONFIG_A=y\n"})
    assert folder.configured(str(top)).config == top / ".config"
    assert folder.configured(str(top), str(top / "other")).config == top / "other"


def test_a_tree_that_changed_is_another(tmp_path: Path) -> None:
    top = made(tmp_path / "tree", **{".config": "CONFIG_SMP=y\n", "mm__slab.c": "1\n", ".git__HEAD": "a"})
    before = folder.configured(str(top)).state()
    (top / ".git/HEAD").write_text("bcd")
    assert folder.configured(str(top)).state() == before
    moved = top.rename(tmp_path / "moved")
    assert folder.configured(str(moved)).state() == before
    os.utime(moved / "mm/slab.c", (1, 1))
    after = folder.configured(str(moved)).state()
    assert after != before
    (tmp_path / "other").write_text("CONFIG_SMP=n\n")
    assert folder.configured(str(moved), str(tmp_path / "other")).state() != after


@pytest.mark.parametrize(
    ("version", "patch"),
    [("5.14.0", "linux-5.15.patch"), ("6.6.0", "linux-6.8.patch"), ("6.12.0", "linux-6.12.patch")],
)
def test_kernels_of_enterprise_have_a_patch(version: str, patch: str) -> None:
    assert series.for_version(version).patch.name == patch


def test_what_is_changed_in_a_configuration_is_said_once() -> None:
    lines = [line for line in crashed.CHANGES.read_text().splitlines() if "CONFIG_" in line]
    options = [re.fullmatch(r"CONFIG_(\w+)=\S+|# CONFIG_(\w+) is not set", line) for line in lines]
    assert all(options)
    names = [found[1] or found[2] for found in options if found]
    assert len(names) == len(set(names)) > 50
