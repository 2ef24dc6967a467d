# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one guest that crashes, and captures every frame that leaves its network cards."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import dpkt

from panicast_build.core import tools
from panicast_build.core.paths import ROOT
from panicast_build.crash import initramfs
from panicast_build.crash.architectures import Architecture
from panicast_build.crash.cases import KEY, Case
from panicast_build.crash.kit import NICS, OWN, PROGRAMS, Kit
from panicast_build.smoke.failure import wait_for

READY = "READY-TO-CRASH"  # init says it
LIVES = 3
# Where panicast-ctl has its parts.
CTL_FOLDER = "usr/share/panicast"
FOLDERS = ("bin", "proc", "sys", "dev", "usr", "usr/share", CTL_FOLDER, f"{CTL_FOLDER}/ctl")
POLL_SECONDS = 0.1
MEMORY_MIB = 512
# Of one package each: a kernel without ACPI finds no other core of a package.
CPUS = "2,sockets=2"

INIT = Path(__file__).with_name("init")
PANICAST_CTL = ROOT / "kmod/dist/panicast-ctl"
CTL_PARTS = [*PANICAST_CTL.parent.glob("ctl/*.sh"), PANICAST_CTL.parent / "sysctl.conf"]
# What the kernel says last when it stays: see vpanic().
END = "end Kernel panic"


class Frame(NamedTuple):
    """An Ethernet frame without its checksum, and when it passed the card, in seconds of the
    guest's time."""

    at: float
    data: bytes


@dataclass(frozen=True)
class Outcome:
    """How a guest ended. frames are all that passed its cards, in order; cards holds those of each
    card."""

    frames: list[Frame]
    console: str
    rebooted: bool
    seconds: float
    cards: tuple[list[Frame], ...] = ()

    def __str__(self) -> str:
        """Returns the console from where init was ready to crash, or all of it, for finding a
        fault."""
        said = self.console[max(self.console.find(READY), 0) :]
        return f"{self.seconds:.1f} s, {len(self.frames)} frames, and the console said:\n{said}"


def crash(kit: Kit, nic: str, case: Case) -> Outcome:
    """Boots a guest with cards of this model, crashes it, and waits for its reset or the end of its
    time.

    A guest that dies before it is ready to crash has tried nothing and is started again: emulated
    CPUs sometimes run a breakpoint that the self-patching kernel has already removed ("Oops:
    int3").
    """
    for _ in range(LIVES):
        with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
            outcome = _live(kit, nic, case, Path(name) / "guest")
        if READY in outcome.console:
            break
    return outcome


def clone(kit: Kit, nic: str, case: Case, copies: int) -> list[Outcome]:
    """Runs a guest until it is ready to crash, then copies that continue from there until they have
    crashed, as when a virtual machine is cloned or reverted.

    Returns how the guest and its copies ended. All have the first one's memory.
    """
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        first, memory = Path(name) / "first", Path(name) / "memory"
        with _qemu(kit, nic, case, first) as process:
            wait_for("the guest to be ready", case.life, lambda: READY in _said(first / "console"))
            with _monitor(first) as monitor:
                monitor.sendall(f'migrate "exec:cat > {memory}"\nquit\n'.encode())
                process.wait(case.life)
        outcomes = [_outcome(first, case, rebooted=False, started=time.monotonic())]
        for number in range(copies):
            argv = ["-incoming", f"exec:cat {memory}"]
            outcomes.append(_live(kit, nic, case, Path(name) / f"copy{number}", argv))
        return outcomes


def hibernate(kit: Kit, nic: str, case: Case) -> tuple[Outcome, Outcome]:
    """Runs a guest until it has written its memory to /dev/vda and reboots, and then one that wakes
    from there. Returns how each ended."""
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        disk = Path(name) / "disk"
        with disk.open("wb") as empty:
            empty.truncate(2 * MEMORY_MIB << 20)
        argv = ["-drive", f"file={disk},format=raw,if=virtio"]
        asleep = _live(kit, nic, case, Path(name) / "asleep", argv)
        return asleep, _live(kit, nic, case, Path(name) / "awake", argv)


def keep(kit: Kit, nic: str, crashing: Case, next_boot: Case) -> tuple[Outcome, Outcome]:
    """Returns a guest that crashes, and one that boots with the memory that the first one left behind."""
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        kept = f"memory-backend-file,id=kept,size={MEMORY_MIB}M,mem-path={name}/memory,share=on"
        argv = ["-object", kept, "-machine", "memory-backend=kept"]
        crashed = _live(kit, nic, crashing, Path(name) / "crashed", argv)
        return crashed, _live(kit, nic, next_boot, Path(name) / "next", argv)


def _live(kit: Kit, nic: str, case: Case, folder: Path, more: Sequence[str] = ()) -> Outcome:
    started = time.monotonic()
    with _qemu(kit, nic, case, folder, more) as process:
        rebooted = _watch(process, folder, case)
    return _outcome(folder, case, rebooted, started)


@contextmanager
def _qemu(
    kit: Kit, nic: str, case: Case, folder: Path, more: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a guest with all its files in a new folder, and with more arguments for QEMU."""
    folder.mkdir()
    (folder / "initrd").write_bytes(_initrd(kit, nic, case))
    argv = ["setpriv", "--pdeathsig", "KILL", "--", *_argv(kit, nic, case, folder), *more]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _outcome(folder: Path, case: Case, rebooted: bool, started: float) -> Outcome:
    cards = tuple(_frames(folder / f"pcap{card}") for card in range(case.cards))
    return Outcome(
        frames=[frame for card in cards for frame in card],
        console=_said(folder / "console"),
        rebooted=rebooted,
        seconds=time.monotonic() - started,
        cards=cards,
    )


def _initrd(kit: Kit, nic: str, case: Case) -> bytes:
    loaded = kit.order(*NICS[nic].drivers, *case.modules)
    files = {"init": INIT.read_bytes(), "case": case_file(case, loaded).encode()}
    files |= {"key": KEY.hex().encode()}
    files |= {f"bin/{PANICAST_CTL.name}": PANICAST_CTL.read_bytes()}
    files |= {
        f"{CTL_FOLDER}/{part.relative_to(PANICAST_CTL.parent)}": part.read_bytes() for part in CTL_PARTS
    }
    files |= {f"bin/{name}": (kit.folder / name).read_bytes() for name in PROGRAMS}
    files |= {name: (kit.folder / name).read_bytes() for name in (*loaded, *OWN)}
    if case.kdump:
        files |= {"vmlinuz": (kit.folder / "vmlinuz").read_bytes(), "initrd": _crash_initrd(kit)}
    return initramfs.pack(FOLDERS, files)


def _crash_initrd(kit: Kit) -> bytes:
    return initramfs.pack(
        FOLDERS, {"init": INIT.read_bytes(), "bin/busybox": (kit.folder / "busybox").read_bytes()}
    )


def case_file(case: Case, modules: Sequence[str]) -> str:
    """Returns what init reads: shell variables. modules are file names in the order of loading."""
    variables = {
        "modules": " ".join(modules),
        "setup": case.setup,
        "load": case.load,
        "armed": case.armed,
        "after": case.after,
        "command": "" if case.nmi else case.command,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def _argv(kit: Kit, nic: str, case: Case, folder: Path) -> list[str]:
    machine = kit.architecture
    append = f"console={machine.serial} net.ifnames=0 panic={case.panic} {kit.append} {case.append}"
    # fmt: off
    argv = [
        tools.find(machine.qemu) or machine.qemu, "-nodefaults", "-no-user-config", "-display", "none",
        *_machine(machine, case), "-smp", CPUS, "-m", str(MEMORY_MIB),
        "-no-reboot", "-action", "panic=none",
        "-kernel", str(kit.folder / "vmlinuz"), "-initrd", str(folder / "initrd"),
        "-append", append,
        "-serial", f"file:{folder / 'console'}",
        "-monitor", f"unix:{folder / 'monitor'},server=on,wait=off",
    ]
    # An IOMMU comes before the cards behind it.
    argv += [word for device in case.devices for word in ("-device", device)]
    card = NICS[nic]
    for number in range(case.cards):
        argv += [
            "-netdev", f"{_segment(case, number)},id=segment{number}",
            # Written before a frame goes on: what still waits in a queue when QEMU ends is not lost on us.
            "-object", f"filter-dump,id=dump{number},netdev=segment{number},file={folder / f'pcap{number}'}"
            + (",queue=rx" if case.wired else ""),
            "-device", f"{_card(card.device, case, number)},netdev=segment{number}",
        ]
    # fmt: on
    return argv


def _segment(case: Case, number: int) -> str:
    """Returns where a card's wire leads: to nobody, or to the card so many half of all further on."""
    return f"hubport,hubid={number % (case.cards // 2)}" if case.wired else "user,restrict=on,ipv6=off"


def _card(model: str, case: Case, number: int) -> str:
    """Returns a card's model and MAC address. One that stands by has that of the first."""
    stands_by = bool(case.standby) and number == 1
    last = 0x56 + (0 if stands_by else number)
    return f"{case.standby if stands_by else model},mac=52:54:00:12:34:{last:02x}"


def _machine(architecture: Architecture, case: Case) -> list[str]:
    _, usual, *more = architecture.machine
    return ["-machine", case.machine or usual, *more, *(("-cpu", case.cpu) if case.cpu else ())]


def _watch(process: subprocess.Popen[bytes], folder: Path, case: Case) -> bool:
    """Waits for QEMU's end and returns True; returns False if the guest stays, or its time is over."""
    deadline = time.monotonic() + case.life
    to_inject = case.nmi
    while time.monotonic() < deadline:
        try:
            return process.wait(POLL_SECONDS) == 0
        except subprocess.TimeoutExpired:
            pass
        # A console may have grown to megabytes: only who waits for a word reads it.
        if to_inject and READY in _said(folder / "console"):
            _inject_nmi(folder)
            to_inject = False
        if case.panic == 0 and END in _said(folder / "console"):
            return False
    return False


def _said(console: Path) -> str:
    return console.read_text(errors="replace") if console.exists() else ""


def _frames(pcap: Path) -> list[Frame]:
    with pcap.open("rb") as stream:
        return [Frame(float(at), data) for at, data in dpkt.pcap.Reader(stream)]


@contextmanager
def _monitor(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
        monitor.connect(str(folder / "monitor"))
        yield monitor


def _inject_nmi(folder: Path) -> None:
    with _monitor(folder) as monitor:
        monitor.sendall(b"nmi\n")
        # The prompt after the echo: QEMU has done it.
        while b"nmi" not in monitor.recv(4096):
            pass
