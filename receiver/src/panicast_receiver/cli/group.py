# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``group``: shows what was decided about a group of crashes, and changes it."""

from __future__ import annotations

import json
import os
import pwd
from contextlib import closing

from .. import orders
from ..db import groups
from ..db.engine import Place
from ..db.reader import Reader
from ..records import present
from .commands import say


def show(place: Place, prefix: str, as_json: bool) -> int:
    """Print a group with all that was decided about it."""
    with closing(Reader(place)) as reader:
        group = reader.group(prefix)
    say(json.dumps(group, indent=2) + "\n" if as_json else present.group_page(group))
    return 0


def change(place: Place, prefix: str, action: str, detail: str, note: str, by: str) -> int:
    """Do something to a group, whether the service runs or not; print its state."""
    with closing(Reader(place)) as reader:
        signature = reader.group(prefix)["signature"]
    order = groups.checked(groups.Order(signature, action, detail, note, by or whoever(), "command"))
    orders.carry_out(place, order)
    with closing(Reader(place)) as reader:
        say(f"{signature} {present.status(reader.group(signature)['status'])}\n")
    return 0


def whoever() -> str:
    """Return the name of the user who runs this, also through sudo."""
    if not os.geteuid() and (name := os.environ.get("SUDO_USER")):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
