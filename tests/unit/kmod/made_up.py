# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine made up of files and commands, for panicast-ctl to look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from panicast_build.core.paths import ROOT
from panicast_build.core.run import Result, run

DIST = ROOT / "kmod/dist"
# Where the scripts look at the machine.
PLACES = (
    *("/sys/", "/proc/", "/etc/", "/boot", "/lib/modules/", "/usr/share/panicast", "/dev/panicast"),
    *("/var/lib/panicast-ctl", "/var/lib/systemd", "/var/lib/kdump", "/var/crash", "/usr/src/"),
)
MODULE = "sys/module/panicast"
# In force on a machine that nobody has set anything on.
DEFAULTS = {
    **{"iface": "", "dest": "255.255.255.255", "dest_mac": "ff:ff:ff:ff:ff:ff", "port": "6664"},
    **{"format": "v1", "kib": "64", "parity": "100", "repeat": "1", "reasons": "panic"},
    **{"tag": "", "key_id": "1"},
}
PARMS = [f"{name}:what it is{f' ({value})' if value else ''}\n" for name, value in DEFAULTS.items()]
# What the scripts call that is neither the shell's own nor made up here.
TOOLS = (
    *("awk", "cat", "chmod", "date", "find", "grep", "head", "mkdir", "mktemp", "mv", "od", "readlink", "rm"),
    *("sed", "seq", "sha256sum", "sleep", "sort", "stat", "sync", "tail", "tr", "uname", "wc"),
)


class Machine:
    """files are below root; only TOOLS and the commands that were made up can be called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "machine"
        self._commands = folder / "bin"
        self._commands.mkdir()
        for name in TOOLS:
            (self._commands / name).symlink_to(str(shutil.which(name)))
        for part in [DIST / "panicast-ctl", *DIST.glob("ctl/*.sh")]:
            script = part.read_text()
            for place in PLACES:
                script = script.replace(place, f"{self.root}{place}")
            # Files that root has made are ours here.
            script = script.replace("-user 0", f"-user {os.getuid()}")
            self.write(f"usr/share/panicast/{part.relative_to(DIST)}", script)
        self.write("usr/share/panicast/sysctl.conf", (DIST / "sysctl.conf").read_text())
        self.write("proc/uptime", "12.34 5.67\n")
        self.command("id", "echo 0")
        self.command("dmesg", f"cat {self.root}/dmesg")
        self.write("dmesg", "")
        self.command("modinfo", f'case "$*" in *parm*) cat {self.root}/parms ;; *version*) echo 1.2 ;; esac')
        self.write("parms", "".join(PARMS))
        self.command("modprobe", f'[ "$1" = -c ] && cat {self.root}/modprobe-c')
        self.write("modprobe-c", "")
        # DKMS builds the module here.
        self.write("usr/src/panicast-1.2/dkms.conf", "")

    def write(self, path: str, content: str | bytes) -> Path:
        """A file of the machine."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def read(self, path: str) -> str:
        """A file of the machine."""
        return (self.root / path).read_text()

    def command(self, name: str, body: str) -> None:
        """A program of the machine: a shell script."""
        path = self._commands / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def load(
        self,
        armed: Sequence[str] = ("eth0",),
        unarmed: str = "",
        destinations: str = "255.255.255.255 everywhere\n",
        **settings: str,
    ) -> None:
        """The module is loaded: these cards are armed, the lines of unarmed say which are not; settings are
        those that differ from the defaults."""
        self.write(f"{MODULE}/state/destinations", destinations)
        self.write(f"{MODULE}/version", "1.2\n")
        self.write(f"{MODULE}/state/armed", "".join(f"{name}\n" for name in armed))
        self.write(f"{MODULE}/state/unarmed", unarmed)
        self.write(f"{MODULE}/state/log_source", "kmsg_dump\n")
        self.write(f"{MODULE}/state/key_id", "0\n")
        for name, value in {**DEFAULTS, **settings}.items():
            self.write(f"{MODULE}/parameters/{name}", f"{value}\n")

    def driver(self, card: str, name: str) -> None:
        """The card has a driver of this name."""
        (self.root / "sys/bus" / name).mkdir(parents=True, exist_ok=True)
        device = self.root / "sys/class/net" / card / "device"
        device.mkdir(parents=True)
        (device / "driver").symlink_to(self.root / "sys/bus" / name)

    def ctl(self, *arguments: str, given: str | None = None) -> Result:
        """What panicast-ctl says and ends with, given this on standard input."""
        script = self.root / "usr/share/panicast/panicast-ctl"
        env = {"PATH": str(self._commands), "HOME": os.devnull}
        return run(["/bin/sh", script, *arguments], env=env, check=False, input=given)
