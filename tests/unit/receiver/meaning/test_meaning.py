# SPDX-License-Identifier: GPL-2.0-or-later
"""The names of crashes: small logs of our own making, one for each kind of report and each architecture, and
one for each thing that once gave a wrong name."""

from __future__ import annotations

import re

import pytest

from panicast_receiver.meaning import NOT_UNDERSTOOD, VERSION, not_understood, understand

TRACE = "Call Trace:\n dump_stack+0x1/0x2\n"


CPU = "CPU: 1 PID: 77 Comm: worker Not tainted 6.1.0 #1\n"


def traced(*names: str) -> str:
    return CPU + TRACE + "".join(f" {name}+0x10/0x20\n" for name in names)


TITLES = {
    # The checkers.
    "KASAN: use-after-free Read in udf_sync": "BUG: KASAN: use-after-free in memcpy+0x1/0x2\n"
    "Read of size 8 at addr ffff888012345678 by task a/1\n" + traced("kasan_report", "memcpy", "udf_sync"),
    "KASAN: slab-out-of-bounds Write in my_write": "BUG: KASAN: slab-out-of-bounds in my_write+0x1/0x2\n"
    "Write of size 4 at addr ffff888012345678 by task a/1\n" + traced("kasan_report", "my_write"),
    "KFENCE: out-of-bounds write in my_probe": "BUG: KFENCE: out-of-bounds write in my_probe+0x1/0x2\n",
    "KMSAN: uninit-value in my_send": "BUG: KMSAN: uninit-value in my_send+0x1/0x2 net/a.c:7\n",
    "KCSAN: data-race in one / two": "BUG: KCSAN: data-race in two+0x1/0x2 / one+0x3/0x4\n",
    "UBSAN: shift-out-of-bounds in my_parse": "UBSAN: shift-out-of-bounds in fs/my.c:7:9\n"
    + traced("__ubsan_handle_shift_out_of_bounds", "my_parse"),
    "memory leak in my_create": "BUG: memory leak\nunreferenced object 0xffff8880 (size 32):\n  backtrace:\n"
    "    [<00000000aa>] kmalloc_trace+0x1/0x2\n    [<00000000ab>] my_create+0x1/0x2\n",
    "ODEBUG bug in my_release": "ODEBUG: free active (active state 0) object type: timer_list\n"
    "WARNING: CPU: 0 PID: 1 at lib/debugobjects.c:5 debug_print_object+0x1/0x2\n"
    + traced("debug_print_object", "kfree", "my_release"),
    "refcount bug in my_get": "refcount_t: underflow; use-after-free.\n"
    "WARNING: CPU: 0 PID: 1 at lib/refcount.c:28 refcount_warn_saturate+0x1/0x2\n" + traced("my_get"),
    "list corruption in my_unlink": "list_del corruption. prev->next should be ffff8880, but was ffff8881\n"
    "------------[ cut here ]------------\nkernel BUG at lib/list_debug.c:53!\n"
    "RIP: 0010:__list_del_entry_valid+0x1/0x2\n" + traced("my_unlink"),
    "slab corruption: Poison overwritten in my_use": "BUG kmalloc-64 (Not tainted): Poison overwritten\n"
    + traced("check_bytes_and_report", "my_use"),
    "bad page state in my_free": "BUG: Bad page state in process x  pfn:12345\n"
    + traced("bad_page", "my_free"),
    # Locks.
    "possible deadlock in rtnl_lock": "WARNING: possible circular locking dependency detected\n"
    "a/7 is trying to acquire lock:\nffff88 (rtnl_mutex){+.+.}-{3:3}, at: rtnl_lock+0x1/0x2\n",
    "inconsistent lock state in my_tasklet": "[ INFO: inconsistent lock state ]\na/7 [HC0] takes:\n"
    " (&x->lock){+.?...}, at: [<f7fdd2d1>] my_tasklet+0x1/0x2 [my]\n",
    "suspicious RCU usage in my_walk": "WARNING: suspicious RCU usage\n"
    + traced("lockdep_rcu_suspicious", "my_walk"),
    "sleeping function called from invalid context in my_irq": "BUG: sleeping function called from invalid "
    "context at mm/slab.h:421\n" + traced("___might_sleep", "kmem_cache_alloc", "my_irq"),
    "scheduling while atomic in my_wait": "BUG: scheduling while atomic: a/7/0x00000002\n"
    + traced("__schedule_bug", "__schedule", "schedule", "my_wait"),
    "spinlock recursion in my_take": "BUG: spinlock recursion on CPU#0, a/7\n"
    + traced("do_raw_spin_lock", "_raw_spin_lock", "my_take"),
    # CPUs and tasks that get no further.
    "soft lockup in my_poll": "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [a:7]\n"
    "RIP: 0010:_raw_spin_lock+0x1/0x2\n" + traced("my_poll"),
    "hard lockup in my_spin": "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3\n"
    "RIP: 0010:my_spin+0x1/0x2\n",
    "RCU stall in ipv6_rcv": "rcu: INFO: rcu_sched self-detected stall on CPU\nNMI backtrace for cpu 1\n"
    + traced(
        *("rcu_dump_cpu_stacks", "update_process_times", "apic_timer_interrupt", "lock_acquire", "nf_hook"),
        *("ipv6_rcv", "__netif_receive_skb", "process_backlog", "net_rx_action", "__do_softirq"),
    ),
    "hung task in rtnl_lock": "INFO: task kworker/0:1:764 blocked for more than 120 seconds.\n"
    + traced("__schedule", "schedule", "mutex_lock_nested", "rtnl_lock", "my_work"),
    # Faults, architecture by architecture.
    "NULL pointer dereference in my_read": "BUG: unable to handle kernel NULL pointer dereference at (null)\n"
    "IP: [<ffffffff81234567>] my_read+0x10/0x20\nOops: 0000 [#1] SMP\n",
    "general protection fault in my_list": "Oops: general protection fault, probably for non-canonical "
    "address 0xdead000000000108: 0000 [#1] SMP\nRIP: 0010:my_list+0x1/0x2\n",
    "divide error in my_rate": "divide error: 0000 [#1] SMP\n"
    "RIP: 0010:[<ffffffff8>]  [<ffffffff8>] my_rate+0x1/0x2\n",
    "kernel BUG in my_bug": "kernel BUG at fs/my.c:12!\nEIP is at my_bug+0x1/0x2\n",
    "stack guard page was hit in sys_sendmsg": "BUG: stack guard page was hit at ffffc9 "
    "(stack is ffffc9..ffffca)\n" + traced("deep", "deep", "__x64_sys_sendmsg", "do_syscall_64"),
    "bad paging request in arm_copy": "Unable to handle kernel paging request at virtual address dead0000\n"
    "Internal error: Oops: 805 [#1] SMP ARM\nPC is at memcpy+0x1/0x2\nLR is at x+0x1/0x2\n"
    "[<c0014318>] (memcpy) from [<c001457c>] (arm_copy+0x24/0x2c)\n",
    "bad paging request in a64_poke": "Unable to handle kernel paging request at virtual address ffff0000\n"
    "pc : a64_poke+0x10/0x20\nlr : a64_call+0x1/0x2\n",
    "bad paging request in rv_poke": "Unable to handle kernel paging request at virtual address 0000dead\n"
    "Oops [#1]\nepc : rv_poke+0x10/0x20 ra : rv_call+0x1/0x2\n",
    "bad paging request in ppc_poke": "BUG: Unable to handle kernel data access on read at 0xdeadbeef\n"
    "Oops: Kernel access of bad area, sig: 11 [#1]\nNIP [c000000000123456] ppc_poke+0x10/0x20\n",
    "bad paging request in s390_poke": "Unable to handle kernel pointer dereference in virtual kernel "
    "address space\nKrnl PSW : 0704c00180000000 0000000000ab1234 (s390_poke+0x12/0x30)\n",
    "bad paging request in loong_poke": "CPU 0 Unable to handle kernel paging request at virtual address "
    "0000000000000000, era == 9000000000223d18\nOops[#1]:\n   ERA: 9000000000223d18 loong_poke+0x10/0x20\n",
    # Warnings, old and new.
    "WARNING in old_way": "WARNING: at mm/page_alloc.c:2204 old_way+0x231/0x8f0()\n",
    "WARNING in usual_way": "WARNING: CPU: 1 PID: 83 at net/core/dev.c:7 usual_way+0x1/0x2\n",
    "WARNING in new_way": "WARNING: fs/jfs/x.c:2867 at new_way+0x454/0x4e0, CPU#0: jfsCommit/112\n",
    "WARNING in new_condition": "WARNING: [count > limit] fs/my.c:28 at new_condition+0x1/0x2, CPU#0: a/1\n",
    "kmalloc bug in my_ask": "WARNING: CPU: 1 PID: 83 at mm/util.c:597 kvmalloc_node+0x1/0x2\n"
    "RIP: 0010:kvmalloc_node+0x1/0x2\n" + traced("my_ask"),
    "WARNING in my_probe/usb_submit_urb": "WARNING: CPU: 1 PID: 83 at drivers/usb/core/urb.c:5 "
    "usb_submit_urb+0x1/0x2\n" + traced("usb_submit_urb", "usb_start_wait_urb", "my_probe"),
    "proc registration bug in my_net": "WARNING: CPU: 1 PID: 83 at fs/proc/generic.c:3 "
    "proc_register+0x1/0x2\n" + traced("proc_register", "proc_create_net_data", "my_net"),
    "locking bug in my_set": "WARNING: CPU: 1 PID: 83 at kernel/locking/lockdep.c:7 "
    "look_up_lock_class+0x1/0x2\n"
    + traced("register_lock_class", "lock_acquire", "lock_sock_nested", "my_set"),
    "bad usercopy in my_ioctl": "kernel BUG at mm/usercopy.c:10!\nRIP: 0010:usercopy_abort+0x1/0x2\n"
    + traced("__check_object_size", "my_ioctl"),
    "stack is corrupted in my_walk": "Kernel panic - not syncing: stack-protector: Kernel stack is "
    "corrupted in: "
    "ffffffff81234567\n" + traced("panic", "__stack_chk_fail", "my_walk"),
    "corrupted stack end in sys_bind": "Kernel panic - not syncing: corrupted stack end detected inside "
    "scheduler\n" + traced("panic", "__schedule", "schedule", "my_deep", "__sys_bind", "do_syscall_64"),
    # Who else was busy, waited or asked.
    "soft lockup in smp_call_function_many": "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [a:7]\n"
    "RIP: 0010:smp_call_function_many+0x1/0x2\n" + traced("flush_tlb_mm_range", "do_syscall_64"),
    "RCU stall in my_ioctl": "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }\n"
    + TRACE
    + " asm_sysvec_apic_timer_interrupt+0x1/0x2\nRIP: 0010:my_loop+0x1/0x2\n my_inner+0x1/0x2\n"
    " my_ioctl+0x1/0x2\n vfs_ioctl+0x1/0x2\n",
    "hung task in synchronize_rcu": "INFO: task a:7 blocked for more than 120 seconds.\n"
    + traced("__schedule", "schedule", "wait_for_completion", "__synchronize_srcu", "my_unregister"),
    "task can't die in my_sleep": "INFO: task a:7 can't die for more than 120 seconds.\n"
    + traced("__schedule", "schedule", "my_sleep"),
    "bad page state in my_pages": "BUG: Bad page state in process a  pfn:12345\n"
    "page last allocated via order 0, pid 7\n prep_new_page+0x1/0x2\n alloc_pages+0x1/0x2\n "
    "my_pages+0x1/0x2\n" + traced("bad_page", "my_release"),
    "KASAN: invalid-free in my_put": "BUG: KASAN: double-free or invalid-free in kfree+0x1/0x2\n"
    + traced("kasan_report_invalid_free", "kfree", "my_put"),
    "KMSAN: uninit-value in my_seal": "BUG: KMSAN: uninit-value in aes_encrypt+0x1/0x2\n "
    "aes_encrypt+0x1/0x2\n"
    " crypto_cbc_encrypt+0x1/0x2\n my_seal+0x1/0x2\n",
    "UBSAN: undefined-behaviour in my_sum": "UBSAN: Undefined behaviour in lib/my.c:7:9\n"
    + traced("ubsan_epilogue", "handle_overflow", "my_sum"),
    "possible deadlock in my_chain": "WARNING: possible circular locking dependency detected\n"
    "a/7 is trying to acquire lock:\nffff88 (x){+.+.}-{3:3}, at: _raw_spin_lock+0x1/0x2\n\n"
    "but task is already holding lock:\nffff88 (y){+.+.}-{3:3}, at: down_read+0x1/0x2\n\n"
    "-> #1 (y){+.+.}-{3:3}:\n       down_read+0x1/0x2\n       my_chain+0x1/0x2\n",
    "BUG: bad unlock balance in my_unlock": "[ BUG: bad unlock balance detected! ]\na/7 is trying to "
    "release lock "
    "(x) at:\n[<ffffffff812345>] my_unlock+0x1/0x2\n",
    "bad unlock balance in my_unlock": "WARNING: bad unlock balance detected!\na/7 is trying to release lock "
    "(x) at:\n[<ffffffff812345>] my_unlock+0x1/0x2\n",
    "INFO: suspicious RCU usage in my_list": "[ INFO: suspicious RCU usage. ]\n"
    + traced("lockdep_rcu_suspicious", "list_for_rcu", "my_list"),
    "alignment trap in my_read32": "Alignment trap: not handling instruction e1932f9f at [<c0123456>]\n"
    "PC is at my_read32+0x1/0x2\n",
    "unregister_netdevice: waiting for a device to become free": "unregister_netdevice: waiting for lo "
    "to become "
    "free. Usage count = 2\n",
    # Panics and hardware.
    "panic: Attempted to kill init": "Kernel panic - not syncing: Attempted to kill init! "
    "exitcode=0x00000009\n",
    "out of memory: no killable processes": "Kernel panic - not syncing: System is deadlocked on memory\n",
    "panic: VFS: Unable to mount root fs": "Kernel panic - not syncing: VFS: Unable to mount root fs on "
    "unknown-block(0,0)\n",
    "machine check: Processor context corrupt": "mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 "
    "Bank 4: b200000000070f0f\nmce: [Hardware Error]: Machine check: Processor context corrupt\n"
    "Kernel panic - not syncing: Fatal machine check\n",
    "stack is corrupted in my_stack": "Kernel panic - not syncing: stack-protector: Kernel stack is "
    "corrupted in: my_stack+0x7ea/0x7f0\n",
    "Rust panic: attempt to subtract with overflow in <my_crate::node::Node>::drop_ref": "rust_kernel: "
    "panicked at drivers/my.rs:877:13:\nattempt to subtract with overflow\n"
    + traced(
        "_RNvNtCs9jEwPDbx20M_4core9panicking9panic_fmt", "_RNvMs3_NtCsabc_8my_crate4nodeNtB5_4Node8drop_ref"
    ),
    # What the field's logs had and nobody knew.
    "unaligned access in my_load": "Unhandled kernel unaligned access[#1]:\n"
    "epc   : 8119bd54 my_load+0xe4/0x5b8\n",
    "machine check in my_early": "Oops: Machine check, sig: 7 [#1]\nNIP [c0000000] my_early+0x1/0x2\n",
    "ZFS panic in my_verify": "PANIC at range_tree.c:503:my_verify()\nShowing stack for process 7\n"
    + traced("spl_panic", "my_load"),
    "ZFS panic in my_map": "SPLError: 12831:0:(space_map.c:334:my_map()) SPL PANIC\n",
    "panic: EXT4-fs error in my_release": "Kernel panic - not syncing: EXT4-fs (device sda1): panic forced "
    "after error\n"
    + traced("panic", "ext4_handle_error", "__ext4_error", "__ext4_journal_start_sb", "my_release"),
    "hard lockup in my_watched": "WARNING: CPU: 3 PID: 0 at /build/linux-3.16.7/kernel/watchdog.c:265 "
    "watchdog_overflow_callback+0x98/0xc0()\nWatchdog detected hard LOCKUP on cpu 3\n"
    + traced(
        "watchdog_overflow_callback", "__perf_event_overflow", "intel_pmu_handle_irq", "do_nmi", "my_watched"
    )
    + " vfs_ioctl+0x1/0x2\n",
    "list corruption in my_elsewhere": "WARNING: CPU: 3 PID: 7 at /build/linux-3.16.7/lib/list_debug.c:59 "
    "__list_del_entry+0x82/0xd0()\n" + traced("__list_del_entry", "my_elsewhere"),
    "soft lockup in my_rest": "watchdog: BUG: soft lockup - CPU#2 stuck for 23s! [a:7]\n"
    + traced("watchdog_timer_fn", "my_rest"),
    "bus error in my_bus": "Data bus error, epc == 8033539c, ra == 820a2cf4\nOops[#1]:\n"
    "epc   : 8033539c my_bus+0x1/0x2\n",
    "SError in my_write": "Kernel panic - not syncing: Asynchronous SError Interrupt\n"
    + traced("vpanic", "abort", "add_taint", "arm64_serror_panic", "arm64_is_fatal_ras_serror", "do_serror")
    + " el1h_64_error_handler+0x1/0x2\n el1h_64_error+0x1/0x2\n my_write+0x1/0x2 (P)\n",
    "WARNING in my_decoded": "WARNING: CPU: 0 PID: 13 at kernel/my.c:7244 my_decoded (src/kernel/my.c:7244)\n"
    "EIP: my_decoded (src/kernel/my.c:7244)\n" + traced("my_caller"),
    "NULL pointer dereference in my_eip": "BUG: kernel NULL pointer dereference, address: 00000008\n"
    "EIP: my_eip (src/kernel/my.c:7244)\n",
    "RCU stall in my_state": "INFO: rcu_sched_state detected stall on CPU 0 (t=15000 jiffies)\n"
    + traced("apic_timer_interrupt", "my_state"),
    "bad paging request in my_old": "Oops: efitime: can't read time!\n"
    "BUG: unable to handle kernel paging request at 12005456\nOops: 0002 [#1]\nEIP is at my_old+0x1/0x2\n",
}


@pytest.mark.parametrize(("title", "text"), TITLES.items(), ids=list(TITLES))
def test_the_name(title, text):
    found = understand(text)
    assert found.title in (title, f"INFO: {title}")
    assert found.kind and found.severity and found.signature not in ("", NOT_UNDERSTOOD)
    assert found.version == VERSION


#: What sounds like a helper and is none: the unwinder that faults, a layer's own sets and searches.
GUILTY = (
    *("unwind_next_frame", "orc_find", "bitmap_ip_add", "find_lock_delalloc_range", "csum_partial"),
    *("__netdev_upper_dev_link", "find_first_extent_item", "get_page_from_freelist", "check_irq_resend"),
)


@pytest.mark.parametrize("name", GUILTY)
def test_what_only_sounds_like_a_helper_is_guilty(name):
    text = "general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1]\n"
    assert understand(f"{text}RIP: 0010:{name}+0x1/0x2\n{traced('my_caller')}").title.endswith(f" in {name}")


def test_a_stall_of_which_only_the_watching_thread_is_known_is_its_own():
    text = "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\nrcu: RCU grace-period kthread stack dump:\n"
    text += TRACE.replace("dump_stack", "schedule_timeout") + " rcu_gp_kthread+0x1/0x2\n kthread+0x1/0x2\n"
    assert understand(text).title == "RCU stall in rcu_gp_kthread"


def test_registers_are_believed_before_the_watching_thread():
    text = "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\nRIP: 0010:my_spin+0x1/0x2\n"
    text += "rcu: RCU grace-period kthread stack dump:\nCall Trace:\n rcu_gp_kthread+0x1/0x2\n"
    assert understand(text).title == "RCU stall in my_spin"


def test_whoever_waits_for_other_cpus_is_named_wherever_it_is_caught():
    text = "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [a:7]\nRIP: 0010:csd_wait+0x1/0x2\n"
    text += traced("smp_call_function_many_cond", "flush_tlb_mm_range", "do_syscall_64")
    assert understand(text).title == "soft lockup in smp_call_function_many_cond"


def test_a_doubtful_frame_is_guilty_where_the_sure_ones_only_report():
    text = "kernel BUG at fs/my.c:12!\n" + TRACE + " ? my_maybe+0x1/0x2\n"
    assert understand(text).at == "my_maybe"
    assert understand(text + " my_sure+0x1/0x2\n").at == "my_sure"


def test_whoever_runs_tests_is_not_guilty_of_what_they_do():
    text = (
        "BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0x1/0x2 [my_test]\nWrite of size 1 at addr 0\n"
    )
    text += traced("kasan_report", "kmalloc_oob_right", "kunit_try_run_case", "kthread")
    assert understand(text).title == "KASAN: slab-out-of-bounds Write in kmalloc_oob_right"


def test_a_complaint_may_name_its_caller_itself():
    text = "BUG: using smp_processor_id() in preemptible [00000000] code: a/7\ncaller is my_which+0x1/0x2\n"
    assert understand(text).title == "smp_processor_id() in preemptible code in my_which"


#: Reports of kinds that no table has.
NOBODY_KNOWS = {
    "coprocessor segment overrun in my_f": "coprocessor segment overrun: 0000 [#1] PREEMPT SMP\n",
    "vector exception in my_f": "vector exception: 0001 ilc:3 [#1] SMP\n",
    "my driver: ring N is broken in my_f": "------------[ cut here ]------------\nmy driver: ring 7 is "
    "broken\n",
}


@pytest.mark.parametrize(("title", "begin"), NOBODY_KNOWS.items())
def test_a_kind_that_nobody_knows_is_called_by_its_own_words(title, begin):
    found = understand(f"{begin}{CPU}RIP: 0010:my_f+0x1/0x2\n{TRACE} my_g+0x1/0x2\n")
    assert (found.title, found.signature == NOT_UNDERSTOOD) == (title, False)
    assert understand("issue [#1] is closed\nissue: 7 [#2]\n").title == ""


def test_lines_that_changed_places_are_read_as_they_were_written():
    text = "[   1.2] invalid opcode: 0000 [#1] SMP\n[   1.1] kernel BUG at mm/my.c:7!\n"
    text += "[   1.3] RIP: 0010:my_map+0x1/0x2\n"
    assert understand(text).title == "kernel BUG in my_map"
    assert understand(text.replace("1.2]", "1.0]")).title == "invalid opcode in my_map"


def test_a_flood_of_complaints_ends_with_its_panic():
    text = "[    1.0] unregister_netdevice: waiting for a to become free\n" * 1200
    text += "[  900.0] Kernel panic - not syncing: my driver died\n"
    assert understand(text).title == "panic: my driver died"


def test_a_panic_over_others_is_not_in_the_thread_that_watches():
    text = "Kernel panic - not syncing: hung_task: blocked tasks\n" + traced("panic", "watchdog", "kthread")
    assert understand(text).title == "panic: hung_task: blocked tasks"


def test_what_sounds_like_a_complaint_is_none():
    for words in (
        "Oops: efitime: can't read time!",
        "ALSA sound/core/pcm_lib.c:181: BUG: pcmC0D0p:0, pos = 0x4000, buffer size = 0x4000",
        "WARNING: Caches not enabled\nTFTP from server 10.0.0.1; our IP address is 10.0.0.2",
    ):
        assert understand(words + "\n").title == ""


def test_the_first_complaint_names_the_crash_and_its_consequences_do_not():
    warning = TITLES["WARNING in usual_way"] + traced("usual_way")
    text = warning + "Kernel panic - not syncing: panic_on_warn set ...\n" + traced("panic", "__warn")
    assert understand(text).title == "WARNING in usual_way"
    assert understand(text).reason == "panic_on_warn set ..."


def test_a_fault_of_long_ago_does_not_name_a_panic():
    text = "[   10.000000] WARNING: CPU: 1 PID: 83 at net/core/dev.c:7 usual_way+0x1/0x2\n"
    text += "[  500.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x9\n"
    assert understand(text).title == "panic: Attempted to kill init"


def test_lines_of_two_callers_are_told_apart():
    mine = "BUG: unable to handle page fault for address: ffff\nRIP: 0010:memcpy+0x1/0x2\n" + traced("mine")
    others = traced("other", "another")
    mixed = []
    for number, line in enumerate(mine.splitlines()):
        other = others.splitlines()[number % 4]
        mixed += [f"[    1.000000][   T7] {line}", f"[    1.000000][   T8] {other}"]
    assert understand("\n".join(mixed)).title == "bad paging request in mine"


def test_a_record_that_begins_in_the_middle():
    text = "0000 R09: 0000\nRIP: 0010:my_read+0x10/0x20\nKernel panic - not syncing: Fatal exception\n"
    assert understand(text).title == "panic: Fatal exception in my_read"
    alone = understand("Kernel panic - not syncing: Fatal exception\n")
    assert (alone.title, alone.signature) == ("panic: Fatal exception", NOT_UNDERSTOOD)


def test_what_nobody_understands_is_a_group_of_its_own():
    found = not_understood()
    assert (found.title, found.signature, found.kind) == ("not understood", NOT_UNDERSTOOD, "unknown")
    assert (found.severity, found.names, found.version) == ("high", ("not understood",), VERSION)
    assert understand("eth0: link is up\nWARNING: /etc/ssh/moduli does not exist\n").title == ""


def test_no_address_number_or_name_of_a_task_is_in_a_title():
    text = "Kernel panic - not syncing: my driver: timeout 77 of 0xffff888012345678 at ffff888012345678\n"
    assert not re.search(r"\d", understand(text).title)
    assert len(understand(f"Kernel panic - not syncing: {'word ' * 99}").title) <= 120


def test_other_cpus_are_heard_once_they_are_asked():
    text = "[    1.0][ T7] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n"
    text += "[    1.0][ T7] Sending NMI from CPU 0 to CPUs 1:\n"
    for line in (
        "Call Trace:",
        " apic_timer_interrupt+0x1/0x2",
        "RIP: 0010:my_spin+0x1/0x2",
        " my_run+0x1/0x2",
    ):
        text += f"[    1.1][ C1] {line}\n[    1.1][ T9] another: word\n"
    text += "[    1.1][ C1]  process_one_work+0x1/0x2\n"
    assert understand(text).title == "RCU stall in my_run"


def test_whoever_asks_other_cpus_does_not_speak_for_them():
    def said(by, text):
        return "".join(f"[    1.0][{by:>4}] {line}\n" for line in text.splitlines())

    asks = "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\nSending NMI from CPU 0 to CPUs 1:\n"
    watches = "rcu: RCU grace-period kthread stack dump:\nCall Trace:\n rcu_gp_kthread+0x1/0x2\n"
    spins = "NMI backtrace for cpu 1\nRIP: 0010:my_spin+0x1/0x2\n"
    text = said("T7", asks) + said("C1", spins) + said("T7", watches)
    assert understand(text).title == "RCU stall in my_spin"
    # A task that speaks at the same time was not asked.
    text = said("T7", asks) + said("T9", spins) + said("T7", watches)
    assert understand(text).title == "RCU stall in rcu_gp_kthread"


def test_a_cpu_that_a_file_of_debugfs_keeps_is_named_by_whose_file_it_is():
    text = "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [a:7]\nRIP: 0010:my_loop+0x1/0x2 [my]\n"
    text += traced("my_entry", "full_proxy_write", "vfs_write", "ksys_write", "do_syscall_64")
    assert understand(text).title == "soft lockup in my_entry"


def test_words_that_may_be_a_complaint_name_a_crash_only_where_nothing_else_does():
    words = "INFO: something odd\nfatal error: something\n"
    assert understand(words).title == "INFO: something odd"
    assert understand(words + TITLES["WARNING in usual_way"]).title == "WARNING in usual_way"
    assert understand("INFO: lockdep is turned off.\nINFO: NMI handler took too long to run\n").title == ""


@pytest.mark.parametrize(
    ("before", "after"), [("------------[ cut here ]------------\n", ""), ("", CPU), ("", TRACE)]
)
def test_the_kernels_line_before_and_its_state_after_make_words_a_complaint(before: str, after: str) -> None:
    words, sure = "WARNING: something odd\n", TITLES["kernel BUG in my_bug"]
    assert understand(before + words + after + sure).title.startswith("WARNING: something odd")
    assert understand(words + sure).title == "kernel BUG in my_bug"
    # Far from them they are another program's.
    far = "eth0: link is up\n" * 11
    assert understand(before + far + words + far + after + sure).title == "kernel BUG in my_bug"


def test_a_reason_without_a_text_is_a_name() -> None:
    found = understand("", "sysrq triggered crash")
    assert (found.title, found.kind) == ("panic: sysrq triggered crash", "asked for")


def test_a_stated_reason_names_a_panic_whose_line_names_nothing() -> None:
    text = "Call Trace:\n my_earlier+0x1/0x2\nKernel panic - not syncing: Fatal exception\n"
    found = understand(f"{text}{CPU}Call Trace:\n panic+0x1/0x2\n my_check+0x1/0x2\n", "my driver died")
    assert (found.title, found.reason, found.at) == ("panic: my driver died", "my driver died", "my_check")
    assert found.trace == ("panic", "my_check")
    # What was before it names the crash, if both say only that something was.
    assert understand(text, "Fatal exception in interrupt").at == "my_earlier"


def test_a_panic_line_names_a_function_without_what_the_compiler_added():
    title = understand("Kernel panic - not syncing: panics at locks_of.isra.0\n").title
    assert title == "panic: panics at locks_of"
