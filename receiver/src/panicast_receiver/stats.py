# SPDX-License-Identifier: GPL-2.0-or-later
"""The service's counters: a line for people, and a file for other programs (the web page).

The main thread writes the file, a kilobyte every few seconds, so that neither the capturing thread
nor the database is involved.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from .log import logger

FILE_NAME = "stats.json"
#: Seconds between writes; counts older than STALE_S come from a service that does not run any more.
EVERY_S, STALE_S = 5.0, 20.0

Stats = dict[str, Any]


def line(stats: Stats) -> str:
    """Return the counters in one line, for people."""
    merged = {**stats["packets"], "dropped by the kernel, buffer full": stats["lost"]}
    packets = merged.pop("packets", 0)
    merged |= {f"records {outcome}": count for outcome, count in stats["records"].items()}
    merged |= {f"tests {what}": count for what, count in stats["tests"].items()}
    for name, counts in stats["sinks"].items():
        merged |= {f"{name} {what}": count for what, count in counts.items()}
    parts = [f"{name} {count}" for name, count in sorted(merged.items()) if count]
    flight = f"in flight {stats['in_flight']} ({stats['in_flight_bytes'] >> 10} KiB)"
    return f"packets {packets}; " + "; ".join([*parts, flight])


def write(state_dir: Path, stats: Stats) -> None:
    """Write the counters into the state folder. A failure is no reason to stop."""
    path = state_dir / FILE_NAME
    beside = path.with_name(f".{FILE_NAME}.new")
    text = json.dumps(stats)
    try:
        beside.write_text(text)
        beside.replace(path)
    except OSError as error:
        logger.debug("%s: %s", path, error.strerror)
        with contextlib.suppress(OSError):
            beside.unlink()
        # On a full disk there is room where the last ones are.
        with contextlib.suppress(OSError), path.open("r+") as file:
            file.write(text)
            file.truncate()


def remove(state_dir: Path) -> None:
    """Delete the file when the service stops: the log has its last counters."""
    with contextlib.suppress(OSError):
        (state_dir / FILE_NAME).unlink()


def read(state_dir: Path) -> Stats | None:
    """Return the counters of the service that runs here; None if none runs."""
    try:
        stats: Stats = json.loads((state_dir / FILE_NAME).read_text())
    except (OSError, ValueError):
        return None
    return stats if 0 <= time.time() - stats["written"] < STALE_S else None
