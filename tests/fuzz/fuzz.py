# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzzes one target, guided by what it reaches, until it fails, or is far slower than with others
of that length, or for as long as libFuzzer's flags say:

    .venv/bin/python tests/fuzz/fuzz.py crash CORPUS -max_total_time=3600

CORPUS is a folder that keeps what was found between runs. A failing input is left in the working folder;
given as the only argument behind the target's name it is tried again."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Sets up one target and becomes libFuzzer."""
    sys.path[:0] = [str(ROOT), str(ROOT / "receiver/src")]
    with atheris.instrument_imports(include=["panicast_receiver"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.timing import timed

    name, *flags = sys.argv[1:]
    if name not in TARGETS:
        sys.exit(f"no target is called {name!r}; there are: {', '.join(TARGETS)}")
    target, seeds = TARGETS[name]
    for corpus in flags[:1]:
        if Path(corpus).is_dir():
            for number, seed in enumerate(seeds):
                (Path(corpus) / f"seed-{number}").write_bytes(seed)
    # Longer inputs are slower, not more telling. What is too slow timed() finds by processor time; what takes
    # a minute by the clock, on a busy machine too, has no end.
    atheris.Setup([name, *flags, "-max_len=8192", "-timeout=60", "-rss_limit_mb=1024"], timed(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
