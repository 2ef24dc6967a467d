# SPDX-License-Identifier: GPL-2.0-or-later
"""panicast-ctl with Secure Boot, on a machine made up of files and commands: what it says is to be done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from panicast_build.core.run import Result

from ..made_up import Machine

DKMS_SIGNER = "DKMS module signing key"
IMPORT = "mokutil --import "
PACKAGED = f"usr/share/panicast/signers/{os.uname().release}.der"
REBUILD = "sudo dkms build --force panicast/1.2 && sudo dkms install --force panicast/1.2"

Ctl = Callable[..., Result]


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    """Runs a command of panicast-ctl, of this signer's module; keys are the names of those that the kernel
    trusts, enrolled the certificates that shim has, own a certificate set for DKMS. Packaged, there is no
    DKMS, and the package brings a certificate if it was signed."""
    machine = Machine(tmp_path)

    def ctl(
        what: str,
        signer: str,
        *,
        keys: str = "",
        enrolled: str = "none",
        own: str = "",
        efi: bool = True,
        mokutil: bool = True,
        packaged: bool = False,
        certificate: bool = True,
    ) -> Result:
        if efi:
            machine.write("sys/firmware/efi/efivars/SecureBoot-8be4", bytes([6, 0, 0, 0, 1]))
        else:
            machine.write("sys/module/module/parameters/sig_enforce", "Y\n")
        machine.write("proc/keys", f"2f7a I------ 1 perm 1f0f 0 0 asymmetri {keys}: X509.rsa 0c []\n")
        if packaged:
            (machine.root / "usr/src/panicast-1.2/dkms.conf").unlink()
            if certificate:
                machine.write(PACKAGED, "a certificate")
        if own:
            machine.write("etc/dkms/framework.conf.d/modules.conf", f'mok_certificate="{own}"\n')
        machine.command("modinfo", f'case "$*" in *signer*) echo "{signer}" ;; *version*) echo 1.2 ;; esac')
        if mokutil:
            machine.command("mokutil", f'[ "$2" != {enrolled} ] || echo "$2 is already enrolled"')
        return machine.ctl(what)

    return ctl


def test_a_key_that_is_not_enrolled_is_to_be_imported(ctl: Ctl) -> None:
    said = ctl("doctor", DKMS_SIGNER)
    assert said.code == 1 and f"{IMPORT}/var/lib/dkms/mok.pub" in said.output
    assert f"a key that this kernel does not trust ({DKMS_SIGNER})" in said.output
    assert "Secure Boot: on" in said.output and "dkms build" not in said.output


def test_the_certificate_is_the_one_that_dkms_was_told(ctl: Ctl) -> None:
    assert f"{IMPORT}/root/own.der," in ctl("doctor", "Example", own="/root/own.der").output


def test_an_unsigned_module_is_signed_and_its_key_imported_if_need_be(ctl: Ctl) -> None:
    said = ctl("doctor", "", enrolled="/var/lib/dkms/mok.pub").output
    assert "the module is not signed" in said
    assert REBUILD in said and "sudo panicast-ctl reload" in said and IMPORT not in said
    said = ctl("doctor", "").output
    assert REBUILD in said and IMPORT in said


def test_the_key_of_an_earlier_installation_is_not_taken_for_this_ones(ctl: Ctl) -> None:
    assert IMPORT in ctl("doctor", DKMS_SIGNER, keys=DKMS_SIGNER).output
    here = "/var/lib/dkms/mok.pub"
    said = ctl("doctor", DKMS_SIGNER, keys=DKMS_SIGNER, enrolled=here).output
    assert "does not trust" not in said and "installed, but not loaded" in said


def test_a_kernels_own_key_needs_no_enrolling(ctl: Ctl) -> None:
    assert "does not trust" not in ctl("doctor", "Example kernel", keys="Example kernel").output


def test_a_packages_signer_is_the_one_to_import(ctl: Ctl) -> None:
    said = ctl("doctor", "Example", packaged=True).output
    assert f"{PACKAGED}, with a password" in said and "mok.pub" not in said


def test_what_a_package_left_unsigned_is_not_for_dkms_to_sign(ctl: Ctl) -> None:
    said = ctl("doctor", "", packaged=True, certificate=False)
    assert said.code == 1 and "install a signed package" in said.output
    assert "dkms build" not in said.output and IMPORT not in said.output


def test_without_mokutil_it_is_to_be_installed(ctl: Ctl) -> None:
    assert "install mokutil; sudo mokutil --import" in ctl("doctor", DKMS_SIGNER, mokutil=False).output


def test_without_efi_nothing_is_to_be_enrolled(ctl: Ctl) -> None:
    said = ctl("doctor", "", efi=False).output
    assert "module.sig_enforce" in said and IMPORT not in said


def test_status_tells_secure_boot_though_no_module_is_loaded(ctl: Ctl) -> None:
    said = ctl("status", DKMS_SIGNER)
    assert said.code == 1 and "secure boot  on" in said.output
