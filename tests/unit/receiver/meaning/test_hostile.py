# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile text takes no more time than an honest one of its length."""

from __future__ import annotations

import time

import pytest

from panicast_receiver.meaning import understand
from panicast_receiver.meaning.formats import FORMATS, LEAD_INS
from panicast_receiver.meaning.lines import MOST_LINE, read

from ..test_linear import FLOOR_S, grows

#: Beginnings of everything that is looked for, and what else may be thrown at it.
HOSTILE = (
    *sorted({row.begins for row in FORMATS} | set(LEAD_INS)),
    *("a+0x1/0x2 ", "[<[<[<", "(" * 8, "[ 1.1] ", "[1.1][T1] ", " at: ", "\x1b[", "<IRQ> ", "a from "),
    *("CPU: 1 PID: 1 Comm: ", "BUG: x/1 ", "Tainted: (", "a/b.c:1 ", "a.c:1 at ", "a_", ". ", "_R1a"),
    *("Hardware name: ", "mce: [Hardware Error]: ", "WARNING: [] ", "trusty: panic (", "RIP: 0010:", "\r"),
    *("RIP: ", "IP:  :a:b+0x1/0x2 ", ":a:" * 9, "a [b] from c "),
    *("Modules linked in: a(O) ", "x" * 8191, "\udcff", "\ufffd", "page last allocated", "-> #1 (", ""),
)


SMALL, LARGE = 16 << 10, 64 << 10


def seconds(piece, size):
    text = (piece * (size // len(piece) + 1))[:size]
    best = 9.0
    for _ in range(2):
        begin = time.process_time()
        understand(text)
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("end", ["", "\n", "+0x1/0x2\n"])
def test_four_times_the_text_takes_no_more_than_about_four_times_the_time(end):
    for piece in HOSTILE:
        if piece + end:
            large = seconds(piece + end, LARGE)
            # What is fast need not be measured twice.
            assert large < 0.02 or large < 0.02 + 12 * seconds(piece + end, SMALL), repr(piece)
            assert large < 1.6, repr(piece)


def test_no_line_is_longer_for_a_pattern_than_printk_makes_it():
    said = "<1>[    1.0] BUG: kernel NULL pointer dereference, address: 0"
    assert understand(said + " " * 4000 + "\n").title
    assert not understand("<1>[    1.0] " + "." * MOST_LINE + said + "\n").title
    assert max(len(line.text) for line in read("a" * 9999 + "\n" + "[ 1.0] " * 9999)) <= MOST_LINE


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.begins)
def test_no_pattern_of_a_format_backtracks(one):
    if one.detail is not None:
        for unit in ("a", "a ", "] ", "a-a_", "1"):
            few, more = ((unit * size)[:size] for size in (8 << 10, 64 << 10))
            assert not grows(one.detail.match, few, more, 24, FLOOR_S / 10), unit
