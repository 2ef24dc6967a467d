# SPDX-License-Identifier: GPL-2.0-or-later
"""A program of the administrator's, run for each record: JSON on its standard input, variables."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

from . import Told

_TIMEOUT_S = 30
_VARIABLES = ("id", "type", "host", "reason", "title", "signature", "received")


class Hook:
    """Runs ``program``; an exit code other than 0 is a failure."""

    def __init__(self, program: str) -> None:
        self.name = "hook"
        self.most = 1
        self._program = program

    def deliver(self, batch: Sequence[Told]) -> None:
        """See Sink."""
        for told in batch:
            self._run(told)

    def _run(self, told: Told) -> None:
        # A NUL cannot be part of a variable.
        known = {f"PANICAST_{key.upper()}": str(told.record[key]).replace("\0", "") for key in _VARIABLES}
        try:
            done = subprocess.run(
                [self._program],
                input=json.dumps(told.record).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **known},
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OSError(f"{self._program} did not end within {_TIMEOUT_S} s") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-200:]
            raise OSError(f"{self._program} ended with {done.returncode}: {said}")
