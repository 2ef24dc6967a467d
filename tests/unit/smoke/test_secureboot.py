# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of Secure Boot fails where the kernel loads what it must refuse, or doctor does not help."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from panicast_build.smoke import secureboot, vm
from panicast_build.smoke.agent import Output
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.guest import Guest
from panicast_build.smoke.image import GuestImage

REFUSED = Output(1, "", "modprobe: ERROR: could not insert 'panicast': Key was rejected by service")
ADVICE = Output(1, "; ".join(secureboot.NOT_ENROLLED), "")


class FakeServer:
    """Answers what it is told to, by the beginning of the command line."""

    def __init__(self, answers: dict[str, Output]) -> None:
        self._answers = answers

    def run(self, argv: Sequence[str], **_: Any) -> Output:
        line = " ".join(argv)
        found = [answer for start, answer in self._answers.items() if line.startswith(start)]
        return found[0] if found else Output(0, "", "")


def story(answers: dict[str, Output]) -> secureboot.Story:
    made = secureboot.Story.__new__(secureboot.Story)
    made._step = lambda _: nullcontext()
    made._server = cast(Guest, FakeServer(answers))
    return made


def test_a_refusal_needs_its_reason_and_its_advice() -> None:
    answers = {"modprobe panicast": REFUSED, "panicast-ctl doctor": ADVICE}
    wanted = ("Key was rejected by service", secureboot.NOT_ENROLLED)
    story(answers)._is_refused(*wanted)
    with pytest.raises(SmokeFailure, match="modprobe ended with 0"):
        story({"panicast-ctl doctor": ADVICE})._is_refused(*wanted)
    with pytest.raises(SmokeFailure, match="modprobe ended with 1"):
        story({**answers, "modprobe panicast": Output(1, "", "Exec format error")})._is_refused(*wanted)
    for said in (Output(1, "it is not loaded", ""), replace(ADVICE, code=0)):
        with pytest.raises(SmokeFailure, match="doctor ended with"):
            story({**answers, "panicast-ctl doctor": said})._is_refused(*wanted)


@pytest.mark.parametrize(
    ("state", "lockdown", "complaint"),
    [
        ("SecureBoot enabled\n", "none [integrity] confidentiality\n", ""),
        ("SecureBoot disabled\n", "none [integrity] confidentiality\n", "not started by Secure Boot"),
        ("SecureBoot enabled\n", "[none] integrity confidentiality\n", "did not lock the kernel down"),
    ],
)
def test_a_guest_that_does_not_enforce_proves_nothing(state: str, lockdown: str, complaint: str) -> None:
    made = story({"mokutil --sb-state": Output(0, state, ""), "cat /sys": Output(0, lockdown, "")})
    if complaint:
        with pytest.raises(SmokeFailure, match=complaint):
            made._is_enforcing()
    else:
        made._is_enforcing()


def test_a_machine_with_firmware_boots_from_its_disk_only(tmp_path: Path) -> None:
    spec = vm.Spec(
        name="server",
        number=1,
        peer="log-host",
        image=GuestImage(Path("/c/root"), Path("/c/kernel"), Path("/c/initrd")),
        repository=Path("/r/repository"),
        folder=tmp_path,
        console=tmp_path / "serial",
        accelerator=vm.TCG,
        firmware=vm.Firmware(Path("/f/code.fd"), Path("/f/vars.fd"), Path("/f/esp.img")),
    )
    argv = vm.qemu_argv(spec)
    assert not {"-kernel", "-initrd", "-append"} & set(argv)
    assert "if=pflash,unit=0,format=raw,readonly=on,file=/f/code.fd" in argv
    assert "driver=cfi.pflash01,property=secure,value=on" in argv and "q35,smm=on" in argv
