# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel patches, on the distros' own kernel sources of today."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import docker
import pytest

from panicast_build.crash.kernels import Kernel
from panicast_build.kernel import check, series
from panicast_build.kernel.check import Result


def tried(client: docker.DockerClient, kernel: Kernel, log: Path) -> Result:
    try:
        with log.open("w") as text:
            return check.check(client, kernel, text)
    except check.Unreachable as reason:
        pytest.skip(f"no source of Linux {kernel.name} to be had here: {reason}")


@pytest.mark.parametrize("kernel", check.sources(), ids=lambda kernel: kernel.name)
def test_the_patch_fits(client: docker.DockerClient, kernel: Kernel, tmp_path: Path) -> None:
    result = tried(client, kernel, tmp_path / "log")
    assert result.good, result.fuzz + result.style
    assert result.version.startswith(f"{kernel.series}.")


def test_a_patch_that_does_not_fit_is_found_out(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernel,) = (kernel for kernel in check.sources() if kernel.name == "6.1")
    era = series.for_version(kernel.series)
    # One line of context that is not there: what fuzz would forgive.
    text = era.patch.read_text().replace("\n \tr->text_buf = text_buf;\n", "\n \tr->text_buf = buf;\n")
    bad = tmp_path / "bad.patch"
    bad.write_text(text.replace("+\tsize_t line, line_len;\n", "+\tsize_t line,line_len;\n"))
    monkeypatch.setattr(series, "load", lambda: [replace(era, patch=bad)])
    result = tried(client, kernel, tmp_path / "log")
    assert "FAILED" in result.fuzz and "space required after that ','" in result.style
