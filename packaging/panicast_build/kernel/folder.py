# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's source tree in a folder of the user's: its name and its configuration."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from panicast_build.core.errors import UserError
from panicast_build.engine import images

# What every kernel's tree has.
PC = "arch/x86"
SIGNS = ("Makefile", "Kconfig", PC, "kernel/panic.c")
# Enough to tell what a file is and what its first lines say; changelogs have megabytes.
READ_CHARACTERS = 1 << 20
OLDEST = (5, 10)
# What a configuration is made of. Makefiles and Ubuntu's annotations have such names too, otherwise.
OPTION = re.compile(r"^CONFIG_\w+=", re.MULTILINE)
# A configuration for another architecture says it so.
FOREIGN = re.compile(r"^CONFIG_(ARM|ARM64|LOONGARCH|MIPS|PPC|PPC64|RISCV|S390|X86_32)=y$", re.MULTILINE)
# What the kernel's own tools write above it; distributions' lists of options lack it.
HEADING = re.compile(r"^# Linux/\w+ (\d+\.\d+)\S* Kernel Configuration$", re.MULTILINE)
# Ubuntu's list of options, from which this makes the configuration.
ANNOTATIONS = "debian*/config/annotations"
ANNOTATIONS_TOOL = "debian/scripts/misc/annotations"


class Naming(NamedTuple):
    """How a distribution's tree states its name: a file, a pattern to find in it, and the kernel's
    release and title made from that."""

    file: str
    pattern: str
    release: str
    title: str


OPENEULER = r"^OPENEULER_MAJOR = (2\d)(\d\d)$"
# Debian's own kernels have no ABI's number before the last one.
UBUNTU = r"\Alinux((?:-[\w.]+)*) \(([\d.]+-\d+)\.[^)]*\) (\w+);"
NAMINGS = (
    Naming(
        "Makefile.rhelver",
        r"(?s)^RHEL_MAJOR = (\d+)\nRHEL_MINOR = (\d+)\n.*?^RHEL_RELEASE = (\S+)$",
        "{version}-{2}.el{0}_{1}",
        "EL {0}.{1}",
    ),
    # A package's source has the first, whose kernel may be another flavour's; a clone has only the second.
    Naming("debian/changelog", UBUNTU, "{1}", "Ubuntu {2}{0}"),
    Naming("debian.master/changelog", UBUNTU, "{1}", "Ubuntu {2}{0}"),
    # Later ones have a file for it. Branches between releases are 9999.
    Naming("Makefile", OPENEULER, "{version}", "openEuler {0}.{1}"),
    Naming("Makefile.oever", OPENEULER, "{version}", "openEuler {0}.{1}"),
    Naming("arch/x86/configs/openeuler_defconfig", r"\A", "{version}", "openEuler's {version}"),
    # Any other.
    Naming("Makefile", r"^VERSION = (\d+)\nPATCHLEVEL = (\d+)$", "{version}", "Linux {0}.{1}"),
)


@dataclass(frozen=True)
class Tree:
    """A source tree: the kernel's version, its release (`uname -r`) and its title for people."""

    folder: Path
    version: str
    release: str
    title: str


@dataclass(frozen=True)
class Configured:
    """A tree and its configuration file."""

    tree: Tree
    config: Path

    def state(self) -> str:
        """Returns what tells one state of the tree from another: its files with sizes and times,
        and the configuration."""
        found = []
        for top, folders, names in os.walk(self.tree.folder):
            folders[:] = sorted(set(folders) - {".git"})
            for name in sorted(names):
                path = f"{top}/{name}"
                seen = os.lstat(path)
                found.append([os.path.relpath(path, self.tree.folder), seen.st_size, seen.st_mtime_ns])
        return images.digest([found, self.config.read_text(errors="replace")])


def look(name: str) -> Tree:
    """Returns the tree in a folder. Raises UserError if there is none, or none for panicast."""
    folder = Path(name).expanduser().resolve()
    if not folder.exists():
        raise UserError(f"there is no folder {name}", "give the folder of a kernel's source tree")
    if lacking := _lacking(folder):
        raise UserError(
            f"{name} is not the source tree of a kernel: it has no {', '.join(lacking)}",
            _where_it_is(folder, lacking),
        )
    if ":" in str(folder):
        raise UserError(
            f"{folder} has a colon, and container engines cannot give such a folder to a container",
            "rename it, or give a link's target without one",
        )
    numbers = dict(re.findall(r"^(\w+) *= *(\S*)$", _text(folder / "Makefile"), re.MULTILINE))
    numbers.setdefault("SUBLEVEL", "0")
    version = ".".join(numbers.get(part, "") for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise UserError(
            f"{folder / 'Makefile'} does not say the kernel's version",
            "its first lines should be VERSION, PATCHLEVEL and SUBLEVEL, each with a number",
        )
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise UserError(
            f"{name} is Linux {version}, and panicast needs {'.'.join(map(str, OLDEST))} or newer",
            "give a newer kernel's tree",
        )
    version += numbers.get("EXTRAVERSION", "")
    for naming in NAMINGS:
        path = folder / naming.file
        if path.is_file() and (found := re.search(naming.pattern, _text(path), re.MULTILINE)):
            words = found.groups()
            release = naming.release.format(*words, version=version)
            return Tree(folder, version, release, naming.title.format(*words, version=version))
    return Tree(folder, version, version, f"Linux {version}")


def configured(name: str, config_name: str = "") -> Configured:
    """Returns the tree in a folder with its configuration: a file, or "" for the tree's own
    .config. Raises UserError if it cannot be built here."""
    tree = look(name)
    config = Path(config_name).expanduser().resolve() if config_name else tree.folder / ".config"
    advice = (
        "give the kernel's own, e.g. its package's /boot/config-…: --config FILE"
        f"{_candidates(tree)}{_annotated(tree)}"
    )
    if not config.is_file():
        raise UserError(f"there is no file {config}", advice)
    text = _text(config)
    if text.startswith("\x1f"):
        raise UserError(f"{config} is compressed", f"unpack it first: zcat {config} > kernel.config")
    if not OPTION.search(text):
        raise UserError(f"{config} is not the configuration of a kernel", advice)
    if foreign := FOREIGN.search(text):
        raise UserError(
            f"{config} is for another architecture: it has {foreign[0]}",
            "trees are built and crashed here for x86-64; give the configuration for that: --config FILE",
        )
    heading = HEADING.search(text)
    if heading and not f"{tree.version}.".startswith(f"{heading[1]}."):
        raise UserError(
            f"{config} is for Linux {heading[1]}, and {name} is {tree.version}",
            f"{advice}; or let this tree's `make olddefconfig` turn it into one of its own",
        )
    return Configured(tree, config)


def _lacking(folder: Path) -> list[str]:
    """Returns what a folder lacks of a source tree."""
    return [sign for sign in SIGNS if not (folder / sign).exists()]


def _where_it_is(folder: Path, lacking: list[str]) -> str:
    """Says what to give instead of this folder: a tree that it lies in or that lies in it, if there
    is one."""
    if folder.is_file():
        return f"unpack it, and give the folder that has its {', '.join(SIGNS)}"
    if lacking == [PC]:
        return "it is for other architectures; trees are built and crashed here for x86-64"
    if above := [path for path in folder.parents if not _lacking(path)]:
        return f"give the folder that it lies in: {above[0]}"
    if "Makefile" not in lacking and "Kconfig" not in lacking:
        return "headers and what was built are not enough: get the source of the kernel, and give its folder"
    if inside := [path for path in sorted(folder.glob("*/")) if not _lacking(path)]:
        return f"give the folder in it: {', '.join(map(str, inside))}"
    return f"give the folder that has its {', '.join(SIGNS)}"


def _text(path: Path) -> str:
    """Returns the beginning of a file of the user's. Raises UserError if it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(READ_CHARACTERS)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", "let your user read it") from error


def _candidates(tree: Tree) -> str:
    """Names the configurations that a tree contains; "" if none."""
    patterns = ("*/*x86_64*.config", "arch/x86/configs/[!i]*_defconfig")
    paths = [path for pattern in patterns for path in sorted(tree.folder.glob(pattern))]
    found = [str(path.relative_to(tree.folder)) for path in paths]
    return f"; in the tree there are {', '.join(found)}" if found else ""


def _annotated(tree: Tree) -> str:
    """Says how Ubuntu's list of options becomes a configuration; "" if the tree has none."""
    # That of a derived kernel includes the master's.
    found = sorted(tree.folder.glob(ANNOTATIONS), key=lambda path: "master" in str(path))
    if not found or not (tree.folder / ANNOTATIONS_TOOL).is_file():
        return ""
    return (
        f"; in {tree.folder} this makes it: python3 {ANNOTATIONS_TOOL} "
        f"--file {found[0].relative_to(tree.folder)} --arch amd64 --flavour generic --export"
    )
