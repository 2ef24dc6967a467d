# SPDX-License-Identifier: GPL-2.0-or-later
"""The story fails whenever the crash did not leave exactly one complete record with the evidence in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import pytest

from panicast_build.smoke import scenario
from panicast_build.smoke.agent import Output
from panicast_build.smoke.debs import Debs
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.system import System

GOOD = {"id": "a1", "type": "panic", "format": "v1", "complete": True}
TEXT = "\n".join(scenario.EVIDENCE)


class FakeServer:
    """Crashes when asked to, and comes back."""

    crashes = 0

    def run(self, argv: Sequence[str], **_: Any) -> Output:
        return Output(0, "", "")

    def abandon(self, argv: Sequence[str], stdin: str = "") -> None:
        self.crashes += 1

    def wait_until_up(self) -> None:
        assert self.crashes == 1


class FakeLogHost:
    """Has heard the records given once the server has crashed, and a panic of another day from the start."""

    def __init__(self, server: FakeServer, records: list[dict[str, Any]], text: str) -> None:
        self._server, self._records, self._text = server, records, text

    def run(self, argv: Sequence[str], **_: Any) -> Output:
        if argv[1] == "show" or scenario.FETCH in argv:
            return Output(0, self._text, "")
        heard = self._records if self._server.crashes else []
        return Output(0, json.dumps([{**GOOD, "id": "old"}, *heard]), "")


def crash(records: list[dict[str, Any]], text: str = TEXT) -> scenario.Story:
    server = FakeServer()
    log_host = FakeLogHost(server, records, text)
    story = scenario.Story(cast(System, server), cast(System, log_host), Debs.tool, lambda _: nullcontext())
    story._crash("v1")
    return story


def test_one_complete_record_with_the_evidence_passes() -> None:
    assert crash([GOOD]).records == [GOOD]


@pytest.mark.parametrize(
    ("records", "text", "complaint"),
    [
        ([GOOD, {**GOOD, "id": "a2"}], TEXT, "left 2 records of type panic: a1, a2"),
        ([{**GOOD, "complete": False}], TEXT, "complete: False"),
        ([{**GOOD, "format": "raw"}], TEXT, "expected one complete v1 record"),
        ([GOOD], scenario.EVIDENCE[0], "does not hold 'sysrq_handle_crash'"),
        ([GOOD], "", "Kernel panic - not syncing"),
    ],
)
def test_anything_else_fails(records: list[dict[str, Any]], text: str, complaint: str) -> None:
    with pytest.raises(SmokeFailure, match=complaint):
        crash(records, text)


def test_silence_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "RECORD_SECONDS", 0.0)
    with pytest.raises(SmokeFailure, match="in vain for a record of the crash"):
        crash([{**GOOD, "type": "test"}])


def test_the_web_page_of_another_text_fails() -> None:
    story = crash([GOOD])
    story._web_page_shows(GOOD)
    cast(FakeLogHost, story._log_host)._text = scenario.EVIDENCE[0]
    with pytest.raises(SmokeFailure, match=r"page of record a1 .*sysrq_handle_crash"):
        story._web_page_shows(GOOD)
