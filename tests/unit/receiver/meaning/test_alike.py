# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes that share a name are one group, and no others are."""

from __future__ import annotations

import pytest

from panicast_receiver.meaning import NOT_UNDERSTOOD, understand

from .test_meaning import traced


def fault(begin: str) -> str:
    return f"{begin}\nRIP: 0010:my_read+0x1/0x2\n" + traced("my_read", "vfs_read")


def memory(begin: str, access: str = "Read") -> str:
    return (
        f"BUG: {begin} in my_read+0x1/0x2\n{access} of size 8 at addr ffff888012345678 by task a/1\n"
        + traced("my_read")
    )


#: What is one fault under several names, a line each; none of a line is one with any of another.
ALIKE = {
    "use-after-free read in my_read": (
        *(memory("KASAN: use-after-free"), memory("KASAN: slab-use-after-free")),
        memory("KFENCE: use-after-free read"),
    ),
    "use-after-free write in my_read": (memory("KASAN: slab-use-after-free", "Write"),),
    "out-of-bounds read in my_read": (
        *(memory("KASAN: slab-out-of-bounds"), memory("KFENCE: out-of-bounds read")),
    ),
    "KASAN: global-out-of-bounds Read in my_read": (memory("KASAN: global-out-of-bounds"),),
    "invalid free in my_read": (memory("KASAN: double-free"), memory("KFENCE: invalid free")),
    "bad address in my_read": (
        fault("general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1]"),
        fault("BUG: kernel NULL pointer dereference, address: 0000000000000008"),
        fault("BUG: unable to handle page fault for address: ffffc90000a51000"),
        memory("KASAN: null-ptr-deref"),
    ),
    "stall in my_read": (
        fault("watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [a:7]"),
        fault("NMI watchdog: Watchdog detected hard LOCKUP on cpu 3"),
        fault("rcu: INFO: rcu_sched self-detected stall on CPU"),
    ),
    "hang in my_read": (
        "INFO: task a:7 blocked for more than 120 seconds.\n" + traced("schedule", "my_read"),
        "INFO: task a:7 can't die for more than 120 seconds.\n" + traced("schedule", "my_read"),
    ),
    "stack overflow in my_read": (
        fault("BUG: stack guard page was hit at ffffc9 (stack is ffffc9..ffffca)"),
        fault("Insufficient stack space to handle exception!"),
    ),
    "divide error in my_read": (fault("divide error: 0000 [#1] SMP"),),
}


@pytest.mark.parametrize(("shared", "texts"), ALIKE.items(), ids=list(ALIKE))
def test_crashes_that_share_a_name_are_one_group(shared, texts):
    found = [understand(text) for text in texts]
    assert {one.names[0] == one.title and one.names[-1] for one in found} == {shared}
    assert len({one.title for one in found}) == len(texts) and len({one.signature for one in found}) == 1


def test_what_shares_no_name_shares_no_group():
    assert len({understand(texts[0]).signature for texts in ALIKE.values()}) == len(ALIKE)
    elsewhere = ALIKE["stall in my_read"][0].replace("my_read", "my_write")
    assert understand(elsewhere).signature != understand(ALIKE["stall in my_read"][0]).signature


def test_whoever_waits_for_other_cpus_is_named_by_what_was_seen():
    soft, hard, rcu = (
        text.replace("my_read", "smp_call_function_many") for text in ALIKE["stall in my_read"]
    )
    other = understand(soft.replace("_many", "_single"))
    assert other.signature == understand(soft).signature and other.title != understand(soft).title
    assert other.names[-1] == "soft lockup in smp_call_function"
    assert len({understand(text).signature for text in (soft, hard, rcu)}) == 3


def test_what_is_not_understood_has_no_other_name():
    for begin in (
        "general protection fault: 0000 [#1]\n",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 9s!\n",
    ):
        found = understand(begin)
        assert (found.signature, found.names) == (NOT_UNDERSTOOD, (found.title,))
