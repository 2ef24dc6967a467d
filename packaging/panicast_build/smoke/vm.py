# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a QEMU process: its command line, its start and its certain end."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from panicast_build.core import tools
from panicast_build.smoke import memory
from panicast_build.smoke.failure import SmokeFailure, wait_for
from panicast_build.smoke.image import GuestImage

QEMU = "qemu-system-x86_64"
# In system management mode only can variables be written to: no guest forges what Secure Boot rests on.
UEFI_MACHINE = "q35,smm=on"
AGENT_PORT = "org.qemu.guest_agent.0"
START_SECONDS = 120.0
STOP_SECONDS = 120.0
STORE_SECONDS = 300.0
PROBE_SECONDS = 30.0


@dataclass(frozen=True)
class Accelerator:
    """How QEMU runs the guest's instructions: a word for reports, the options, and what helps it on
    the kernel's command line."""

    name: str
    options: tuple[str, ...]
    append: str = ""


# Before the name of a CPU: QEMU emulates it.
EMULATED = ("-accel", "tcg,thread=multi", "-cpu")
KVM = Accelerator("kvm", ("-accel", "kvm", "-cpu", "host"))
# Of "rep stosb", which kernel and C library take for zeroing where the CPU says it is fast (erms), TCG makes
# a step for each byte: five times what it costs without, and a fifth of a compiler's time.
EMULATED_CPU = "max,erms=off"
# Pages are found by four tables instead of five (la57), user memory is read with the same translation as the
# kernel's (smap, smep), and no driver for the CPU's own hypervisor and ciphers is loaded.
LEAN_CPU = f"{EMULATED_CPU},la57=off,smap=off,smep=off,svm=off,aes=off,pclmulqdq=off"
# What TCG has translated it knows again by its virtual address: where each process has libraries at addresses
# of its own, starting one takes three times as long.
TCG = Accelerator("tcg", (*EMULATED, LEAN_CPU), "norandmaps mitigations=off")


@dataclass(frozen=True)
class Firmware:
    """UEFI that enforces Secure Boot: its code, its variables (which the machine writes to), and
    the disk with the EFI system partition from which it boots."""

    code: Path
    variables: Path
    esp: Path


@dataclass(frozen=True)
class Spec:
    """A guest. number identifies it on the segment (MAC and address: see containers/guest-deb).
    peer names the guest at the other end. folder holds the sockets. console gets all serial output.

    append is added to the kernel's command line. lasting writes what the guest writes to its image,
    instead of discarding it with QEMU. reboots lets a reset start it again instead of ending QEMU.

    With memory, the guest has booted already: it continues from there, with image's root as its disk.

    With firmware, that boots: image's kernel and initramfs are not used, and command_line is what
    the system partition must pass to the kernel.
    """

    name: str
    number: int
    peer: str
    image: GuestImage
    repository: Path
    folder: Path
    console: Path
    accelerator: Accelerator
    nic: str = "virtio-net-pci"
    cpus: int = 2
    memory_mib: int = 1024
    append: str = ""
    lasting: bool = False
    reboots: bool = True
    memory: Path | None = None
    firmware: Firmware | None = None

    @property
    def command_line(self) -> str:
        """Returns the kernel's command line."""
        told = f"root=/dev/vda console=ttyS0 panic=-1 systemd.hostname={self.name}"
        return " ".join(filter(None, (told, self.accelerator.append, self.append)))

    @property
    def agent(self) -> Path:
        """Returns the unix socket of the guest agent's port."""
        return self.folder / f"{self.name}.agent"

    @property
    def monitor(self) -> Path:
        """Returns the unix socket of QEMU's monitor."""
        return self.folder / f"{self.name}.monitor"


def qemu_argv(spec: Spec, qemu: str = QEMU) -> list[str]:
    """Returns a guest's command line. It has no pvpanic device and -action panic=none: the guest's
    own reboot ends a panic.

    Disks are opened as snapshots: what a guest writes survives its resets and is gone with the
    process.
    """
    segment = ",".join(
        (
            "dgram,id=segment",
            f"local.type=unix,local.path={spec.folder / spec.name}.segment",
            f"remote.type=unix,remote.path={spec.folder / spec.peer}.segment",
        )
    )
    root = f"file={spec.image.root},format=raw,if=virtio"
    # fmt: off
    return [
        qemu, "-name", spec.name, "-nodefaults", "-no-user-config", "-display", "none",
        *_boot(spec), *spec.accelerator.options, "-smp", str(spec.cpus), "-m", str(spec.memory_mib),
        "-action", "panic=none", *(() if spec.reboots else ("-no-reboot",)),
        "-serial", f"file:{spec.console}",
        "-monitor", f"unix:{spec.monitor},server=on,wait=off",
        # Neither waits for this machine's disk: what the guest has flushed is lost with this machine only.
        "-drive", f"{root},cache=unsafe" if spec.lasting else f"{root},snapshot=on",
        "-drive", f"file={spec.repository},format=raw,if=virtio,snapshot=on",
        "-netdev", segment,
        "-device", f"{spec.nic},netdev=segment,mac=52:54:00:66:00:{spec.number:02x}",
        "-device", "virtio-rng-pci",
        "-device", "virtio-serial",
        "-chardev", f"socket,id=agent,path={spec.agent},server=on,wait=off",
        "-device", f"virtserialport,chardev=agent,name={AGENT_PORT}",
        *(memory.source(spec.memory) if spec.memory else ()),
    ]
    # fmt: on


def _boot(spec: Spec) -> list[str]:
    """Returns the options for the machine and what it boots."""
    if spec.firmware is None:
        kernel = ["-kernel", str(spec.image.kernel), "-initrd", str(spec.image.initrd)]
        return ["-machine", "q35", *kernel, "-append", spec.command_line]
    return ["-machine", UEFI_MACHINE, *uefi_argv(spec.firmware)]


def uefi_argv(firmware: Firmware) -> list[str]:
    """Returns the options by which a UEFI_MACHINE boots by this firmware."""
    # The disk is on SATA, so that those of every guest keep their names.
    # fmt: off
    return [
        "-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={firmware.code}",
        "-drive", f"if=pflash,unit=1,format=raw,file={firmware.variables}",
        "-drive", f"if=none,id=esp,format=raw,file={firmware.esp}",
        "-device", "ide-hd,drive=esp,bus=ide.0,bootindex=0",
    ]
    # fmt: on


def version() -> str:
    """Returns QEMU's name, e.g. "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"."""
    return _printed("--version")[0]


def devices() -> set[str]:
    """Returns the device models that this QEMU has."""
    return {line.split('"')[1] for line in _printed("-device", "help") if line.startswith('name "')}


def _printed(*arguments: str) -> list[str]:
    """Returns the lines that QEMU prints for these arguments."""
    argv = [tools.find(QEMU) or QEMU, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def choose_accelerator(kernel: Path) -> Accelerator:
    """Returns KVM if it really runs this kernel, else TCG. /dev/kvm may exist and not work, so it
    starts the kernel without a root file system: the kernel must get far enough to panic about that
    and reset."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    argv = [tools.find(QEMU) or QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
    argv += [*KVM.options, "-m", "512", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    argv += ["-serial", "stdio", "-no-reboot"]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TCG
    return KVM if done.returncode == 0 and b"Kernel panic" in done.stdout else TCG


class Machine:
    """with Machine(spec, temporary): a running guest, which is killed at the end whatever happens.

    temporary is a folder with room for what the guest writes to its disks.
    """

    def __init__(self, spec: Spec, temporary: Path) -> None:
        self.spec = spec
        self._temporary = temporary
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints = spec.console.with_suffix(".qemu.log")

    def __enter__(self) -> Self:
        # setpriv lets the kernel kill QEMU should this process be killed in a way that runs no clean-up.
        argv = [tools.find("setpriv") or "setpriv", "--pdeathsig", "KILL", "--"]
        self._temporary.mkdir(parents=True, exist_ok=True)
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                [*argv, *qemu_argv(self.spec, tools.find(QEMU) or QEMU)],
                env={**os.environ, "TMPDIR": str(self._temporary)},
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=subprocess.STDOUT,
                # Ctrl-C is ours to handle: a QEMU that got it too would look like a guest that died.
                start_new_session=True,
            )
        try:
            wait_for(f"QEMU to start {self.spec.name}", START_SECONDS, self._started)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def store(self, memory_file: Path) -> None:
        """Writes the guest's memory to a file, from which a machine of its like continues, and ends it."""
        if self._process is not None:
            memory.store(self._process, self.spec.monitor, memory_file, STORE_SECONDS)

    def wait_until_ended(self, seconds: float) -> None:
        """Waits for QEMU to end by itself, as at a reset if its guest must not reboot."""
        wait_for(f"QEMU to end with {self.spec.name}", seconds, self._ended)

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def check(self) -> None:
        """Raises SmokeFailure if QEMU has ended: no guest may power off here."""
        if self._process is not None and (code := self._process.poll()) is not None:
            said = self._complaints.read_text(errors="replace").strip()
            raise SmokeFailure(f"{self.spec.name}: QEMU ended with exit code {code} {said}".strip())

    def _started(self) -> bool:
        self.check()
        return self.spec.agent.exists()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
