# SPDX-License-Identifier: GPL-2.0-or-later
"""What texts of crashes mean: of several kinds, interleaved, cut and gapped; which are the same."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.meaning import (
    NOT_UNDERSTOOD,
    VERSION,
    Meaning,
    beginning,
    kind_of,
    split_stamp,
    understand,
)

SYSRQ = """\
<6>[   11.435095] sysrq: Trigger a crash
<0>[   11.435540] Kernel panic - not syncing: sysrq triggered crash
<4>[   11.435982] CPU: 0 PID: 1 Comm: init Tainted: G           OE      6.1.0-56-amd64 #1  Debian 6.1.192-2
<4>[   11.436301] Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2
<4>[   11.436813] Call Trace:
<4>[   11.436900]  <TASK>
<4>[   11.437398]  dump_stack_lvl+0x44/0x5c
<4>[   11.437398]  panic+0x118/0x2f4
<4>[   11.437398]  sysrq_handle_crash+0x16/0x20
<4>[   11.437398]  __handle_sysrq.cold+0x9b/0x13f
<4>[   11.437398]  write_sysrq_trigger+0x24/0x40
<4>[   11.437398]  </TASK>
<0>[   11.437398] Kernel Offset: 0x1c000000 from 0xffffffff81000000
"""
OOPS = """\
<4>[    3.000000] WARNING: CPU: 1 PID: 77 at net/core/dev.c:1 dev_warns+0x10/0x20
<4>[    3.000000] Call Trace:
<4>[    3.000000]  dev_warns+0x10/0x20
<4>[    3.000000] ---[ end trace 0000000000000000 ]---
<1>[   92.100000][  T455] BUG: kernel NULL pointer dereference, address: 0000000000000010
<1>[   92.100000][  T455] #PF: supervisor read access in kernel mode
<4>[   92.100000][  T455] Oops: 0000 [#1] PREEMPT SMP NOPTI
<4>[   92.100000][  T455] CPU: 2 UID: 0 PID: 455 Comm: kworker/2:1 Tainted: G  O 6.12.74+deb13-amd64 #1
<4>[   92.100000][  T455] Hardware name: Dell Inc. PowerEdge R640/0W23H8, BIOS 2.1.8 04/30/2019
<4>[   92.100000][  T455] RIP: 0010:mlx_poll.isra.0+0x2a/0x1b0 [mlx_core]
<4>[   92.100000][  T455] Code: 00 00 0f 1f 44 00 00
<4>[   92.100000][  T455] Call Trace:
<4>[   92.100000][  T455]  <IRQ>
<4>[   92.100000][  T455]  ? __die+0x23/0x70
<4>[   92.100000][  T455]  ? asm_exc_page_fault+0x26/0x30
<4>[   92.100000][  T455]  __napi_poll+0x2b/0x1b0
<4>[   92.100000][  T455]  net_rx_action+0x2a1/0x360 [mlx_core]
<4>[   92.100000][  T455]  </IRQ>
<4>[   92.100000][  T455]  ret_from_fork+0x31/0x50
<4>[   92.100000][  T455] Modules linked in: mlx_core(OE) nvidia(PO) nf_tables ext4
<4>[   92.100000][  T455] ---[ end trace 0000000000000000 ]---
<0>[   92.200000][  T455] Kernel panic - not syncing: Fatal exception in interrupt
"""
ARM = """\
<1>[   10.1] Unable to handle kernel paging request at virtual address dead000000000108
<0>[   10.1] Internal error: Oops: 0000000096000044 [#1] SMP
<4>[   10.1] CPU: 3 PID: 900 Comm: stress Not tainted 6.1.0-56-arm64 #1 Debian 6.1.192-2
<4>[   10.1] Hardware name: Raspberry Pi 4 Model B Rev 1.4 (DT)
<4>[   10.1] pc : list_del_bad+0x10/0x80
<4>[   10.1] lr : free_unref+0x20/0x90
<4>[   10.1] Call trace:
<4>[   10.1]  list_del_bad+0x10/0x80
<4>[   10.1]  free_unref+0x20/0x90
<4>[   10.1]  el0t_64_sync+0x1a0/0x1a4
<4>[   10.1] Code: aa0003f3 f9400260
<0>[   10.2] Kernel panic - not syncing: Oops: Fatal exception
"""


def test_a_panic_that_was_asked_for():
    found = understand(SYSRQ)
    assert found.title == "panic: sysrq triggered crash" and found.reason == "sysrq triggered crash"
    assert (found.kind, found.severity, found.at) == ("asked for", "low", "sysrq_handle_crash")
    assert found.trace[:3] == ("dump_stack_lvl", "panic", "sysrq_handle_crash")
    assert found.hardware == "QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2"
    assert (found.kernel, found.comm, found.taint) == ("6.1.0-56-amd64", "init", "GOE")


def test_an_oops_that_became_a_panic():
    found = understand(OOPS)
    assert found.title == "NULL pointer dereference in mlx_poll"
    assert (found.reason, found.at) == ("Fatal exception in interrupt", "mlx_poll")
    assert (found.module, found.severity) == ("mlx_core", "high")
    assert found.trace == ("__napi_poll", "net_rx_action [mlx_core]", "ret_from_fork")
    assert found.modules == ("mlx_core(OE)", "nvidia(PO)")
    assert (found.kernel, found.comm) == ("6.12.74+deb13-amd64", "kworker/2:1")
    assert found.hardware.startswith("Dell Inc. PowerEdge R640")


def test_what_each_line_of_a_crash_is():
    lines = [split_stamp(line)[1] for line in OOPS.splitlines()]
    kinds = {line.strip(): kind for line in lines if (kind := kind_of(line))}
    assert kinds == {
        lines[0]: "complaint",
        "Call Trace:": "trace",
        "dev_warns+0x10/0x20": "frame",
        lines[4]: "complaint",
        lines[6]: "complaint",
        "RIP: 0010:mlx_poll.isra.0+0x2a/0x1b0 [mlx_core]": "at",
        "? __die+0x23/0x70": "doubtful",
        "? asm_exc_page_fault+0x26/0x30": "doubtful",
        "__napi_poll+0x2b/0x1b0": "frame",
        "net_rx_action+0x2a1/0x360 [mlx_core]": "frame",
        "ret_from_fork+0x31/0x50": "frame",
        "Kernel panic - not syncing: Fatal exception in interrupt": "panic",
    }
    # Words that other programs use, too.
    assert kind_of("fatal error: something") == kind_of("INFO: something odd") == ""


def test_the_line_with_which_the_crash_begins():
    # The warning of long before is no part of it.
    assert beginning(OOPS) == 4 and beginning("eth0: link is up\n\n\n" + SYSRQ) == 4
    assert beginning("eth0: link is up\n") is None


MACHINE = """\
CPU: 0 PID: 412 Comm: cat Tainted: P           O       6.6.30 #1
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3
Modules linked in: my_drv(PO) ext4
"""


def test_what_machine_it_was_is_also_read_before_the_crash():
    found = understand(MACHINE + "Kernel panic - not syncing: my driver died\n")
    assert (found.comm, found.kernel, found.taint) == ("cat", "6.6.30", "PO")
    assert (found.hardware, found.modules) == (MACHINE.splitlines()[1][15:], ("my_drv(PO)",))
    # What the crash itself says comes first.
    own = MACHINE.replace("cat", "dd").replace("QEMU", "Dell").replace("my_drv", "other")
    both = understand(f"{MACHINE}Kernel panic - not syncing: my driver died\n{own}{MACHINE}")
    assert (both.comm, both.hardware[:4], both.modules) == ("dd", "Dell", ("other(PO)",))


def test_a_panic_that_says_nothing_else():
    assert understand("Kernel panic - not syncing: Fatal exception\n") == Meaning(
        title="panic: Fatal exception",
        signature=NOT_UNDERSTOOD,
        reason="Fatal exception",
        kind="panic",
        severity="high",
        names=("panic: Fatal exception",),
        version=VERSION,
    )


def test_another_architecture():
    found = understand(ARM)
    assert (found.at, found.kernel) == ("list_del_bad", "6.1.0-56-arm64")
    assert found.trace == ("list_del_bad", "free_unref", "el0t_64_sync")
    assert found.title == "bad paging request in list_del_bad"


@pytest.mark.parametrize("text", [SYSRQ, OOPS, ARM])
def test_the_same_crash_of_another_build_has_the_same_signature(text):
    other = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "+0x1/0x2", text)
    other = re.sub(r"\.(isra\.0|cold)", ".constprop.3", other).replace("deb13", "deb14")
    assert understand(other).signature == understand(text).signature != ""


def test_other_crashes_have_other_signatures():
    assert len({understand(text).signature for text in (SYSRQ, OOPS, ARM)}) == 3
    assert understand(SYSRQ.replace("sysrq triggered", "fence lost")).signature != understand(SYSRQ).signature


def test_without_a_trace_the_words_count():
    one, other = (understand(f"<0>[1.0] Kernel panic - not syncing: Timeout {n}: no CPU") for n in (17, 4))
    assert one.signature == other.signature != understand("Kernel panic - not syncing: other").signature


def test_text_without_a_crash_means_nothing():
    assert understand("<6>[1.0] usb 1-1: new device\n<6>[1.1] eth0: link up\n") == Meaning()


@pytest.mark.parametrize("text", [SYSRQ, OOPS, ARM])
@pytest.mark.parametrize("seed", range(5))
def test_lines_of_other_cpus_in_between_change_nothing(text, seed):
    chance, mixed = random.Random(seed), []
    for line in text.splitlines():
        mixed += [f"<6>[   50.{n}] virtio_net virtio0 eth0: link is up" for n in range(chance.randrange(3))]
        mixed.append(line)
    assert understand("\n".join(mixed)) == understand(text)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([SYSRQ, OOPS, ARM]), st.data())
def test_cut_and_gapped_texts_give_what_is_left_and_invent_nothing(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = understand(text[:start] + "\n[panicast: 9 bytes missing]\n" + text[end:])
    symbols = {frame.partition(" ")[0] for frame in understand(text).trace}
    assert {frame.partition(" ")[0] for frame in found.trace} <= symbols | {"dev_warns", "mlx_poll"}
    assert found.hardware in text and found.comm in text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400) | st.lists(st.sampled_from((SYSRQ + OOPS + ARM).split("\n"))).map("\n".join))
def test_nothing_raises(text):
    assert isinstance(understand(text).as_json()["trace"], list)
