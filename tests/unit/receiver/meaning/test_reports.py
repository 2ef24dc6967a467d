# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole reports, as kernels print them, that have more traces than that of what went wrong."""

from __future__ import annotations

from panicast_receiver.meaning import understand

KASAN = """\
==================================================================
BUG: KASAN: slab-use-after-free in my_read+0x9c/0x110 [my_drv]
Read of size 8 at addr ffff888103c2d208 by task cat/412

CPU: 1 PID: 412 Comm: cat Tainted: G           O       6.6.30 #1
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3-debian-1.16.3-2 04/01/2014
Call Trace:
 <TASK>
 dump_stack_lvl+0x43/0x60
 print_report+0xc5/0x630
 kasan_report+0xb6/0xf0
 my_read+0x9c/0x110 [my_drv]
 vfs_read+0x11a/0x4f0
 ksys_read+0xb5/0x150
 do_syscall_64+0x3c/0x90
 entry_SYSCALL_64_after_hwframe+0x6e/0xd8
RIP: 0033:0x7f1b9a51a2c1
Code: 31 c0 e9 c6 fe ff ff
RSP: 002b:00007ffd5d0c9a88 EFLAGS: 00000246 ORIG_RAX: 0000000000000000
 </TASK>

Allocated by task 398:
 kasan_save_stack+0x33/0x60
 __kasan_kmalloc+0x8f/0xa0
 my_open+0x5d/0x90 [my_drv]
 do_dentry_open+0x36a/0x8d0

Freed by task 405:
 kasan_save_stack+0x33/0x60
 kasan_save_free_info+0x2b/0x60
 kfree+0x8d/0x130
 my_release+0x31/0x60 [my_drv]
 __fput+0x1b8/0x4e0

The buggy address belongs to the object at ffff888103c2d200
 which belongs to the cache kmalloc-64 of size 64
Memory state around the buggy address:
 ffff888103c2d100: fa fb fb fb fb fb fb fb fc fc fc fc fc fc fc fc
>ffff888103c2d200: fa fb fb fb fb fb fb fb fc fc fc fc fc fc fc fc
==================================================================
"""


def test_who_allocated_and_freed_memory_is_not_who_used_it() -> None:
    found = understand(KASAN)
    assert (found.title, found.at) == ("KASAN: slab-use-after-free Read in my_read", "my_read")
    assert found.trace == (
        *("dump_stack_lvl", "print_report", "kasan_report", "my_read [my_drv]", "vfs_read", "ksys_read"),
        *("do_syscall_64", "entry_SYSCALL_64_after_hwframe"),
    )
    assert (found.module, found.comm, found.kernel, found.taint) == ("my_drv", "cat", "6.6.30", "GO")
    # Nor where the report has them first, as that of KFENCE has.
    head, _, rest = KASAN.partition("CPU: 1")
    own, _, others = rest.partition("\nAllocated")
    other = understand(f"{head}Allocated{others}CPU: 1{own}\n")
    assert (other.title, other.trace) == (found.title, found.trace)


def test_without_its_own_trace_a_report_shows_what_it_has() -> None:
    head, _, others = KASAN.partition("CPU: 1")
    _, _, others = others.partition("\nAllocated")
    found = understand(f"{head}Allocated{others}")
    assert found.title == "KASAN: slab-use-after-free Read in my_read"
    assert found.trace[:3] == ("kasan_save_stack", "__kasan_kmalloc", "my_open [my_drv]")


IRQ_SAFE = """\
=====================================================
WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected
6.6.30 #1 Tainted: G           O
-----------------------------------------------------
cat/412 [HC0[0]:SC0[0]:HE0:SE1] is trying to acquire:
ffffffffc0405060 (&my->queue){+.+.}-{2:2}, at: my_second+0x2e/0x60 [my_drv]

and this task is already holding:
ffffffffc0405020 (&my->irq){-.-.}-{2:2}, at: my_first+0x1a/0x60 [my_drv]
which would create a new lock dependency:
 (&my->irq){-.-.}-{2:2} -> (&my->queue){+.+.}-{2:2}

but this new dependency connects a HARDIRQ-irq-safe lock:
 (&my->irq){-.-.}-{2:2}

... which became HARDIRQ-irq-safe at:
  lock_acquire+0xd1/0x2f0
  _raw_spin_lock_irqsave+0x3f/0x60
  my_interrupt+0x22/0x80 [my_drv]
  __handle_irq_event_percpu+0x7a/0x220

to a HARDIRQ-irq-unsafe lock:
 (&my->queue){+.+.}-{2:2}

... which became HARDIRQ-irq-unsafe at:
...
  lock_acquire+0xd1/0x2f0
  _raw_spin_lock+0x30/0x40
  my_task+0x22/0x80 [my_drv]

other info that might help us debug this:
"""


def test_a_lock_that_interrupts_take_is_named_after_the_interrupt() -> None:
    assert understand(IRQ_SAFE).title == "possible deadlock in my_interrupt"
    # Without its trace, after the lock that the task asks for.
    short, _, _ = IRQ_SAFE.partition("... which")
    short += "\nstack backtrace:\nCall Trace:\n dump_stack_lvl+0x43/0x60\n my_caller+0x1/0x2\n"
    assert understand(short).title == "possible deadlock in my_second"


UNBALANCED = """\
=====================================
WARNING: bad unlock balance detected!
6.6.30 #1 Tainted: G           O
-------------------------------------
cat/412 is trying to release lock (&my->lock) at:
[<ffffffffc0405060>] my_release+0x1a/0x60 [my_drv]
but there are no more locks to release!

stack backtrace:
CPU: 1 PID: 412 Comm: cat Tainted: G           O       6.6.30 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x43/0x60
 lock_release+0x1b9/0x2e0
 _raw_spin_unlock+0x17/0x40
 my_release+0x1a/0x60 [my_drv]
 __fput+0x1b8/0x4e0
 </TASK>
"""


def test_a_lock_on_a_line_of_its_own_is_no_trace() -> None:
    found = understand(UNBALANCED)
    assert (found.title, found.module) == ("bad unlock balance in my_release", "my_drv")
    assert found.trace[:2] == ("dump_stack_lvl", "lock_release") and len(found.trace) == 5


SOFTIRQ = """\
================================
WARNING: inconsistent lock state
6.6.30 #1 Tainted: G           O
--------------------------------
inconsistent {SOFTIRQ-ON-W} -> {IN-SOFTIRQ-W} usage.
swapper/1/0 [HC0[0]:SC1[1]:HE1:SE0] takes:
ffff888103c2d208 (&my->lock){+.?.}-{2:2}, at: my_timer+0x1e/0x60 [my_drv]
{SOFTIRQ-ON-W} state was registered at:
  lock_acquire+0xd1/0x2f0
  _raw_spin_lock+0x30/0x40
  my_open+0x22/0x80 [my_drv]
irq event stamp: 1234
hardirqs last  enabled at (1234): [<ffffffff81a01234>] _raw_spin_unlock_irqrestore+0x2d/0x60
softirqs last disabled at (1221): [<ffffffff810a1234>] __irq_exit_rcu+0xa4/0xd0

stack backtrace:
CPU: 1 PID: 0 Comm: swapper/1 Tainted: G           O       6.6.30 #1
Call Trace:
 <IRQ>
 dump_stack_lvl+0x43/0x60
 mark_lock+0x4f8/0x8b0
 lock_acquire+0xd1/0x2f0
 _raw_spin_lock+0x30/0x40
 my_timer+0x1e/0x60 [my_drv]
 call_timer_fn+0x8a/0x1a0
 </IRQ>
"""


def test_where_a_lock_was_taken_before_is_not_where_it_is_taken_now() -> None:
    found = understand(SOFTIRQ)
    assert (found.title, found.comm) == ("inconsistent lock state in my_timer", "swapper/1")
    assert found.trace[-2:] == ("my_timer [my_drv]", "call_timer_fn")


STARVED = """\
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: \t1-....: (5249 ticks this GP) idle=d59c/1/0x4000000000000000 softirq=1023/1023 fqs=2489
rcu: \t(detected by 0, t=5252 jiffies, g=1949, q=131 ncpus=2)
Sending NMI from CPU 0 to CPUs 1:
NMI backtrace for cpu 1
CPU: 1 PID: 412 Comm: cat Tainted: G           O       6.6.30 #1
RIP: 0010:my_wait+0x12/0x20 [my_drv]
Call Trace:
 <TASK>
 my_flush+0x2e/0x60 [my_drv]
 my_ioctl+0x41/0x90 [my_drv]
 __x64_sys_ioctl+0x8f/0xd0
 do_syscall_64+0x3c/0x90
 </TASK>
rcu: rcu_preempt kthread starved for 2500 jiffies! g1949 f0x2 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=1
rcu: RCU grace-period kthread stack dump:
task:rcu_preempt     state:R  running task     stack:14496 pid:17    ppid:2      flags:0x00004000
Call Trace:
 <TASK>
 __schedule+0x3c2/0xaf0
 schedule+0x5e/0xd0
 schedule_timeout+0x9a/0x180
 rcu_gp_fqs_loop+0x11a/0x5b0
 rcu_gp_kthread+0x1a6/0x250
 kthread+0xe6/0x120
 </TASK>
rcu: Stack dump where RCU GP kthread last ran:
Sending NMI from CPU 0 to CPUs 2:
NMI backtrace for cpu 2
CPU: 2 PID: 0 Comm: swapper/2 Tainted: G           O       6.6.30 #1
RIP: 0010:pv_native_safe_halt+0xf/0x20
Call Trace:
 <TASK>
 default_idle+0x9/0x20
 do_idle+0x1f3/0x240
 </TASK>
"""


def test_a_stall_is_not_in_the_thread_that_it_starved() -> None:
    found = understand(STARVED)
    assert found.title == "RCU stall in my_ioctl"
    assert found.trace[:2] == ("my_flush [my_drv]", "my_ioctl [my_drv]")


ARM_LOCKUP = """\
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [cat:412]
CPU: 0 PID: 412 Comm: cat Tainted: G           O       4.9.0 #1
Hardware name: ARM-Versatile Express
Backtrace:
[<c0110000>] (dump_backtrace) from [<c0110400>] (show_stack+0x20/0x24)
[<c0110400>] (show_stack) from [<c01a0000>] (watchdog_timer_fn+0x210/0x2a0)
[<c01a0000>] (watchdog_timer_fn) from [<c0190000>] (__hrtimer_run_queues+0x1a0/0x2f0)
Exception stack(0xee0c1e60 to 0xee0c1ea8)
1e60: 00000000 00000001 00000000 60000013 bf000000 00000000 00000000 00000000
[<c010c000>] (__irq_svc) from [<bf000040>] (my_poll+0x40/0x60 [my_drv])
[<bf000040>] (my_poll [my_drv]) from [<bf0000a0>] (my_ioctl+0x20/0x60 [my_drv])
[<bf0000a0>] (my_ioctl [my_drv]) from [<c0250000>] (vfs_ioctl+0x30/0x44)
[<c0250000>] (vfs_ioctl) from [<c0250800>] (SyS_ioctl+0x3c/0x60)
"""


def test_a_lockup_of_arm_is_in_what_the_timer_interrupted() -> None:
    assert understand(ARM_LOCKUP).title == "soft lockup in my_ioctl"


LEAKED = """\
BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/412
     last function: my_work+0x0/0x40 [my_drv]
"""


def test_a_lock_that_work_kept_is_named_after_the_work() -> None:
    assert understand(LEAKED).title == "workqueue leaked lock or atomic in my_work"


def test_what_comes_after_its_end_is_no_part_of_a_report() -> None:
    text = KASAN.partition("\nAllocated")[0].replace("KASAN: slab-use-after-free in my_read+0x9c/0x110", "x")
    first = "kernel BUG at fs/my.c:12!\nRIP: 0010:my_bug+0x1/0x2\nCall Trace:\n my_step+0x1/0x2\n"
    end = "---[ end trace 0000000000000000 ]---\n"
    found = understand(first + end + text)
    assert (found.trace, found.at) == (("my_step",), "my_bug")
    # Not even where the report names nobody.
    first = "kernel BUG at fs/my.c:12!\nCall Trace:\n dump_stack+0x1/0x2\n"
    assert understand(first + end + text).at == "dump_stack"
    first = "kernel BUG at fs/my.c:12!\nRIP: 0010:my_bug+0x1/0x2\nCall Trace:\n my_step+0x1/0x2\n"
    # A report without a trace ends with the next one's, as that of a BUG in an interrupt may.
    assert understand(first.partition("Call")[0] + end + "Call Trace:\n my_step+0x1/0x2\n").trace == (
        "my_step",
    )


def test_a_machine_check_says_what_it_found_first() -> None:
    text = "mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 4: b200000000070f0f\n"
    text += "mce: [Hardware Error]: Machine check: Processor context corrupt \n"
    text += "mce: [Hardware Error]: Machine check: another\n"
    assert understand(text).title == "machine check: Processor context corrupt"


def test_of_an_endless_recursion_a_thousand_frames_are_read() -> None:
    text = "BUG: stack guard page was hit at ffffc9 (stack is ffffc9..ffffca)\nCall Trace:\n"
    text += " my_one+0x1/0x2\n my_two+0x1/0x2\n" * 600 + " __x64_sys_bind+0x1/0x2\n"
    found = understand(text)
    assert found.trace == ("my_one", "my_two") * 32
