# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds commands of this machine that are not Python packages, when a task needs them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import files, progress
from panicast_build.core.errors import UserError
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.core.run import run

# command -> the package that has it, by package manager
PACKAGES: dict[str, dict[str, str]] = {
    "dockerd": {"apt": "docker.io", "dnf": "moby-engine"},
    "mmdebstrap": {"apt": "mmdebstrap", "dnf": "mmdebstrap"},
    "apt-ftparchive": {"apt": "apt-utils", "dnf": "apt-utils"},
    "createrepo_c": {"apt": "createrepo-c", "dnf": "createrepo_c"},
    "gpg": {"apt": "gpg gpg-agent", "dnf": "gnupg2"},
    "rpmsign": {"apt": "rpm", "dnf": "rpm-sign"},
    "diffoscope": {"apt": "diffoscope-minimal python3-rpm", "dnf": "diffoscope"},
    "node": {"apt": "nodejs", "dnf": "nodejs"},
    "npm": {"apt": "npm", "dnf": "npm"},
    "git": {"apt": "git", "dnf": "git-core"},
    "gbp": {"apt": "git-buildpackage", "dnf": "git-buildpackage"},
    "dpkg-source": {"apt": "dpkg-dev", "dnf": "dpkg-dev"},
    "gcc": {"apt": "gcc libc6-dev", "dnf": "gcc glibc-devel"},
    "ip": {"apt": "iproute2", "dnf": "iproute"},
    "taskset": {"apt": "util-linux", "dnf": "util-linux-core"},
    "unshare": {"apt": "util-linux", "dnf": "util-linux-core"},
    "shellcheck": {"apt": "shellcheck", "dnf": "ShellCheck"},
    "qemu-system-x86_64": {"apt": "qemu-system-x86", "dnf": "qemu-system-x86-core"},
    "qemu-system-aarch64": {"apt": "qemu-system-arm", "dnf": "qemu-system-aarch64-core"},
    "qemu-img": {"apt": "qemu-utils", "dnf": "qemu-img"},
    "tshark": {"apt": "tshark", "dnf": "wireshark-cli"},
    "chromium": {"apt": "chromium fonts-liberation", "dnf": "chromium liberation-sans-fonts"},
    "chromedriver": {"apt": "chromium-driver", "dnf": "chromedriver"},
    "mke2fs": {"apt": "e2fsprogs", "dnf": "e2fsprogs"},
    "mformat": {"apt": "mtools", "dnf": "mtools"},
    "mcopy": {"apt": "mtools", "dnf": "mtools"},
    "sfdisk": {"apt": "fdisk", "dnf": "util-linux-core"},
    "debugfs": {"apt": "e2fsprogs", "dnf": "e2fsprogs"},
    "e2fsck": {"apt": "e2fsprogs", "dnf": "e2fsprogs"},
    "initdb": {"apt": "postgresql", "dnf": "postgresql-server"},
    "postgres": {"apt": "postgresql", "dnf": "postgresql-server"},
    "nats-server": {"apt": "nats-server", "dnf": "nats-server"},
    "rsyslogd": {"apt": "rsyslog rsyslog-gnutls", "dnf": "rsyslog rsyslog-gnutls"},
    "eu-addr2line": {"apt": "elfutils", "dnf": "elfutils"},
    "eu-nm": {"apt": "elfutils", "dnf": "elfutils"},
    "strace": {"apt": "strace", "dnf": "strace"},
    "debuginfod": {"apt": "debuginfod", "dnf": "elfutils-debuginfod"},
    "debuginfod-find": {"apt": "debuginfod", "dnf": "elfutils-debuginfod-client"},
    "openssl": {"apt": "openssl", "dnf": "openssl"},
    "podman": {"apt": "podman catatonit", "dnf": "podman catatonit"},
    "newuidmap": {"apt": "uidmap", "dnf": "shadow-utils"},
    "runc": {"apt": "runc", "dnf": "runc"},
    "jq": {"apt": "jq", "dnf": "jq"},
}
# Where tools of the administrator lie; an ordinary user's PATH may lack them.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
# Where Debian keeps the commands of each of PostgreSQL's versions.
POSTGRESQL = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Installer:
    """A package manager of this machine: its key in PACKAGES, and its install commands."""

    key: str
    command: str
    refresh: tuple[str, ...]
    install: tuple[str, ...]


INSTALLERS = (
    Installer(
        "apt",
        "apt-get",
        ("apt-get", "-qq", "update"),
        ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends"),
    ),
    Installer("dnf", "dnf", (), ("dnf", "-y", "-q", "--setopt=install_weak_deps=False", "install")),
)


def find(command: str) -> str | None:
    """Returns the path of command, or None."""
    versions = sorted(POSTGRESQL.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    path = [os.environ.get("PATH", os.defpath), SBIN, *map(str, versions)]
    return shutil.which(command, path=":".join(path))


def installer(which: Callable[[str], str | None] = find) -> Installer | None:
    """Returns the package manager of this machine."""
    return next((known for known in INSTALLERS if which(known.command)), None)


def packages_for(commands: list[str], key: str) -> list[str]:
    """Returns the packages, sorted, that contain these commands for the package manager key."""
    return sorted({package for command in commands for package in PACKAGES[command][key].split()})


def need(*commands: str) -> None:
    """Makes sure that commands exist. As root on an apt or dnf system it installs missing ones and
    says so; otherwise UserError names the command to run.

    One process at a time: a command may exist before its installation by another process is
    complete.
    """
    with files.locked(CACHE / "tools.lock"):
        _need(*commands)


def _need(*commands: str) -> None:
    missing = [command for command in commands if not find(command)]
    if not missing:
        return
    found = installer()
    if found is None:
        raise UserError(
            f"missing here: {', '.join(missing)}",
            f"install what your system calls: {' '.join(packages_for(missing, 'apt'))}",
        )
    packages = packages_for(missing, found.key)
    if os.geteuid() != 0:
        raise UserError(
            f"missing here: {', '.join(missing)}", f"run: sudo {found.command} install {' '.join(packages)}"
        )
    _install(found, packages)
    if still := [command for command in missing if not find(command)]:
        raise UserError(f"{', '.join(packages)} installed, but {', '.join(still)} is not in PATH")


def _install(found: Installer, packages: list[str]) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / "install-tools.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    what = f"installing {' '.join(packages)} with {found.command}"
    with progress.step(what, log=path), path.open("a") as log:
        if found.refresh:
            run(found.refresh, log=log, env=quiet)
        run([*found.install, *packages], log=log, env=quiet)
