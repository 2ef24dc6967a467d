# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of a log: the text of each, who said it and when, whatever else stands in it."""

from __future__ import annotations

import pytest

from panicast_receiver.meaning import understand
from panicast_receiver.meaning.lines import Line, read

from .test_crash import SYSRQ

BUG = "kernel BUG at fs/my.c:12!"


@pytest.mark.parametrize(
    ("line", "caller", "stamp"),
    [
        (BUG, "", ""),
        (f"<4>[   12.345678] {BUG}", "", "12.345678"),
        (f"<4>[   12.345678][  T123] {BUG}", "T123", "12.345678"),
        # A vendor's kernel also says on which CPU.
        (f"[   12.345678] [T12@C3] {BUG}", "T12@C3", "12.345678"),
        (f"<4>[    C3] {BUG}", "C3", ""),
        (f"Apr 15 13:58:08 a-host kernel: [   12.345678] {BUG}", "", "12.345678"),
        (f"kern  :alert : [   12.345678] {BUG}", "", "12.345678"),
        # Another CPU, or the console, had begun the line.
        (f"eth0: li[   12.345678] {BUG}", "", "12.345678"),
        (f"eth0: li[   12.345678][   C3] {BUG}", "C3", "12.345678"),
        # What a terminal or a serial console adds.
        (f"\x1b[31m<4>[   12.345678] {BUG}\x1b[0m", "", "12.345678"),
        (f"<4>[   12.345678] {BUG}\r", "", "12.345678"),
        (f"<4>[   12.34\x005678] {BUG}\x00", "", "12.345678"),
    ],
)
def test_a_line_is_its_text_who_said_it_and_when(line: str, caller: str, stamp: str) -> None:
    assert read(f"an earlier line\n\n{line}\n") == [
        Line("an earlier line", "", "", 0),
        Line(BUG, caller, stamp, 2),
    ]


def test_after_a_gap_the_rest_of_a_line_is_left_out_and_the_next_is_not() -> None:
    gap = "[panicast: 9 bytes missing]\n"
    assert [line.text for line in read(f"one line\n{gap}{BUG}\nanother line\n")] == [
        "one line",
        "another line",
    ]
    assert understand(f"one line\n{gap}{BUG}\n").title == ""
    assert understand(f"one line\n{gap}\n{SYSRQ}") == understand(SYSRQ)
    # Only the receiver writes a gap.
    assert understand(f"[panicast: hello]\n{BUG}\nRIP: 0010:my_bug+0x1/0x2\n").title == "kernel BUG in my_bug"
