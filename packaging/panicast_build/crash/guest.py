# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one guest that crashes, and captures every frame that leaves its network cards."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import dpkt

from panicast_build.core import files, tools
from panicast_build.core.paths import ROOT
from panicast_build.crash import initramfs
from panicast_build.crash.architectures import Architecture
from panicast_build.crash.cases import KEY, Case
from panicast_build.crash.kit import FOLDER, NICS, OWN, PROGRAMS, Kit
from panicast_build.engine import images
from panicast_build.smoke import uefi, vm
from panicast_build.smoke.failure import SmokeFailure, wait_for
from panicast_build.smoke.image import GuestImage
from panicast_build.smoke.memory import monitor, source, store

READY, BOOTED = "READY-TO-CRASH", "BOOTED"  # init says them
LIVES = 3
# The file in which QEMU has the case of a booted guest: its name, the driver that shows it there, and where.
# It is one page, which the kernel reads at once; it begins and ends with WHOLE, for it may come meanwhile.
CASE_NAME, CASE_DRIVER = "opt/org.panicast/case", "qemu_fw_cfg"
CASE_FILE = f"/sys/firmware/qemu_fw_cfg/by_name/{CASE_NAME}/raw"
CASE_BYTES, WHOLE = 4096, "# whole"
# Where panicast-ctl has its parts.
CTL_FOLDER = "usr/share/panicast"
FOLDERS = ("bin", "proc", "sys", "dev", "usr", "usr/share", CTL_FOLDER, f"{CTL_FOLDER}/ctl")
POLL_SECONDS = 0.1
# The socket of QEMU's monitor, in a guest's folder.
MONITOR = "monitor"
MEMORY_MIB = 512
# Of one package each: a kernel without ACPI finds no other core of a package.
CPUS = "2,sockets=2"

INIT = Path(__file__).with_name("init")
PANICAST_CTL = ROOT / "kmod/dist/panicast-ctl"
CTL_PARTS = [*sorted(PANICAST_CTL.parent.glob("ctl/*.sh")), PANICAST_CTL.parent / "sysctl.conf"]
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


@dataclass(frozen=True)
class Booted:
    """Where the memory of a guest is that has booted, its initramfs, and what its console said."""

    memory: Path
    initrd: Path
    console: str


def machine_of(case: Case) -> Case:
    """Returns a case that has of this one only what must be known when the guest boots. Guests of
    equal ones can continue from one boot()."""
    return Case(
        name="boot",
        append=case.append,
        cards=case.cards,
        cpu=case.cpu,
        devices=case.devices,
        kdump=case.kdump,
        machine=case.machine,
        panic=case.panic,
        standby=case.standby,
        wired=case.wired,
    )


def can_wait(kit: Kit) -> bool:
    """Tells whether a guest of this kernel can boot before it has its case."""
    return CASE_DRIVER in kit.orders


def boot(kit: Kit, nic: str, cases: Sequence[Case]) -> Booted:
    """Returns a guest that has booted with cards of this model. crash() of any of the cases, whose
    machine_of() is the same, can continue from there. Raises SmokeFailure if it does not boot.

    Cached by all that the machine is made of.
    """
    machine = replace(
        machine_of(cases[0]),
        modules=tuple(dict.fromkeys(name for case in cases for name in (CASE_DRIVER, *case.modules))),
    )
    loaded = kit.order(*NICS[nic].drivers, CASE_DRIVER)
    initrd = _initrd(kit, nic, machine, f"modules='{' '.join(loaded)}'\nlater={CASE_FILE}\n")

    def fill(part: Path) -> None:
        written, none_yet = part / "initrd", part / "none"
        written.write_bytes(initrd)
        none_yet.write_bytes(b"\n" * CASE_BYTES)
        for _ in range(LIVES):
            with tempfile.TemporaryDirectory(prefix="panicast-boot-") as name:
                life = Path(name) / "guest"
                with _qemu(kit, nic, machine, life, written, _case_argv(none_yet)) as process:
                    if _says(process, life, BOOTED, machine.life):
                        store(process, life / MONITOR, part / "memory", machine.life)
                        shutil.copyfile(life / "console", part / "console")
                        return
                said = _said(life / "console")
        raise SmokeFailure(f"no guest of {kit.name} with {nic} booted: {said}")

    like = images.digest([_append(kit, machine), _argv(kit, nic, machine, Path())])
    made_of = images.digest([vm.version(), kit.folder.name, hashlib.sha256(initrd).hexdigest()])
    folder = files.cached(FOLDER / f"booted-{kit.name}-{nic}-{like}-{made_of}", fill)
    return Booted(folder / "memory", folder / "initrd", _said(folder / "console"))


def crash(kit: Kit, nic: str, case: Case, booted: Booted | None = None) -> Outcome:
    """Boots a guest with cards of this model, or continues from one that has booted, crashes it, and
    waits for its reset or the end of its time.

    A guest that dies before its crash has tried nothing. Another boots then.
    """
    for _ in range(LIVES):
        with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
            folder = Path(name) / "guest"
            outcome = _continue(kit, nic, case, folder, booted) if booted else _live(kit, nic, case, folder)
        if _has_tried(case, outcome.console):
            break
        booted = None
    return outcome


def _has_tried(case: Case, console: str) -> bool:
    """Tells whether a guest came to its crash.

    Emulated CPUs sometimes die where the kernel patches itself: they run a breakpoint that is gone again
    ("Oops: int3"), or jump to address 0. It does so while it boots, and once more for a probe at a place.
    """
    return READY in console and (not case.place or case.says in console)


def clone(kit: Kit, nic: str, case: Case, copies: int) -> list[Outcome]:
    """Runs a guest until it is ready to crash, then copies that continue from there until they have
    crashed, as when a virtual machine is cloned or reverted.

    Returns how the guest and its copies ended. All have the first one's memory.
    """
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        first, memory = Path(name) / "first", Path(name) / "memory"
        with _qemu(kit, nic, case, first) as process:
            wait_for("the guest to be ready", case.life, lambda: READY in _said(first / "console"))
            store(process, first / MONITOR, memory, case.life)
        outcomes = [_outcome(first, case, rebooted=False, started=time.monotonic())]
        with ThreadPoolExecutor(copies) as pool:
            live = partial(_live, kit, nic, case, more=source(memory))
            return outcomes + list(pool.map(live, (Path(name) / f"copy{number}" for number in range(copies))))


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


def keep(
    kit: Kit, nic: str, crashing: Case, next_boot: Case, firmware: Path | None = None
) -> tuple[Outcome, Outcome]:
    """Returns a guest that crashes, and one that boots with the memory that the first one left behind.

    With a UEFI firmware (a folder with plain-code.fd and plain-vars.fd), what the first one leaves
    behind are the firmware's variables instead.
    """
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        if firmware:
            variables = shutil.copyfile(firmware / "plain-vars.fd", Path(name) / "variables")
            flash = f"if=pflash,format=raw,readonly=on,file={firmware / 'plain-code.fd'}"
            argv = ["-drive", flash, "-drive", f"if=pflash,format=raw,file={variables}"]
        else:
            kept = f"memory-backend-file,id=kept,size={MEMORY_MIB}M,mem-path={name}/memory,share=on"
            argv = ["-object", kept, "-machine", "memory-backend=kept"]
        crashed = _live(kit, nic, crashing, Path(name) / "crashed", argv)
        return crashed, _live(kit, nic, next_boot, Path(name) / "next", argv)


def with_initrd(kit: Kit, nic: str, case: Case, initrd: bytes) -> Outcome:
    """Returns a guest whose initramfs a distribution's own maker made."""
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        made = Path(name) / "initrd"
        made.write_bytes(initrd)
        return _live(kit, nic, case, Path(name) / "guest", initrd=made)


def under_secure_boot(kit: Kit, nic: str, case: Case, loaders: Path, certificates: Sequence[Path]) -> Outcome:
    """Returns a guest that firmware with Secure Boot and Debian's signed loaders (uefi.chain()) start,
    whose owner has enrolled certificates."""
    case = replace(case, machine=vm.UEFI_MACHINE)
    with tempfile.TemporaryDirectory(prefix="panicast-crash-") as name:
        initrd = Path(name) / "initrd"
        initrd.write_bytes(_whole_initrd(kit, nic, case))
        image = GuestImage(initrd, kit.folder / "vmlinuz", initrd)
        made = uefi.firmware(loaders, image, _append(kit, case), Path(name))
        uefi.enrol(made.variables, certificates)
        return _live(kit, nic, case, Path(name) / "guest", initrd=initrd, boot=vm.uefi_argv(made))


def _live(
    kit: Kit,
    nic: str,
    case: Case,
    folder: Path,
    more: Sequence[str] = (),
    initrd: Path | None = None,
    boot: Sequence[str] = (),
) -> Outcome:
    started = time.monotonic()
    with _qemu(kit, nic, case, folder, initrd, more, boot) as process:
        rebooted = _watch(process, folder, case)
    return _outcome(folder, case, rebooted, started)


def _continue(kit: Kit, nic: str, case: Case, folder: Path, booted: Booted) -> Outcome:
    """Crashes a guest that continues from a booted one, and returns its outcome with the console of both."""
    written = folder.with_name("case")
    written.write_bytes(page(case_file(case, kit.order(*case.modules))))
    argv = [*_case_argv(written), *source(booted.memory)]
    outcome = _live(kit, nic, case, folder, argv, booted.initrd)
    return replace(outcome, console=booted.console + outcome.console)


def page(text: str) -> bytes:
    """Returns what a booted guest reads its case from. Raises ValueError if the case is too long."""
    whole = f"{WHOLE}\n{text}".encode(), f"\n{WHOLE}".encode()
    if (lacking := CASE_BYTES - sum(map(len, whole))) < 0:
        raise ValueError(f"a case has {-lacking} bytes too many for a guest that has booted")
    return (b"\n" * lacking).join(whole)


def _case_argv(written: Path) -> list[str]:
    return ["-fw_cfg", f"name={CASE_NAME},file={written}"]


def _says(process: subprocess.Popen[bytes], folder: Path, word: str, seconds: float) -> bool:
    """Waits for a word on the console, and tells whether it came; not if the guest has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if word in _said(folder / "console"):
            return True
        time.sleep(POLL_SECONDS)
    return False


@contextmanager
def _qemu(
    kit: Kit,
    nic: str,
    case: Case,
    folder: Path,
    initrd: Path | None = None,
    more: Sequence[str] = (),
    boot: Sequence[str] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a guest with all its files in a new folder, but for an initramfs that is there, and with more
    arguments for QEMU. boot are those by which it boots what is not the kit's kernel and an initramfs."""
    folder.mkdir()
    if initrd is None:
        initrd = folder / "initrd"
        initrd.write_bytes(_whole_initrd(kit, nic, case))
    boot = boot or [
        "-kernel",
        str(kit.folder / "vmlinuz"),
        "-initrd",
        str(initrd),
        "-append",
        _append(kit, case),
    ]
    argv = ["setpriv", "--pdeathsig", "KILL", "--", *_argv(kit, nic, case, folder), *boot, *more]
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


def _whole_initrd(kit: Kit, nic: str, case: Case) -> bytes:
    """Returns an initramfs whose init knows the case."""
    return _initrd(kit, nic, case, case_file(case, kit.order(*NICS[nic].drivers, *case.modules)))


def _initrd(kit: Kit, nic: str, case: Case, text: str) -> bytes:
    """Returns an initramfs with all modules of a card and a case, whose init reads text: see
    case_file()."""
    loaded = kit.order(*NICS[nic].drivers, *case.modules)
    files = {"init": INIT.read_bytes(), "case": text.encode()}
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


def _append(kit: Kit, case: Case) -> str:
    serial = kit.architecture.serial
    return f"console={serial} net.ifnames=0 panic={case.panic} {kit.append} {case.append}"


def _argv(kit: Kit, nic: str, case: Case, folder: Path) -> list[str]:
    machine = kit.architecture
    # fmt: off
    argv = [
        tools.find(machine.qemu) or machine.qemu, "-nodefaults", "-no-user-config", "-display", "none",
        *_machine(machine, case), "-smp", CPUS, "-m", str(MEMORY_MIB),
        "-no-reboot", "-action", "panic=none",
        "-serial", f"file:{folder / 'console'}",
        "-monitor", f"unix:{folder / MONITOR},server=on,wait=off",
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


def _inject_nmi(folder: Path) -> None:
    with monitor(folder / MONITOR) as asked:
        asked.sendall(b"nmi\n")
        # The prompt after the echo: QEMU has done it.
        while b"nmi" not in asked.recv(4096):
            pass
