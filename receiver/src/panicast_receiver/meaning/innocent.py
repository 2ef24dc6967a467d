# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that are never guilty: they only carry out, wait for, watch over or report what others ask. Data.

``*`` at a name's end: all that begin so; at its start: all that end so.
"""

from __future__ import annotations


class Names:
    """A set of functions' names. Fast: every frame of every crash is looked up."""

    def __init__(self, *tables: str) -> None:
        words = " ".join(tables).split()
        self._whole = frozenset(word for word in words if "*" not in word)
        self._begins = tuple(word[:-1] for word in words if word.endswith("*"))
        self._ends = tuple(word[1:] for word in words if word.startswith("*"))

    def __contains__(self, name: str) -> bool:
        return name in self._whole or name.startswith(self._begins) or name.endswith(self._ends)


#: Who reports: always on top of the trace of what is reported.
REPORTING = """
create_object* check_panic_on_warn dump_stack* __dump_stack dump_backtrace* show_stack* show_trace*
show_regs* unwind_backtrace* walk_stackframe print_address_description* print_report* end_report*
start_report save_stack* stack_trace_* kasan_* __kasan_* __asan_* __hwasan_* __asan* asan_* hwasan_*
check_memory_region* check_region_inline memory_is_* kmsan_* __msan_* __kmsan_* kfence_* __kfence_*
kcsan_* __tsan_* __kcsan_* __ubsan_* ubsan_* handle_overflow val_to_string __sanitizer_cov_*
write_comp_data sanitize_* check_kcov_mode kcov_* panic vpanic panic_* __panic* nmi_panic*
__stack_chk_fail* die __die* die_* oops_* crash_kexec crash_save* machine_crash* make_task_dead
page_fault_oops no_context bad_area* __bad_area* kernelmode_fixup_or_oops show_fault_oops pgtable_bad
bug_at* rewind_stack* warn_slowpath_* __warn* warn_bogus* report_bug* handle_bug fixup_bug* bug_handler
__report_bug* warn_alloc* __warn_printk printk _printk vprintk* console_unlock console_flush*
console_emit* print_* __print_* dev_printk* dev_err* _dev_* netdev_*printk rust_helper_BUG rust_helper_*
__rustc::* core::panicking* core::option* core::result* <core::* rust_begin_unwind debug_print_object
debug_object_* __debug_object_* debug_check_no_obj* __debug_check_no_obj* debug_objects_* debug_obj*
refcount_* __refcount_* kref_get* kref_put* kref_sub* object_err slab_err slab_pad_check slab_fix slab_bug
check_bytes_and_report check_object check_slab free_debug_processing free_to_partial_list
alloc_debug_processing on_freelist bad_page* free_pages_check* check_new_page* __list_add* __list_del*
list_add list_add_tail list_add_rcu list_del list_del_init list_del_rcu list_lru_* __list_* __schedule_bug
schedule_debug ___might_sleep __might_sleep __might_resched might_sleep __cant_sleep __cant_migrate
__might_fault might_fault check_preemption_disabled debug_smp_processor_id __this_cpu_preempt_check
spin_dump spin_bug rwlock_bug lockdep_* __lockdep_* lockup_detector* watchdog nmi_cpu_backtrace*
nmi_trigger_* arch_trigger_* trigger_*_backtrace rcu_dump_* rcu_check_* kobject_add_* usercopy_*
__check_object_size check_object_size check_heap_object __check_heap_object __fortify_panic fortify_panic
__fortify_report __check_* report_usercopy trace_hardirqs_* trace_softirqs_* trace_irq_*
__trace_hardirqs_* trace_preempt_*
"""

#: How the CPU got into what reports, and into the kernel.
ENTRY = """
asm_exc_* exc_* asm_sysvec_* sysvec_* __sysvec_* asm_call_* instr_sysvec_* __do_fast_syscall_32
do_fast_syscall_* do_int80* int80_emulation do_syscall_* __x64_sys_call x64_sys_call ia32_sys_call entry_*
ret_from_* ret_to_* page_fault do_page_fault __do_page_fault do_user_addr_fault do_kern_addr_fault
handle_page_fault async_page_fault do_async_page_fault trace_do_page_fault general_protection
do_general_protection invalid_op do_invalid_op do_error_trap do_trap* divide_error do_divide_error
error_entry error_exit error_code int3 do_int3 nmi nmi_handle* default_do_nmi do_nmi end_repeat_nmi
repeat_nmi first_nmi double_fault do_double_fault stack_segment alignment_check do_machine_check
machine_check apic_timer_interrupt smp_trace_apic_timer* trace_apic_timer* smp_apic_timer_interrupt*
irq_exit* __irq_exit* irq_enter* interrupt_entry do_IRQ common_interrupt ret_from_intr system_call*
tracesys* sysenter_* sysret_* syscall_* cstar_* int_ret_from_sys_call stub_* do_mem_abort
do_translation_fault do_sp_pc_abort do_bad* do_DataAbort do_PrefetchAbort do_alignment* do_kernel_fault
__do_kernel_fault* do_undefinstr do_tag_check_fault do_tag_recovery do_serror arm64_serror* __und_svc*
__dabt_usr __pabt_* __irq_svc __irq_usr do_debug_exception brk_handler* bug_handler* call_break_hook el0_*
el1_* el0t_* el1h_* el1t_* el0 el1 el1_abort do_el0_* invoke_syscall __invoke_syscall vectors_* handle_IPI
gic_handle* handle_domain_irq* do_trap_* handle_exception do_irq riscv_intc_irq handle_riscv_irq
handle_arch_irq ret_fast_syscall ret_slow_syscall __sys_trace_return data_access_* instruction_access_*
bad_page_fault* __bad_page_fault hash__do_page_fault ___do_page_fault system_call_* interrupt_return*
program_check_* _exception* decrementer_common* hardware_interrupt_* pgm_check_handler* __do_pgm_check
do_dat_exception do_protection_exception illegal_op monitor_event_exception do_ade handle_ade do_bp
handle_bp handle_tlb_* tlb_do_page_fault* do_ri handle_ri handle_sys handle_syscall kthread kernel_thread*
kthread_worker_fn worker_thread start_kernel secondary_startup* x86_64_start* cpu_startup_entry
start_secondary rest_init exit_to_user_mode* exit_to_usermode_loop prepare_exit_to_usermode*
__prepare_exit_to_usermode irqentry_* do_group_exit arch_do_signal* do_signal get_signal* work_pending
task_work_run kernel_init kernel_init_freeable
"""

#: Who carries out: copies, compares, counts, links, walks.
TOOLS = """
memcpy* memset* memmove* memcmp* memchr* memscan memzero* __memcpy* __memset* __memmove* ___mem* bcmp
strlen strnlen strcpy strncpy strscpy* sized_strscpy strlcpy strlcat strcat strncat strcmp strncmp
strcasecmp strncasecmp strchr strrchr strnchr strchrnul strstr strnstr strsep strspn strcspn strpbrk strim
strreplace __strlen __strscpy match_string sysfs_streq bitmap_* find_next_* find_first_* _find_* __find_*
hweight* ffs fls copy_from_user* copy_to_user* _copy_* __copy_* __arch_copy* copy_user_* raw_copy_*
copy_page* clear_page* clear_user* __clear_user* get_user* put_user* copy_from_iter* copy_to_iter*
copy_page_to_iter* copy_page_from_iter* csum_* do_csum __csum* iov_iter* __get_user* __put_user* __arch_*
arch_local_* instrument_* rep_* arch_atomic* atomic_* atomic64_* arch_test_bit arch_set_bit arch_clear_bit
arch___* arch_spin_* arch_static_* instrumented_* test_bit variable_test_bit constant_test_bit set_bit
clear_bit test_and_* _test_* __test_and_* native_read_* native_write_* native_save_* native_irq_*
native_safe_* native_halt* __raw_* lock_sock* release_sock rcu_read_* rcu_lock_* rcu_is_watching
rcu_dynticks_* rcu_nmi_* rcu_irq_* __rcu_read_* rcu_lockdep* rcu_preempt_* rcu_note_context_switch
rcu_eqs_* srcu_read_* __srcu_* preempt_* ___preempt_* __preempt_* bit_spin_* hlist_* __hlist_*
hlist_nulls* rb_erase* rb_insert* rb_next* rb_prev* rb_first* rb_add* __rb_* __instrument* INIT_*
init_timer* llist_* plist_* klist_* idr_* ida_* radix_tree_* __radix_* xa_* xas_* __xa_* mas_* mtree_*
read_word_at_a_time READ_ONCE* __read_once* __write_once* __fget* fget* kernel_text_address
__kernel_text_address unwind_* __unwind_* arch_stack_walk is_bpf_text_address is_module_* get_reg* orc_*
update_stack_state in_task_stack stack_access_ok skb_put skb_over_panic skb_under_panic skb_panic skb_push
skb_pull* pskb_* skb_trim percpu_ref_* percpu_counter_* __percpu_counter_* uevent_* get_pid* put_pid*
delay_* __delay __udelay __const_udelay udelay* ktime_get_with* rdtsc* read_hpet cpu_relax vsnprintf
snprintf scnprintf vscnprintf sprintf vsprintf number pointer string string_nocheck widen_string kasprintf
kvasprintf* *copy_to_user *copy_from_user _atomic_dec_and_lock* refcount_dec_and_* local_bh_* __local_bh_*
_local_bh_* simple_copy_to_iter rht_* __rht_* rhashtable_lookup* jhash* siphash* crc* ___bpf_prog_run
"""

#: Locks themselves, and what watches over them.
LOCKS = """
native_queued_* raw_spin_* _raw_* __lock_acquire* lock_acquire* lock_release* lock_is_held* lock_contended
lock_acquired mark_lock* mark_held* mark_usage validate_chain check_prev_* check_prevs_add check_deadlock
check_noncircular* check_irq* check_usage* valid_state* find_lock* register_lock* look_up_lock*
assign_lock* reacquire_held* hlock_* lookup_chain* add_chain* save_trace add_lock_to_list match_held*
held_lock* check_wait_context check_chain_key do_raw_* spin_lock* spin_unlock* __spin_* read_lock*
read_unlock* write_lock* write_unlock* queued_spin_* queued_read* queued_write* pv_* __pv_* mutex_lock*
mutex_unlock* mutex_trylock* __mutex_* mutex_* ww_mutex_* mutex_remove_waiter down_read* down_write* down
up __down* __up* down_* up_read* up_write* rwsem_* __rwsem_* call_rwsem_* percpu_down* percpu_up*
__percpu_* percpu_rwsem* rt_mutex_* rt_spin_* __rt_mutex* rtlock_* rt_read_* rt_write_* seqcount_*
read_seq* write_seq* osq_lock osq_unlock mutex_optimistic_spin rwsem_optimistic*
"""

#: Who gives and takes memory.
MEMORY = """
kmalloc* __kmalloc* ___kmalloc* kzalloc* kcalloc* kmemdup* kstrdup* kmem_cache_* __kmem_cache_* kvmalloc*
kvzalloc* __kvmalloc* krealloc* kfree kfree_* kvfree* kzfree __kfree_rcu __cache_* ___cache_* ____cache_*
slab_* __slab_* ___slab_* cache_alloc* cache_free* cache_grow* fallback_alloc deactivate_slab* new_slab
allocate_slab* setup_object* get_partial* get_any_partial alloc_slab* free_slab discard_slab __free_slab
do_slab_free memcg_slab* memcg_alloc* flush_cpu_slab unfreeze_partials put_cpu_partial qlink_*
quarantine_* kmemleak_* alloc_pages* __alloc_pages* __alloc_frozen* get_page_from_freelist rmqueue*
prep_new_page post_alloc_hook free_unref* __free_pages* free_pages* free_page free_pcppages*
free_frozen_pages* __page_frag* page_frag_* kmalloc_large* free_large_kmalloc* __do_kmalloc*
get_free_pages __get_free_pages alloc_pages_mpol* folio_alloc* vma_alloc_folio* vmalloc* __vmalloc*
vzalloc* vfree __vunmap kvfree dup_user* memdup* strndup_user pcpu_alloc* pcpu_* __alloc_percpu*
free_percpu* devm_kmalloc* devm_kzalloc* mempool_* kmalloc_order* kmalloc_slab kmalloc_fix* should_fail*
fail_dump should_failslab dma_alloc* dma_pool* krealloc_array
"""

#: Who waits. A task that hangs is named after what it waits for.
WAITING = """
__switch_to* switch_to context_switch __schedule* schedule* io_schedule* preempt_schedule* __cond_resched
cond_resched _cond_resched wait_for_common* __wait_for_common do_wait_for_common wait_for_completion*
wait_on_bit* __wait_on_* out_of_line_wait* bit_wait* console_lock filemap_fdatawait* __filemap_fdatawait*
filemap_write_and_wait* fdatawait_one_bdev wait_woken prepare_to_* finish_wait do_nanosleep
hrtimer_nanosleep msleep* usleep_range* io_wait* rwbase_* folio_wait* __folio_wait* __folio_lock*
folio_lock* wait_on_page* __lock_page* lock_page* __wait_on_page* sleep_on_page* wait_on_buffer
__wait_on_buffer sleep_on_buffer bit_wait_io* _synchronize_rcu* __synchronize_* __wait_rcu* wait_rcu_*
rcu_barrier* kthread_stop* __flush_work* flush_work* __flush_workqueue flush_workqueue* flush_delayed*
__cancel_work* cancel_work* cancel_delayed* drain_workqueue wait_event* lock_buffer __lock_buffer do_wait*
do_read_cache_* wait_current_trans* jbd2_log_wait* debug_rt_* blk_wait* _wait_on* wait_answer* sk_wait_*
sk_stream_wait* lock_sock_nested __lock_sock lock_super super_lock* synchronize_srcu* exp_funnel_lock
request_wait_answer get_request*
"""

#: The timer's and the watchdogs' way into the CPU that is stuck: below it is what was interrupted.
TICK = """
tick_* update_process_times scheduler_tick sched_tick* hrtimer_* __hrtimer_* __run_hrtimer
local_apic_timer* watchdog_* rcu_sched_clock_irq* rcu_pending* check_cpu_stall* print_cpu_stall*
print_other_cpu_stall* sched_show_task* _sched_show_task perf_event_* __perf_event_* perf_swevent*
arch_timer_* timer_interrupt __timer_interrupt handle_percpu_devid* generic_handle_* __handle_irq*
handle_irq* __handle_domain* riscv_timer_* intel_pmu_* x86_pmu_* amd_pmu_* rcu_stall* show_all_*
softlockup_* is_softlockup* hardlockup_* ghes_* lapic_next* clockevents_* csd_* trigger_* nmi_backtrace*
smp_handle* do_handle_IPI ipi_*
"""

#: Who calls what was registered: who is called names the work.
DISPATCH = """
call_timer_fn expire_timers __run_timers* run_timer_* tasklet_action* __do_softirq do_softirq*
handle_softirqs run_ksoftirqd invoke_softirq smpboot_thread_fn ____do_softirq call_on_irq_stack
net_rx_action net_tx_action __napi_poll napi_poll rcu_do_batch rcu_core rcu_core_si rcu_process_callbacks
irq_work_run* kthread ret_from_fork* process_one_work process_scheduled_works task_work_run __fput
____fput fput delayed_fput *_compat_ioctl compat_SyS_ioctl compat_sys_ioctl __*_compat_sys_ioctl
do_vfs_ioctl vfs_ioctl SyS_ioctl sys_ioctl ksys_ioctl ___sys_ioctl __se_sys_ioctl sock_do_ioctl sock_ioctl
vfs_read vfs_write __vfs_read __vfs_write ksys_read ksys_write new_sync_read new_sync_write do_iter_*
vfs_iter_* do_readv* do_writev* vfs_readv vfs_writev call_read_iter call_write_iter do_loop_readv_writev
do_sendfile splice_* do_splice* __do_splice* iter_file_splice* sock_sendmsg* inet_sendmsg inet6_sendmsg
__sock_sendmsg* ____sys_sendmsg ___sys_sendmsg __sys_sendmsg __sys_sendmmsg __sys_sendto sock_write_iter
sock_read_iter kernel_sendmsg nfnetlink_rcv_msg nfnetlink_rcv* rtnetlink_rcv_msg sock_common_setsockopt
__sys_setsockopt do_sock_setsockopt compat_blkdev_ioctl blkdev_ioctl blkdev_common_ioctl
__blkdev_driver_ioctl blkdev_driver_ioctl process_backlog netif_receive_skb* __netif_receive_skb*
napi_gro_* napi_skb_finish dev_gro_receive deliver_skb call_netdevice* notifier_call_chain raw_notifier_*
blocking_notifier_* do_one_initcall do_initcalls kernel_init*
"""

#: The kernel's middle layers, which do what a driver or file system asks: devices, timers, work, wake-ups.
LAYERS = """
kobject_* __kobject_* kset_* get_device* put_device device_add device_del device_unregister
device_register device_initialize device_destroy device_create* device_for_each_child __unregister_client
i2c_del_adapter tty_unregister_device dpm_sysfs_* device_pm_* try_to_grab_pending grab_pending*
sysfs_remove_* sysfs_create_* sysfs_warn_dup devres_* device_release* __device_release* add_uevent_var
cleanup_device_parent bus_add_device bus_remove_device driver_probe_device really_probe
__driver_probe_device usb_submit_urb usb_start_wait_urb usb_kill_urb hwrng_unregister rollback_registered*
unregister_netdevice_many* unregister_netdevice_queue unregister_netdevice unregister_netdev
__unregister_netdevice* netdev_run_todo_* __dev_notify* reiserfs_write_lock* reiserfs_write_unlock*
mod_timer* __mod_timer lock_timer_base del_timer* try_to_del_timer* timer_delete* __timer_delete*
timer_shutdown* add_timer* timer_fixup* *_is_static_object detach_timer hrtimer_start* hrtimer_cancel
hrtimer_try* hrtimer_init* __timer_* queue_work* __queue_work queue_delayed_work* __queue_delayed_work
insert_work pwq_* flush_work __flush_work* __cancel_work* cancel_work* cancel_delayed_work*
drain_workqueue __flush_workqueue flush_workqueue* destroy_workqueue kthread_stop* kthread_park* call_rcu*
__call_rcu* kvfree_call_rcu rcu_segcblist_* ref_tracker_* wake_up_process wake_up_state wake_up_q
wake_up_bit wake_up_var __wake_up* try_to_wake_up ttwu_* complete complete_all __task_rq_lock task_rq_lock
__complete swake_up* select_task_rq* default_wake_function autoremove_wake_function perf_trace_* perf_tp_*
trace_event_* __traceiter_* __bpf_trace_* trace_call_bpf bpf_trace_run* __x86_indirect_thunk_*
__x86_return_thunk* __indirect_thunk* retpoline* logic_in* logic_out* inb inw inl outb outw outl _inb
_outb readb readw readl writeb writew writel __raw_read* __raw_write* ioread* iowrite*
truncate_inode_pages* find_lock_entries find_get_entr* pagevec_* invalidate_mapping_pages
invalidate_inode_pages* truncate_pagecache* folio_unlock unlock_page* end_page_writeback
folio_end_writeback set_page_dirty* __set_page_dirty* folio_mark_dirty mark_buffer_dirty* __brelse brelse
submit_bh* __bread* __getblk* __find_get_block* sb_bread mark_inode_dirty* __mark_inode_dirty drop_nlink
inc_nlink clear_nlink set_nlink ihold igrab put_page get_page __put_page folio_put __folio_put* page_ref_*
try_grab_* skb_release_* kfree_skb* __kfree_skb consume_skb sk_skb_reason_drop sk_skb_* napi_consume_skb
dev_kfree_skb* __dev_kfree_skb* kfree_skbmem finish_wait prepare_to_wait* wait_for_completion*
__wait_for_common do_wait_for_common wait_for_common add_wait_queue* dput fast_dput __dentry_kill
dentry_kill iput iput_final assertfail btrfs_assertfail* assfail *_assert_fail *assfail *_panic
__reiserfs_panic ext4_error_* __ext4_error*
"""

#: What takes a lock is guilty of taking it, whoever it is but the lock.
LOCKING = Names(
    "dump_stack* show_stack* dump_backtrace* unwind_backtrace* print_* lockdep_* __lockdep_* "
    "trace_hardirqs_* register_lock*",
    LOCKS,
    "perf_trace_* lock_sock* __might_fault might_fault flush_work* __flush_work* drain_workqueue "
    "destroy_workqueue touch_w* start_flush_work touch_work_lockdep_map",
)
#: Here even the way out of the kernel may be guilty.
ATOMIC = Names(REPORTING, TOOLS, LOCKS, MEMORY, WAITING)
WAITS = Names(REPORTING, TOOLS, LOCKS)
PREEMPTIBLE = Names(REPORTING)
#: Who looks at the clock and at CPUs: what they interrupted is below them.
WATCHING = Names(REPORTING, TICK)
COMMON = Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, LAYERS)
PAGES = Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, LAYERS, "netif_receive_skb* __netif_receive_skb*")
#: A leak is named by who asked, not by those who are there to allocate.
LEAKING = Names(
    REPORTING,
    ENTRY,
    TOOLS,
    LOCKS,
    MEMORY,
    LAYERS,
    "*_alloc *alloc_skb *_alloc_node sk_alloc* alloc_* *_alloc_inode new_inode* alloc_inode __alloc_*",
)
ASLEEP = Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, LAYERS, WAITING)
SCHEDULED = Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, LAYERS, WAITING)
STUCK = Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, TICK, "__schedule* schedule*")
DISPATCHERS = Names(DISPATCH)
#: Where no one else is: those who neither report nor let the CPU in.
LAST_RESORT = Names(REPORTING, ENTRY)
#: From here on outwards is what the tick interrupted.
TICKS = Names(
    "apic_timer_interrupt smp_apic_timer_interrupt* smp_trace_apic_timer* trace_apic_timer* "
    "sysvec_apic_timer_interrupt asm_sysvec_apic_timer_interrupt "
    "el1_irq el1h_64_irq el1_interrupt el1h_64_irq_handler timer_interrupt "
    "decrementer_common* __irq_svc riscv_timer_interrupt handle_exception interrupt_entry"
)
