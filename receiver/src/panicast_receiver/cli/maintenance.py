# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``maintenance``: lists, starts and ends maintenance windows."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing

from .. import orders
from ..db import maintenance
from ..db.boots import Ages
from ..db.engine import Place
from ..db.reader import Reader
from ..records import present
from .commands import say


def show(place: Place, over: bool, as_json: bool) -> int:
    """Print the windows; those that are over too if they are asked for."""
    with closing(Reader(place)) as reader:
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


def change(place: Place, ages: Ages, order: maintenance.Order) -> int:
    """Start or end a window, whether the service runs or not; print it."""
    with closing(Reader(place)):
        pass
    number = orders.carry_out(place, maintenance.checked(order))
    assert number is not None
    with closing(Reader(place)) as reader:
        now_ns = time.time_ns()
        window = reader.window(number, now_ns)
        say(present.windows_table([window]))
        if window["state"] == "now":
            hosts = sum(reader.maintained(ages, now_ns).values())
            print(f"{hosts} hosts are in maintenance now", file=sys.stderr)
    return 0
