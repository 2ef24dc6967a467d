# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenario of a server that enforces Secure Boot: what its kernel refuses, what doctor says,
and what enrolling DKMS' key and the operator's own does."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from panicast_build.smoke import compiled, uefi
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.family import Tool
from panicast_build.smoke.patched import Start
from panicast_build.smoke.scenario import INSTALL_SECONDS, MODULE_FOLDER, Stage, Step
from panicast_build.smoke.system import System
from panicast_build.smoke.vm import Spec

# The certificate of the key that DKMS makes, and what it is called.
DKMS_CERTIFICATE, DKMS_SIGNER = "/var/lib/dkms/mok.pub", "DKMS module signing key"
# The operator's own, made and set as docs/secureboot.md says.
OWN_KEY, OWN_CERTIFICATE, OWN_SIGNER = "/root/modules.key", "/root/modules.der", "Example Ltd modules"
OWN_EXTENSION = "extendedKeyUsage=codeSigning,1.3.6.1.4.1.2312.16.1.2"
SETTING = "/etc/dkms/framework.conf.d/modules.conf"
SETTING_TEXT = f"mok_signing_key={OWN_KEY}\nmok_certificate={OWN_CERTIFICATE}\n"
# What doctor says of a module whose key is not enrolled, and of one without signature where it is.
NOT_ENROLLED = (
    f"signed with a key that this kernel does not trust ({DKMS_SIGNER})",
    "Secure Boot: on",
    f"mokutil --import {DKMS_CERTIFICATE}",
)
UNSIGNED = ("the module is not signed", "Secure Boot: on", "dkms build --force", "dkms install --force")
CONTENT = "Last words would leave"
OFF_SECONDS = 300.0


class Story(Stage):
    """A server that boots by the firmware and loaders in a folder (uefi.chain), with the module
    built. It writes to its disk, spec's image."""

    def __init__(
        self, start: Start, spec: Spec, loaders: Path, log_host: System, tool: Tool, step: Step
    ) -> None:
        super().__init__(log_host, tool, step)
        self._firmware = uefi.firmware(loaders, spec.image, spec.command_line, spec.folder)
        self._start = start
        self._spec = replace(spec, firmware=self._firmware, lasting=True)

    def tell(self) -> None:
        """See Stage."""
        with self._start(self._spec) as (machine, self._server):
            certificates = self._before_enrolling()
            # As good as a proper end, which would take as long as a boot.
            self._server.run(["sync"])
            self._server.abandon(["tee", "/proc/sysrq-trigger"], stdin="o")
            machine.wait_until_ended(OFF_SECONDS)
        with self._step("the machine's owner enrols both keys with shim"):
            uefi.enrol(self._firmware.variables, certificates)
        with self._start(self._spec) as (_, self._server):
            self._after_enrolling()

    def _before_enrolling(self) -> list[Path]:
        """Copies the certificates of DKMS' key and of the operator's own here and returns them."""
        with self._step("firmware, shim, GRUB and kernel boot with Secure Boot enforcing"):
            self._boot(self._server, self._log_host)
            self._is_enforcing()
        with self._step("DKMS has signed the module with its own key"):
            self._service_is_active()
            self._is_signed_by(DKMS_SIGNER)
        with self._step("the kernel refuses it because its key is not enrolled; doctor says what to do"):
            self._is_refused("Key was rejected by service", NOT_ENROLLED)
            status = self._server.run(["panicast-ctl", "status"], check=False)
            if status.code != 1 or "secure boot  on" not in status.out:
                raise SmokeFailure(f"panicast-ctl status does not say that Secure Boot is on: {status.out}")
        with self._step("the operator makes a key of their own"):
            subject = ["-subj", f"/CN={OWN_SIGNER}/", "-addext", OWN_EXTENSION]
            files = ["-keyout", OWN_KEY, "-outform", "DER", "-out", OWN_CERTIFICATE]
            request = ["openssl", "req", "-new", "-x509", "-nodes", "-days", "3650", "-newkey", "rsa:2048"]
            self._server.run([*request, *subject, *files])
        return [self._bring(path) for path in (DKMS_CERTIFICATE, OWN_CERTIFICATE)]

    def _after_enrolling(self) -> None:
        with self._step("the same module loads at boot, and doctor finds nothing wrong"):
            self._boot(self._server)
            self._is_enforcing()
            self._module_is_armed()
            self._is_signed_by(DKMS_SIGNER)
            self._doctor(0, (CONTENT,))
        with self._step("a crash under Secure Boot is recorded"):
            # Its agent is asked only after the record has come: a dying one may leave a question unanswered.
            self._record("v1", self._panic)
            self._server.wait_until_up()
            self._module_is_armed()
        with self._step("a module without signature is refused; doctor says what to do"):
            self._server.run(["modprobe", "-r", "panicast"])
            path = self._server.run(["modinfo", "-n", "panicast"]).out.strip()
            # A signature lies behind the end of the object: a tool that writes objects does not keep it.
            self._server.run(["strip", "--strip-debug", path])
            self._is_signed_by("")
            self._is_refused("Key was rejected by service", UNSIGNED)
        with self._step("with their own key set, doctor's advice signs the module with it; it loads"):
            self._server.run(["tee", SETTING], stdin=SETTING_TEXT)
            version = self._server.run(["modinfo", "-F", "version", "panicast"]).out.strip()
            for action in ("build", "install"):
                signing = [*compiled.USED, "dkms", action, "--force", f"panicast/{version}"]
                self._server.run(signing, seconds=INSTALL_SECONDS)
            self._is_signed_by(OWN_SIGNER)
            self._server.run(["modprobe", "panicast"])
            self._module_is_armed()
            self._doctor(0, (CONTENT,))

    def _is_enforcing(self) -> None:
        said = self._server.run(["mokutil", "--sb-state"]).out
        if "SecureBoot enabled" not in said:
            raise SmokeFailure(f"the guest was not started by Secure Boot: mokutil says {said.strip()!r}")
        lockdown = self._server.run(["cat", "/sys/kernel/security/lockdown"]).out
        if "[integrity]" not in lockdown:
            raise SmokeFailure(f"Secure Boot did not lock the kernel down for integrity: {lockdown.strip()}")

    def _is_signed_by(self, wanted: str) -> None:
        signer = self._server.run(["modinfo", "-F", "signer", "panicast"]).out.strip()
        if signer != wanted:
            raise SmokeFailure(f"the module's signer is {signer!r}, not {wanted!r}")

    def _is_refused(self, words: str, advice: tuple[str, ...]) -> None:
        """Checks that the kernel refuses the module for this reason, and that doctor says advice."""
        tried = self._server.run(["modprobe", "panicast"], check=False)
        if tried.code == 0 or words not in tried.err:
            raise SmokeFailure(f"modprobe ended with {tried.code}, not with {words!r}: {tried.err.strip()}")
        self._server.run(["test", "!", "-e", MODULE_FOLDER])
        self._doctor(1, advice)

    def _doctor(self, code: int, words: tuple[str, ...]) -> None:
        said = self._server.run(["panicast-ctl", "doctor"], check=False)
        missing = [part for part in words if part not in said.out]
        if said.code != code or missing:
            raise SmokeFailure(f"panicast-ctl doctor ended with {said.code}, without {missing}: {said.out}")

    def _bring(self, path: str) -> Path:
        """Copies a file of the server to the folder of its disk."""
        text = self._server.run(["base64", path]).out
        copy = self._spec.folder / Path(path).name
        copy.write_bytes(base64.b64decode(text))
        return copy
