# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenario of the patched kernel: it still sends what a stock one forgets at `dmesg -c`."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.run import run
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.family import Tool
from panicast_build.smoke.image import GuestImage
from panicast_build.smoke.kernel import PatchedKernel
from panicast_build.smoke.scenario import MODULE_FOLDER, Stage, Step
from panicast_build.smoke.system import System
from panicast_build.smoke.vm import Machine, Spec

# The first line of every boot.
BOOT = "Linux version "
LOG_SOURCE = {False: "kmsg_dump", True: "kernel_log_buffer"}
ENFORCED = "/sys/module/module/parameters/sig_enforce"
# What KUnit says of the suite of kernel_log_buffer() at boot: "ok 1 - NAME", without the dash since 6.5.
TESTED = re.compile(r"\b(not )?ok \d+ (?:- )?kernel_log_buffer$", re.MULTILINE)
TEST_OPTION = "CONFIG_PRINTK_LOG_BUFFER_KUNIT_TEST=y"
# What is wrong and what to do, on a machine without EFI.
REFUSAL = ("this kernel loads only signed modules", "module.sig_enforce")
RESET_SECONDS = 120.0

Start = Callable[[Spec], AbstractContextManager[tuple[Machine, System]]]


def boot_files(root: Path, release: str, folder: Path) -> GuestImage:
    """Copies the kernel of this release and its initramfs into folder from root, the disk of a
    guest that has crashed."""
    tools.need("e2fsck", "debugfs")
    # What is in the journal only. 1: mistakes were corrected.
    checked = run([tools.find("e2fsck") or "e2fsck", "-p", root], check=False)
    if checked.code not in (0, 1):
        raise SmokeFailure(f"the crashed guest's disk is broken: {checked.output.strip()}")
    image = GuestImage(root, folder / f"vmlinuz-{release}", folder / f"initrd.img-{release}")
    for path in (image.kernel, image.initrd):
        run([tools.find("debugfs") or "debugfs", "-R", f"dump /boot/{path.name} {path}", root])
        if not path.exists() or not path.stat().st_size:
            raise SmokeFailure(f"the guest's /boot has no {path.name}")
    return image


class Story(Stage):
    """A stock and a patched kernel on one machine, with the module built for both. It writes to its
    disk, spec's image."""

    def __init__(
        self, start: Start, spec: Spec, kernel: PatchedKernel, log_host: System, tool: Tool, step: Step
    ) -> None:
        super().__init__(log_host, tool, step)
        self._start = start
        self._spec = replace(spec, lasting=True)
        self._kernel = kernel

    def tell(self) -> None:
        """See Stage."""
        # It ends with its first crash: the next kernel that boots is another.
        with self._start(replace(self._spec, reboots=False)) as (machine, self._server):
            self._on_stock_kernel(machine)
        with self._step("the patched kernel is copied from the crashed disk"):
            image = boot_files(self._spec.image.root, self._kernel.release, self._spec.folder)
        append = "module.sig_enforce=1" if self._kernel.signed else ""
        with self._start(replace(self._spec, image=image, append=append, memory=None)) as (_, self._server):
            self._on_patched_kernel()

    def _on_stock_kernel(self, machine: Machine) -> None:
        with self._step("both guests boot"):
            self._boot(self._server, self._log_host)
        with self._step("the service is active, the module that was built for the stock kernel armed"):
            self._service_is_active()
            self._module_is_armed()
        with self._step("stock kernel: the record lacks what dmesg -c has cleared"):
            text = self._crash_after_clearing(
                patched=False, gone=lambda: machine.wait_until_ended(RESET_SECONDS)
            )
            if BOOT in text:
                raise SmokeFailure(
                    "dmesg -c did not clear the log of the stock kernel: this test proves nothing"
                )

    def _on_patched_kernel(self) -> None:
        with self._step("the patched kernel boots, and its own tests pass"):
            self._boot(self._server)
            if self.kernels[self._server.name] != self._kernel.release:
                raise SmokeFailure(f"{self.kernels[self._server.name]} runs, not {self._kernel.release}")
            self._tests_passed()
            self._module_is_armed()
        if self._kernel.signed:
            with self._step("it loads only signed modules, and panicast.ko is signed"):
                self._module_is_signed()
        with self._step("patched kernel: the record has what dmesg -c has cleared"):
            text = self._crash_after_clearing(patched=True, gone=self._server.wait_until_up)
            if BOOT + self._kernel.release not in text:
                raise SmokeFailure("the record of the patched kernel does not reach back to its boot")
        if not self._kernel.signed:
            with self._step("with module.sig_enforce the unsigned module is refused, and doctor says why"):
                self._module_is_refused()

    def _crash_after_clearing(self, *, patched: bool, gone: Callable[[], None]) -> str:
        """Returns the text of the record of a crash after `dmesg -c`."""
        status = self._server.run(["panicast-ctl", "status"]).out
        if LOG_SOURCE[patched] not in status:
            raise SmokeFailure(f"panicast-ctl status does not say {LOG_SOURCE[patched]}: {status}")
        if BOOT not in self._server.run(["dmesg", "-c"]).out:
            raise SmokeFailure("the kernel log had lost the boot before it was cleared")

        def crash() -> None:
            self._panic()
            gone()

        return self._record("v1", crash)

    def _tests_passed(self) -> None:
        """Checks that KUnit ran at boot, if the kernel was built with it."""
        config = self._server.run(["cat", f"/boot/config-{self._kernel.release}"]).out
        if TEST_OPTION not in config.splitlines():
            return
        found = TESTED.search(self._server.run(["dmesg"]).out)
        if not found or found[1]:
            raise SmokeFailure(
                "the tests of kernel_log_buffer() in the kernel failed or did not run: see dmesg"
            )

    def _module_is_signed(self) -> None:
        enforced = self._server.run(["cat", ENFORCED]).out.strip()
        signer = self._server.run(["modinfo", "-F", "signer", "panicast"]).out.strip()
        if enforced != "Y" or not signer:
            raise SmokeFailure(f"sig_enforce is {enforced!r}, the module's signer {signer!r}")

    def _module_is_refused(self) -> None:
        self._server.run(["modprobe", "-r", "panicast"])
        self._server.run(["tee", ENFORCED], stdin="1")
        if self._server.run(["modprobe", "panicast"], check=False).code == 0:
            raise SmokeFailure("the kernel loads a module that is not signed, though it must not")
        self._server.run(["test", "!", "-e", MODULE_FOLDER])
        said = self._server.run(["panicast-ctl", "doctor"], check=False)
        if said.code != 1 or not all(words in said.out for words in REFUSAL):
            raise SmokeFailure(f"panicast-ctl doctor does not say what to do about it: {said.out}")
