# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``maintenance``: lists, starts and ends maintenance windows."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path

from ..db import maintenance, schema
from ..db.boots import Ages
from ..db.reader import Reader
from ..records import present
from .commands import say
from .group import carry_out


def show(state_dir: Path, over: bool, as_json: bool) -> int:
    """Print the windows; those that are over too if they are asked for."""
    with closing(Reader(state_dir)) as reader:
        found = reader.windows(time.time_ns(), over)
    if as_json:
        say(json.dumps(found, indent=2) + "\n")
    elif found:
        say(present.windows_table(found))
    else:
        print(
            "no maintenance window" + ("" if over else "; --all shows those that are over"), file=sys.stderr
        )
    return 0


def change(state_dir: Path, ages: Ages, order: maintenance.Order) -> int:
    """Start or end a window, whether the service runs or not; print it."""
    path = state_dir / schema.FILE_NAME
    order = maintenance.checked(order)
    with closing(Reader(state_dir)):
        pass
    number = carry_out(path, lambda db: maintenance.change(db, order))
    with closing(Reader(state_dir)) as reader:
        now_ns = time.time_ns()
        window = reader.window(number, now_ns)
        say(present.windows_table([window]))
        if window["state"] == "now":
            hosts = sum(reader.maintained(ages, now_ns).values())
            print(f"{hosts} hosts are in maintenance now", file=sys.stderr)
    return 0
