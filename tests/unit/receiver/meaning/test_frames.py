# SPDX-License-Identifier: GPL-2.0-or-later
"""What single lines of a trace say: the function, its module, whether the kernel is sure, file and line."""

import pytest

from panicast_receiver.meaning import naming, understand
from panicast_receiver.meaning.frames import StackFrame, frame, normal, place, symbol_in
from panicast_receiver.meaning.report import Report


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (" my_f+0x1/0x2", StackFrame("my_f")),
        (" my_f+0x1/0x2 [my_drv]", StackFrame("my_f", "my_drv")),
        (" ? my_f+0x1/0x2", StackFrame("my_f", sure=False)),
        (" my_f+0x1/0x2 (unreliable)", StackFrame("my_f", sure=False)),
        (" :my_drv:my_f+0x1/0x2", StackFrame("my_f", "my_drv")),
        # With files, as decode_stacktrace.sh writes them.
        (" my_f (drivers/net/my.c:12)", StackFrame("my_f", file="drivers/net/my.c:12")),
        (" my_f (include/linux/my.h:12)", StackFrame("my_f", file="include/linux/my.h:12")),
        (" my_f (arch/x86/entry/my.S:12)", StackFrame("my_f", file="arch/x86/entry/my.S:12")),
        (" my_f (drivers/net/my.c:12) [my_drv]", StackFrame("my_f", "my_drv", file="drivers/net/my.c:12")),
        (" ? my_f (drivers/net/my.c:12)", StackFrame("my_f", sure=False, file="drivers/net/my.c:12")),
        (" my_f (drivers/net/my.c:12) [inline]", StackFrame("my_f", sure=False, file="drivers/net/my.c:12")),
        (" my_f (drivers/net/my.c:12) [inline] ", StackFrame("my_f", sure=False, file="drivers/net/my.c:12")),
        # What stands before a name, in whichever way the kernel sets it apart.
        ("f+0x1/0x2", StackFrame("f")),
        ("\tmy_f+0x1/0x2", StackFrame("my_f")),
        (" [<ffffffff81000000>]my_f+0x1/0x2", StackFrame("my_f")),
        (" (my_f+0x1/0x2) [my_drv]", StackFrame("my_f", "my_drv")),
        (" [c0000000] [c0000001] .my_f+0x1/0x2", StackFrame("my_f")),
        (" <IRQ> [ 9.500000] my_f+0x1/0x2", StackFrame("my_f")),
        # A callee and its caller.
        (" my_f [my_drv] from my_g+0x1/0x2", StackFrame("my_f", "my_drv")),
        (" +0x1/0x2", None),
        (" usb 1-1: new device", None),
    ],
)
def test_a_frame(line, found):
    assert frame(line) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("RIP: 0010:my_f+0x1/0x2", StackFrame("my_f", at=True)),
        ("RIP: 0010:my_f+0x1/0x2 [my_drv]", StackFrame("my_f", "my_drv", at=True)),
        ("RIP: 0010:my_f (drivers/net/my.c:12)", StackFrame("my_f", file="drivers/net/my.c:12", at=True)),
        ("EIP: 0060:my_f (drivers/net/my.c:12)", StackFrame("my_f", file="drivers/net/my.c:12", at=True)),
        ("IP: my_f (drivers/net/my.c:12)", None),
        # A program.
        ("RIP: 0033:0x7f0123456789", None),
        ("my_f (drivers/net/my.c:12)", None),
    ],
)
def test_where_the_processor_was(line, found):
    assert place(line) == found


@pytest.mark.parametrize(
    "added", ["__cfi_{}", "__pfx_{}", ".{}", "{}.cold", "{}.isra.0", "{}.constprop.3", "{}.7"]
)
def test_a_function_is_named_without_what_the_compiler_added(added):
    assert normal(added.format("my_f")) == "my_f"
    # What is all of a name is none of that.
    assert normal("__cfi_") == "__cfi_"


def test_the_first_function_in_words():
    assert symbol_in("BUG at my_f+0x1/0x2, not my_g+0x1/0x2") == "my_f"
    assert symbol_in("at 0x12+0x3 in my_g+0x1/0x2") == "my_g"
    assert symbol_in("f+0x1/0x2") == "f" and symbol_in("at +0x1/0x2") == symbol_in("+0x1/0x2") == ""


def test_beyond_the_timer_is_what_it_interrupted_up_to_the_next_trace():
    mine, outer = StackFrame("my_f"), StackFrame("my_g")
    reports, tick = StackFrame("my_report"), StackFrame("apic_timer_interrupt")
    register = StackFrame("my_h", at=True)
    told = [None, reports, tick, mine, register, outer, None, StackFrame("my_other")]
    assert naming._beyond(Report(in_order=told)) == [mine, outer]
    assert naming._beyond(Report(in_order=told[:2])) == []


@pytest.mark.parametrize(
    ("between", "title"), [(2, "general protection fault"), (3, "NULL pointer dereference")]
)
def test_of_neighbouring_lines_the_one_that_was_said_first_names_the_crash(between, title):
    text = "\n".join(
        [
            "<1>[   10.000002] BUG: kernel NULL pointer dereference, address: 0000000000000010",
            *["<6>[   10.000001] usb 1-1: new device"] * between,
            "<4>[   10.000001] general protection fault: 0000 [#1] SMP",
        ]
    )
    assert understand(text).title.startswith(title)
