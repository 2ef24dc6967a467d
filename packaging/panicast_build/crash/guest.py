# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest that crashes, and every frame that left its network card."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dpkt

from panicast_build import tools
from panicast_build.crash import initramfs
from panicast_build.crash.cases import Case
from panicast_build.crash.kit import Kit
from panicast_build.smoke import vm

READY = b"READY-TO-CRASH"
LIFE_SECONDS = 120.0
POLL_SECONDS = 0.1
MEMORY_MIB = 512

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
lkdtm() {{ insmod /lkdtm.ko; echo "$1" > /sys/kernel/debug/provoke-crash/DIRECT; }}
{load}
until ip link set eth0 up; do sleep 0.2; done
ip address add 10.9.0.1/24 dev eth0
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.2; done
insmod /panicast.ko {parameters}
until grep -q eth0 /sys/module/panicast/state/armed; do sleep 0.2; done
echo {ready} > /dev/console
sleep 1
{command}
sleep {life}
"""


@dataclass(frozen=True)
class Outcome:
    """How a guest ended. frames are Ethernet frames as they passed its card, without checksums."""

    frames: list[bytes]
    console: str
    rebooted: bool
    seconds: float


def crash(kit: Kit, nic: str, case: Case, *, panic: int = -1, parameters: str = "") -> Outcome:
    """Boots a guest with this card, crashes it so, and waits until it resets or its time is over.

    panic is the kernel's panic= parameter: seconds to the reboot, below 0 at once.
    """
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        folder, started = Path(name), time.monotonic()
        (folder / "initrd").write_bytes(_initrd(kit, nic, case, parameters))
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *_argv(kit, nic, case, panic, folder)]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            try:
                rebooted = _watch(process, folder, case)
            finally:
                process.kill()
        return Outcome(
            frames=_frames(folder / "pcap"),
            console=(folder / "console").read_text(errors="replace"),
            rebooted=rebooted,
            seconds=time.monotonic() - started,
        )


def _initrd(kit: Kit, nic: str, case: Case, parameters: str) -> bytes:
    drivers = kit.drivers(nic)
    init = INIT.format(
        load="\n".join(f"insmod /{driver.name}" for driver in drivers),
        parameters=parameters,
        ready=READY.decode(),
        command=case.command,
        life=LIFE_SECONDS,
    )
    modules = [*drivers, *(kit.folder / f"{name}.ko" for name in ("panicast", "pc_crash", "lkdtm"))]
    files = {"init": init.encode(), "bin/busybox": (kit.folder / "busybox").read_bytes()}
    files |= {module.name: module.read_bytes() for module in modules}
    return initramfs.pack(("bin", "proc", "sys", "dev"), files)


def _argv(kit: Kit, nic: str, case: Case, panic: int, folder: Path) -> list[str]:
    # fmt: off
    return [
        tools.find(vm.QEMU) or vm.QEMU, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "pc", *vm.TCG.options, "-smp", "2", "-m", str(MEMORY_MIB),
        "-no-reboot", "-action", "panic=none",
        "-kernel", str(kit.folder / "vmlinuz"), "-initrd", str(folder / "initrd"),
        "-append", f"console=ttyS0 net.ifnames=0 panic={panic} {case.append}",
        "-serial", f"file:{folder / 'console'}",
        "-monitor", f"unix:{folder / 'monitor'},server=on,wait=off",
        # Written before the frame goes on: what still waits in a queue when QEMU ends is not lost on us.
        "-netdev", "user,id=segment,restrict=on,ipv6=off",
        "-object", f"filter-dump,id=dump,netdev=segment,file={folder / 'pcap'}",
        "-device", f"{nic},netdev=segment,mac=52:54:00:12:34:56",
    ]
    # fmt: on


def _watch(process: subprocess.Popen[bytes], folder: Path, case: Case) -> bool:
    """Waits until QEMU has ended, which is true, or the guest's time is over."""
    deadline = time.monotonic() + LIFE_SECONDS
    to_inject, console = case.nmi, folder / "console"
    while time.monotonic() < deadline:
        try:
            return process.wait(POLL_SECONDS) == 0
        except subprocess.TimeoutExpired:
            if to_inject and console.exists() and READY in console.read_bytes():
                _inject_nmi(folder / "monitor")
                to_inject = False
    return False


def _frames(pcap: Path) -> list[bytes]:
    with pcap.open("rb") as stream:
        return [frame for _, frame in dpkt.pcap.Reader(stream)]


def _inject_nmi(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
        monitor.connect(str(path))
        monitor.sendall(b"nmi\n")
        # The prompt after the echo: QEMU has done it.
        while b"nmi" not in monitor.recv(4096):
            pass
