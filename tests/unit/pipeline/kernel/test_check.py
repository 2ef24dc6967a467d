# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told of a patch that does not fit."""

from __future__ import annotations

from panicast_build.kernel.check import refusals

# patch 2.7.6
SAID = """\
File init/Kconfig is read-only; trying to patch anyway
checking file init/Kconfig
Hunk #1 FAILED at 1546.
1 out of 1 hunk FAILED
checking file kernel/printk/printk.c
Hunk #1 succeeded at 4580 (offset 938 lines).
checking file kernel/printk/printk_ringbuffer.c
Hunk #2 FAILED at 1725.
Reversed (or previously applied) patch detected!
1 out of 3 hunks FAILED
"""


def test_each_refusal_is_told_with_its_file() -> None:
    assert refusals(SAID) == [
        "init/Kconfig: Hunk #1 FAILED at 1546.",
        "kernel/printk/printk_ringbuffer.c: Hunk #2 FAILED at 1725.",
        "kernel/printk/printk_ringbuffer.c: Reversed (or previously applied) patch detected!",
    ]
    assert refusals("checking file init/Kconfig\nHunk #1 succeeded at 1509.\n") == []
