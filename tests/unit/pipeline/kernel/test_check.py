# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told of a patch that does not fit, or of a kernel that has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.core.errors import BuildError
from panicast_build.kernel import check, folder
from panicast_build.kernel.check import refusals

# patch 2.7.6
SAID = """\
File init/Kconfig is read-only; trying to patch anyway
checking file init/Kconfig
Hunk #1 FAILED at 1546.
1 out of 1 hunk FAILED
checking file kernel/printk/printk.c
Hunk #1 succeeded at 4580 (offset 938 lines).
checking file kernel/printk/printk_ringbuffer.c
Hunk #2 FAILED at 1725.
Reversed (or previously applied) patch detected!
1 out of 3 hunks FAILED
"""


def test_each_refusal_is_told_with_its_file() -> None:
    assert refusals(SAID) == [
        "init/Kconfig: Hunk #1 FAILED at 1546.",
        "kernel/printk/printk_ringbuffer.c: Hunk #2 FAILED at 1725.",
        "kernel/printk/printk_ringbuffer.c: Reversed (or previously applied) patch detected!",
    ]
    assert refusals("checking file init/Kconfig\nHunk #1 succeeded at 1509.\n") == []


def test_a_kernel_without_a_patch_is_told_which_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for sign in folder.SIGNS:
        (tmp_path / sign).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / sign).touch()
    (tmp_path / "Makefile").write_text("VERSION = 99\nPATCHLEVEL = 1\n")
    monkeypatch.setattr(check.engine, "connect", lambda: None)
    monkeypatch.setattr(check, "LOGS", tmp_path)
    monkeypatch.setattr(check, "LOG", tmp_path / "log")
    with pytest.raises(BuildError, match="no patch could be tried"):
        check.run(str(tmp_path))
    said = capsys.readouterr().err
    assert (
        "Linux 99.1 was not checked: no kernel patch is for Linux 99.1.0; there are patches for 5.10," in said
    )
    assert "series.toml" in said
