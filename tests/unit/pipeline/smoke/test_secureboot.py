# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of Secure Boot fails where the kernel loads what it must refuse, or doctor does not help."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import cast

import pytest

from panicast_build.smoke import secureboot
from panicast_build.smoke.agent import Output
from panicast_build.smoke.failure import SmokeFailure
from panicast_build.smoke.system import System

from .conftest import FakeServer

REFUSED = Output(1, "", "modprobe: ERROR: could not insert 'panicast': Key was rejected by service")
ADVICE = Output(1, "; ".join(secureboot.NOT_ENROLLED), "")


def story(answers: dict[str, Output]) -> secureboot.Story:
    made = secureboot.Story.__new__(secureboot.Story)
    made._step = lambda _: nullcontext()
    made._server = cast(System, FakeServer(answers))
    return made


def test_a_refusal_needs_its_reason_and_its_advice() -> None:
    answers = {"modprobe panicast": REFUSED, "panicast-ctl doctor": ADVICE}
    wanted = ("Key was rejected by service", secureboot.NOT_ENROLLED)
    story(answers)._is_refused(*wanted)
    with pytest.raises(SmokeFailure, match="modprobe ended with 0"):
        story({"panicast-ctl doctor": ADVICE})._is_refused(*wanted)
    with pytest.raises(SmokeFailure, match="modprobe ended with 1"):
        story({**answers, "modprobe panicast": Output(1, "", "Exec format error")})._is_refused(*wanted)
    for said in (Output(1, "it is not loaded", ""), replace(ADVICE, code=0)):
        with pytest.raises(SmokeFailure, match="doctor ended with"):
            story({**answers, "panicast-ctl doctor": said})._is_refused(*wanted)


@pytest.mark.parametrize(
    ("state", "lockdown", "complaint"),
    [
        ("SecureBoot enabled\n", "none [integrity] confidentiality\n", ""),
        ("SecureBoot disabled\n", "none [integrity] confidentiality\n", "not started by Secure Boot"),
        ("SecureBoot enabled\n", "[none] integrity confidentiality\n", "did not lock the kernel down"),
    ],
)
def test_a_guest_that_does_not_enforce_proves_nothing(state: str, lockdown: str, complaint: str) -> None:
    made = story({"mokutil --sb-state": Output(0, state, ""), "cat /sys": Output(0, lockdown, "")})
    if complaint:
        with pytest.raises(SmokeFailure, match=complaint):
            made._is_enforcing()
    else:
        made._is_enforcing()
