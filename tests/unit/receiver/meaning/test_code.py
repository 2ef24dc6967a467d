# SPDX-License-Identifier: GPL-2.0-or-later
"""Where in the code a crash was: what whoever has debug information asks for."""

from __future__ import annotations

import pytest

from panicast_receiver.meaning import understand

from .test_architectures import END, LOGS
from .test_crash import OOPS

#: Where the fault of LOGS was, and where the calls before it return, as each architecture says it.
PLACES = {
    "s390": ("at my_open+0x2a/0x48 [my_drv]", "my_open+0x2a/0x48 [my_drv]", "misc_open+0x12a/0x1b0"),
    "LoongArch": ("at my_open+0x40/0x60 [my_drv]", "my_open+0x40/0x60 [my_drv]", "misc_open+0x134/0x1e0"),
    "MIPS": ("at my_open+0x14/0x40 [my_drv]", "my_open+0x14/0x40 [my_drv]", "misc_open+0x134/0x1e0"),
    "riscv": ("at my_open+0x14/0x40 [my_drv]", "my_open+0x14/0x40 [my_drv]", "misc_open+0x8e/0x110"),
    # What is unreliable is left out.
    "ppc64": ("at my_open+0x38/0x90 [my_drv]", "chrdev_open+0x114/0x2c0", "do_dentry_open+0x1f4/0x5b0"),
    # Of the function that was called it prints no offset.
    "arm of before": ("at my_open+0x14/0x40 [my_drv]", "misc_open+0x8e/0x110", "chrdev_open+0xb2/0x1a0"),
    "arm": ("at my_open+0x14/0x40 [my_drv]", "misc_open+0x8e/0x110", "chrdev_open+0xb2/0x1a0"),
    "arm64": ("at my_open+0x14/0x40 [my_drv]", "my_open+0x14/0x40 [my_drv]", "misc_open+0x8e/0x110"),
    "x86-64 of 2.6.32": ("at my_open+0x14/0x40 [my_drv]", "misc_open+0x134/0x1e0", "chrdev_open+0x125/0x230"),
    # The module stands before the function.
    "x86-64 of 2.6.18": (
        *("at my_open+0x14/0x40 [my_drv]", "my_first+0x20/0x60 [my_drv]", "misc_open+0x134/0x1e0"),
        "chrdev_open+0x125/0x230",
    ),
    "i386 of 2.6.18": ("at my_open+0x14/0x40 [my_drv]", "misc_open+0x134/0x1e0", "chrdev_open+0x125/0x230"),
}


@pytest.mark.parametrize(("name", "places"), PLACES.items(), ids=list(PLACES))
def test_each_architecture_says_where(name: str, places: tuple[str, ...]) -> None:
    assert understand(LOGS[name].text + END).code[: len(places)] == places


def test_what_the_compiler_added_to_a_name_stays_and_doubtful_frames_do_not() -> None:
    assert understand(OOPS).code == (
        *("at mlx_poll.isra.0+0x2a/0x1b0 [mlx_core]", "__napi_poll+0x2b/0x1b0"),
        *("net_rx_action+0x2a1/0x360 [mlx_core]", "ret_from_fork+0x31/0x50"),
    )


KERNEL, MODULE = "8a9e0cb5b8e1c8b2a7d61b0e6f3b4a5c6d7e8f90", "4c1b3f5d7e9fa1b3c5d7e9f1a3b5c7d9e1f3a5b7"
#: Of a kernel with CONFIG_STACKTRACE_BUILD_ID.
BUILD_IDS = f"""\
BUG: kernel NULL pointer dereference, address: 0000000000000010
Oops: 0002 [#1] PREEMPT SMP
CPU: 0 PID: 77 Comm: cat Tainted: G           O       6.1.0 #1 PREEMPT(voluntary)  {KERNEL}
RIP: 0010:my_open+0x14/0x40 [my_drv {MODULE}]
Call Trace:
 <TASK>
 my_step+0x14/0x40 [my_drv {MODULE}]
 misc_open+0x134/0x1e0
 other_open+0x1/0x2 [other]
 </TASK>
"""


def test_builds_are_named_where_the_kernel_names_them() -> None:
    assert understand(BUILD_IDS).code == (
        f"at my_open+0x14/0x40 [my_drv {MODULE}]",
        f"my_step+0x14/0x40 [my_drv {MODULE}]",
        # The kernel's own stands behind its version.
        f"misc_open+0x134/0x1e0 [vmlinux {KERNEL}]",
        "other_open+0x1/0x2 [other]",
    )
    # What an earlier crash said of its kernel is not said of this one.
    earlier = f"CPU: 0 PID: 1 Comm: init Not tainted 6.0.0 #1 {MODULE}\n"
    later = BUILD_IDS.replace(f"  {KERNEL}", "")
    assert understand(earlier + later).code[2] == "misc_open+0x134/0x1e0"


#: Of a kernel without CONFIG_KALLSYMS.
NAMELESS = """\
BUG: kernel NULL pointer dereference, address: 0000000000000010
Oops: 0002 [#1] PREEMPT SMP
CPU: 0 PID: 77 Comm: cat Not tainted 6.1.0 #1
RIP: 0010:0xffffffff9d4b6e56
RSP: 0018:ffffb1f3c01b3d88 EFLAGS: 00010246
Call Trace:
 <TASK>
 ? 0xffffffff9d000111
 0xffffffff9d0a1b2c
 0xffffffff9d0a1b3c
 </TASK>
 0x00007f0123456789
Modules linked in:
 0xffffffff9d0a1b4c
Kernel Offset: 0x1c000000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)
"""
WHERE = ("at 0xffffffff814b6e56", "0xffffffff810a1b2c", "0xffffffff810a1b3c")


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("RIP: ", "RIP: "),
        # Before 4.9, and of other architectures.
        ("0xffffffff9d4b6e56", "[<ffffffff9d4b6e56>]  [<ffffffff9d4b6e56>] 0xffffffff9d4b6e56"),
        (" 0xffffffff9d0a1b2c", " [<ffffffff9d0a1b2c>] 0xffffffff9d0a1b2c"),
        ("RIP: 0010:0x", "pc : 0x"),
        ("RIP: 0010:0x", "epc : "),
    ],
)
def test_without_names_there_are_addresses_in_the_image_as_it_was_built(usual: str, other: str) -> None:
    assert understand(NAMELESS.replace(usual, other)).code == WHERE


def test_addresses_of_a_kernel_that_is_not_moved_are_its_images() -> None:
    text, _, _ = NAMELESS.replace("9d", "81").partition("Kernel Offset")
    assert understand(text + "Kernel Offset: disabled\n").code == (
        *("at 0xffffffff814b6e56", "0xffffffff810a1b2c", "0xffffffff810a1b3c"),
    )
    # Nobody knows how far it was moved.
    assert understand(text).code == ()


def test_the_innermost_places_are_kept() -> None:
    calls = "".join(f" my_f{n}+0x1/0x2\n" for n in range(40))
    named = understand(f"kernel BUG at fs/my.c:12!\nRIP: 0010:my_bug+0x1/0x2\nCall Trace:\n{calls}").code
    assert (named[0], named[1], named[-1], len(named)) == (
        *("at my_bug+0x1/0x2", "my_f0+0x1/0x2", "my_f30+0x1/0x2", 32),
    )
    calls = "".join(f" 0xffffffff9d0a1{n:03x}\n" for n in range(40))
    raw = understand(NAMELESS.replace(" 0xffffffff9d0a1b2c\n", calls)).code
    assert (raw[1], raw[-1], len(raw)) == ("0xffffffff810a1000", "0xffffffff810a101e", 32)
