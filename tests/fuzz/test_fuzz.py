# SPDX-License-Identifier: GPL-2.0-or-later
"""A short run of every fuzz target; what else is to be found takes hours: see fuzz.py."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .targets import TARGETS
from .timing import ENOUGH, FLOOR_S, SlowInput, timed

SECONDS = 2


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    """What every target begins with, and the same cut or changed, where atheris is not to be had too."""
    target, seeds = TARGETS[name]
    for seed in seeds:
        for data in (seed, seed[: len(seed) // 2], seed[1:], b"", seed.replace(b"\0", b"\xff")):
            target(data)


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python or machine"
)
@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    program = Path(__file__).with_name("fuzz.py")
    done = subprocess.run(
        [
            sys.executable,
            program,
            name,
            corpus,
            f"-max_total_time={SECONDS}",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True,
        text=True,
        timeout=500,
    )
    left = {path.name: path.read_bytes()[:500] for path in tmp_path.iterdir() if path != corpus}
    assert done.returncode == 0, (left, done.stderr[-3000:])
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs and int(runs[1]) > len(TARGETS[name][1]), done.stderr[-1000:]


def test_an_input_that_is_far_slower_than_its_like_is_found() -> None:
    def target(data: bytes) -> None:
        # However fast this machine is.
        until = time.process_time() + (3 * FLOOR_S if data[:1] == b"!" else 0)
        while time.process_time() < until:
            pass

    run = timed(target)
    for number in range(2 * ENOUGH):
        run(b"%04d" % number)
    with pytest.raises(SlowInput):
        run(b"!000")
    run(b"0000")
