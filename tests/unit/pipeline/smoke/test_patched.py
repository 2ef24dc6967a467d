# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of the patched kernel fails where it proves nothing, or the kernel does not do its part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import pytest

from panicast_build.smoke import kernel, patched
from panicast_build.smoke.agent import Output
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.kernel import PatchedKernel
from panicast_build.smoke.repo import Package
from panicast_build.smoke.system import System
from panicast_build.targets import distros

from .conftest import FakeServer

RELEASE = "6.1.192-panicast-smoke"
KUNIT = "[    0.1] ok 1 - kernel_log_buffer\n"


def test_a_published_kernel_is_told_from_the_metapackage_that_leads_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = "6.1.192-panicast-cloud"
    names = [f"linux-{kind}-{of}" for kind in ("image", "headers") for of in (release, "panicast-cloud")]
    files = [{"file": f"{name}_1_amd64.deb"} for name in names]
    component = {"files": files, "inputs": {"key": ""}}
    monkeypatch.setattr(kernel.dist, "read", lambda _: {"components": {"cloud": component}})
    monkeypatch.setattr(kernel, "read", lambda path: Package(path, path.name.split("_")[0], "1", "0"))
    found = kernel.built(distros.get("debian-12"))
    assert (found.release, found.installed) == (release, names)


def story(answers: dict[str, str | Output], *, signed: bool = False) -> patched.Story:
    said = {start: Output(0, out, "") if isinstance(out, str) else out for start, out in answers.items()}

    made = patched.Story.__new__(patched.Story)
    made._kernel = PatchedKernel([], RELEASE, signed)
    made._step = lambda _: nullcontext()
    made._server = cast(System, FakeServer(said))
    made.kernels = {}
    return made


def recorded(made: patched.Story, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(form: str, crash: Callable[[], None]) -> str:
        assert form == "v1"
        return text

    monkeypatch.setattr(made, "_record", record)


def test_the_log_must_be_read_as_the_kernel_can(monkeypatch: pytest.MonkeyPatch) -> None:
    made = story({"panicast-ctl status": "log read by  kmsg_dump", "dmesg": "Linux version 6.1"})
    recorded(made, "text", monkeypatch)
    assert made._crash_after_clearing(patched=False, gone=lambda: None) == "text"
    with pytest.raises(SmokeFailure, match="does not say kernel_log_buffer"):
        made._crash_after_clearing(patched=True, gone=lambda: None)


def test_a_log_without_its_boot_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = story({"panicast-ctl status": "kernel_log_buffer", "dmesg": "late"})
    recorded(made, "text", monkeypatch)
    with pytest.raises(SmokeFailure, match="had lost the boot"):
        made._crash_after_clearing(patched=True, gone=lambda: None)


@pytest.mark.parametrize(
    ("config", "log", "complaint"),
    [
        ("", "", ""),
        (patched.TEST_OPTION, KUNIT, ""),
        (patched.TEST_OPTION, KUNIT.replace("1 - ", "1 "), ""),
        (patched.TEST_OPTION, "", "did not run"),
        (patched.TEST_OPTION, KUNIT.replace("ok", "not ok"), "failed"),
    ],
)
def test_the_kernels_own_tests_count_if_it_has_them(config: str, log: str, complaint: str) -> None:
    made = story({"cat /boot/config-": config, "dmesg": log})
    if complaint:
        with pytest.raises(SmokeFailure, match=complaint):
            made._tests_passed()
    else:
        made._tests_passed()


def test_an_unsigned_module_must_be_refused_and_explained() -> None:
    refused = {"modprobe panicast": Output(1, "", "Required key not available")}
    said = (
        "1. the module is not signed, and this kernel loads only signed modules\n   fix: … module.sig_enforce"
    )
    story({**refused, "panicast-ctl doctor": Output(1, said, "")})._module_is_refused()
    with pytest.raises(SmokeFailure, match="doctor does not say"):
        story(
            {**refused, "panicast-ctl doctor": Output(1, "the module is not loaded", "")}
        )._module_is_refused()
    with pytest.raises(SmokeFailure, match="loads a module that is not signed"):
        story({})._module_is_refused()


def test_a_crashed_disk_without_the_kernel_is_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    patched.run([patched.tools.find("mke2fs") or "mke2fs", "-q", "-t", "ext4", "-F", disk])
    with pytest.raises(SmokeFailure, match=f"has no vmlinuz-{RELEASE}"):
        patched.boot_files(disk, RELEASE, tmp_path)
