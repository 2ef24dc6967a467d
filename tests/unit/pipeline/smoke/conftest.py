# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that is made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from panicast_build.smoke.agent import Output


class FakeServer:
    """Answers what it is told to, by the beginning of the command line."""

    name = "server"

    def __init__(self, answers: dict[str, Output]) -> None:
        self._answers = answers

    def run(self, argv: Sequence[str], **_: Any) -> Output:
        line = " ".join(argv)
        found = [answer for start, answer in self._answers.items() if line.startswith(start)]
        return found[0] if found else Output(0, "", "")
