# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel patches, on the distros' own kernel sources of today."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from panicast_build.kernel import check, series
from panicast_build.targets.kernels import Kernel


def spoiled(patch: Path, folder: Path) -> Path:
    """A patch with a line of context that is not there, which fuzz would forgive, and a fault of style."""
    text = patch.read_text().replace("\n \tr->text_buf = text_buf;\n", "\n \tr->text_buf = buf;\n")
    bad = folder / "bad.patch"
    bad.write_text(text.replace("+\tsize_t line, line_len;\n", "+\tsize_t line,line_len;\n"))
    return bad


@pytest.mark.parametrize("kernel", check.sources(), ids=lambda kernel: kernel.name)
def test_the_patch_fits(client: docker.DockerClient, kernel: Kernel, tmp_path: Path) -> None:
    patch = series.for_version(kernel.series).patch
    try:
        with (tmp_path / "log").open("w") as log, check.source(client, log, kernel) as tree:
            good, bad = tree.try_patch(patch), tree.try_patch(spoiled(patch, tmp_path))
    except check.Unreachable as reason:
        pytest.skip(f"no source of Linux {kernel.name} to be had here: {reason}")
    assert good.good, good.fuzz + good.style
    assert good.version.startswith(f"{kernel.series}.")
    assert "FAILED" in bad.fuzz and "space required after that ','" in bad.style
