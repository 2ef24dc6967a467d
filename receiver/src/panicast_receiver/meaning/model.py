# SPDX-License-Identifier: GPL-2.0-or-later
"""What a crash's text means, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The version of the algorithm that names and groups. Raise it if a change may give a text another
#: name or group: a record keeps its name, and says by which version it was given.
VERSION = 3


@dataclass(frozen=True)
class Meaning:
    """What a crash's text says. A field is empty if the text does not say it.

    ``title``: what happened and where, in one line. ``signature``: the same for the same crash.
    ``kind``: a word for what happened; ``severity`` follows from it. ``at``: the guilty function;
    ``module`` and ``file`` are that function's. ``trace``: reliable frames, innermost first.
    ``modules``: modules that taint the kernel. ``names``: the title, and what else the crash may be
    called; crashes that share a name are one group. ``code``: where in the code the registers
    (``at ``) and the trace's frames are, see code.py. ``version``: of the algorithm; 0 if nothing
    crashed.
    """

    title: str = ""
    signature: str = ""
    reason: str = ""
    at: str = ""
    trace: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    hardware: str = ""
    kernel: str = ""
    comm: str = ""
    kind: str = ""
    severity: str = ""
    module: str = ""
    file: str = ""
    taint: str = ""
    names: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    version: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the object for printing and for the database."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}


#: The group of all crashes that are not understood, and of no others.
NOT_UNDERSTOOD = "000000000000"


def not_understood(title: str = "not understood", reason: str = "") -> Meaning:
    """Return the meaning of a crash that nobody can identify."""
    return Meaning(
        title=title,
        signature=NOT_UNDERSTOOD,
        reason=reason,
        kind="unknown",
        severity="high",
        names=(title,),
        version=VERSION,
    )
