# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that are never guilty: they only execute, wait for, watch or report what others ask.
Data.

``*`` at a name's end matches all that begin so; at its start, all that end so; at both, all that
contain it.
"""

from __future__ import annotations


class Names:
    """A set of function names. Fast, because every frame of every crash is looked up."""

    def __init__(self, *tables: str) -> None:
        words = " ".join(tables).split()
        self._whole = frozenset(word for word in words if "*" not in word)
        self._begins = tuple(word[:-1] for word in words if word[-1] == "*" and word[0] != "*")
        self._ends = tuple(word[1:] for word in words if word[0] == "*" and word[-1] != "*")
        self._within = tuple(word[1:-1] for word in words if word[0] == "*" and word[-1] == "*")

    def __contains__(self, name: str) -> bool:
        return (
            name in self._whole
            or name.startswith(self._begins)
            or name.endswith(self._ends)
            or any(word in name for word in self._within)
        )


#: Functions that report: always at the top of a report's trace.
REPORTING = """
*kasan* *hwasan* *__asan* *__msan* *kmsan* *__sanitizer* kcsan_* __kcsan_* __tsan_* kfence_* __kfence_*
*kcsan_setup_watchpoint* ubsan_* __ubsan_* handle_overflow val_to_string *check_memory_region*
check_region_inline memory_is_* *print_address_description* *print_report* end_report* start_report *panic*
*invalid_op* *report_bug* *fixup_bug* handle_bug bug_handler *print_usage_bug* *do_error* *_trap *do_trap*
*show_stack* *dump_stack* *walk_stack* *dump_backtrace* show_trace* show_regs* unwind_backtrace* save_stack*
save_trace stack_trace_* *stack_trace_save* *arch_stack_walk* *stack_trace_consume_entry* *warn_slowpath*
*warn_alloc* *warn_bogus* *__warn* *printk* *va_format* *dev_info* *dev_notice* *dev_warn* *dev_err*
*dev_alert* *dev_crit* *dev_emerg* *print_unlock* *imbalance_bug* *print_tainted* get_taint
print_circular_bug* print_bad_* print_trailer print_hex_dump* *hex_dump_to_buffer* *__fortify_report*
*_panic __stack_chk_fail* die __die* die_* oops_* crash_kexec crash_save* machine_crash* make_task_dead
rewind_stack* page_fault_oops no_context bad_area* __bad_area* kernelmode_fixup_or_oops show_fault_oops
pgtable_bad bug_at* rust_helper_BUG __rustc::* core::panicking* core::option* core::result* <core::*
rust_begin_unwind *debug_object* __debug_check_no_obj* debug_check_no_obj* object_err slab_err
slab_pad_check slab_fix slab_bug check_bytes_and_report *check_object* *check_heap_object* on_freelist
bad_page* __schedule_bug schedule_debug __might_sleep* ___might_sleep *might_sleep* *__might_resched*
*might_fault* __cant_sleep* __cant_migrate* spin_dump spin_bug rwlock_bug *lockdep* lockup_detector*
watchdog nmi_cpu_backtrace* nmi_trigger_* arch_trigger_* trigger_*_backtrace rcu_dump_* *trace_hardirq*
*trace_softirq* trace_irq_* trace_preempt_* usercopy_* report_usercopy list_lru_add_debug __list_*valid*
*assertfail* assfail *_assert_fail
"""

#: How the CPU got from the fault to the functions that report it.
ENTRY = """
asm_exc_* exc_* asm_sysvec_* page_fault do_page_fault __do_page_fault do_user_addr_fault do_kern_addr_fault
handle_page_fault async_page_fault do_async_page_fault trace_do_page_fault general_protection
do_general_protection divide_error do_divide_error error_entry error_exit error_code int3 do_int3
double_fault do_double_fault stack_segment alignment_check machine_check do_machine_check nmi nmi_handle*
default_do_nmi do_nmi end_repeat_nmi repeat_nmi first_nmi *do_kernel_fault* *do_translation_fault*
*do_mem_abort* *el1_abort* el1h_64_sync el1h_64_sync_handler do_sp_pc_abort do_bad* do_DataAbort
do_PrefetchAbort do_alignment* do_undefinstr do_tag_check_fault do_tag_recovery do_serror arm64_serror*
__und_svc* __dabt_* __pabt_* __irq_svc do_debug_exception brk_handler* call_break_hook el1_sync* el1_da
el1_dbg el1_undef do_el1_* vectors_* do_trap_* handle_exception data_access_common*
instruction_access_common* bad_page_fault* __bad_page_fault hash__do_page_fault ___do_page_fault
*program_check_exception* *program_check_common* _exception* pgm_check_handler* __do_pgm_check
do_dat_exception do_protection_exception illegal_op monitor_event_exception do_ade handle_ade el0t_64_sync*
el0t_32_sync* do_bp handle_bp handle_tlb_* tlb_do_page_fault* do_ri handle_ri ret_from_fork*
ret_from_exception start_kernel secondary_startup* x86_64_start* rest_init
"""

#: Functions that only carry out: copy, compare, count, link, print into a string.
TOOLS = """
*memcpy* *memcmp* *memset* *memchr* *memmove* *memdup* memscan memzero_explicit bcmp *strcmp* *strncmp*
*strcpy* *strlcpy* *strncpy* *strscpy* *strlen* *strstr* *strnstr* *strnlen* *strchr* *strdup* *strndup*
strcasecmp strncasecmp strcat strncat strlcat strrchr strsep strspn strcspn strpbrk *copy_to_user*
*copy_from_user* copy_user_generic* copy_user_enhanced* copy_user_handle* copy_user_fast* copy_user_short*
raw_copy_* __arch_copy_* *copy_to_iter* *copy_from_iter* *copy_page_to_iter* *copy_page_from_iter*
*copy_folio_to_iter* copyi* copyo* *put_user* *get_user* *read_word_at_a_time* *read_once_word_nocheck*
*read_once_size_nocheck* __read_once_* __read_once_size* __write_once_size* *list_add* *list_del*
*list_replace* *list_move* *list_splice* rb_* __rb_* *_indirect_thunk_* *x86_return_thunk* *string*
*pointer* *snprintf* *scnprintf* *kasprintf* *kvasprintf* *set_bit* *clear_bit* *change_bit* *test_bit*
test_and_* *__wake_up* refcount_* kref_* *ref_tracker* *readb *readw *readl *readq *writeb *writew *writel
*writeq __raw_read* __raw_write* *logic_in* *logic_out* crc* *crc_itu_t* klist_* *xas_start* *xas_load*
*xas_find* *__phys_addr* *rhashtable_lookup* *extract_user_to_sg* *extract_iter_to_sg* instrument_*
arch_atomic* arch_static_* native_read_* native_write_* native_save_* native_irq_* native_safe_*
native_halt* find_next_bit find_next_zero_bit find_next_and_bit _find_next_* find_first_bit
find_first_zero_bit _find_first_* do_csum __delay __udelay __const_udelay udelay* delay_* *atomic_dec*
*atomic_inc* *atomic_read* *atomic_set* *atomic_or* *atomic_xor* *atomic_and* *atomic_add* *atomic_sub*
*atomic_fetch* *atomic_xchg* *atomic_cmpxchg* *atomic_try* *atomic64_dec* *atomic64_inc* *atomic64_read*
*atomic64_set* *atomic64_or* *atomic64_xor* *atomic64_and* *atomic64_add* *atomic64_sub* *atomic64_fetch*
*atomic64_xchg* *atomic64_cmpxchg* *atomic64_try*
"""

#: Locks, and what checks them.
LOCKS = """
*lock_acquire* *lock_release* *lock_class* *mark_lock* *reacquire_held_locks* *mark_held_locks* mark_usage
*raw_spin_rq* *spin_lock* *spin_trylock* *spin_unlock* *read_lock* *read_trylock* *write_lock*
*write_trylock* *read_unlock* *write_unlock* do_raw_* queued_spin_* native_queued_* queued_read*
queued_write* _raw_* *bh_enable* *bh_disable* down up *down_read* *down_write* *down_trylock* *up_read*
*up_write* __down* __up down_interruptible down_killable down_timeout mutex_* __mutex_* rt_mutex_* rwsem_*
__rwsem_* call_rwsem_* *owner_on_cpu* *osq_lock* *osq_unlock* *seqprop_assert* *perf_trace* lock_contended
validate_chain check_prev_add* check_prevs_add check_deadlock check_noncircular* check_irq_usage*
check_usage* register_lock* look_up_lock* hlock_* lookup_chain* match_held* check_wait_context
"""

#: Allocators of memory.
MEMORY = """
*alloc_page* *malloc* *zalloc* *calloc* *krealloc* *kmem_cache* *allocate_slab*
*__alloc_frozen_pages_noprof* *folio_alloc* *folio_unlock* *filemap_alloc_folio* *__filemap_get_folio*
*find_or_create_page* *do_read_cache_folio* *read_cache_page* *pagecache_get_page*
*grab_cache_page_write_begin* *slab_* kfree kvfree kzfree kfree_sensitive kfree_bulk ___cache_free
__cache_free cache_free* cache_alloc* ____cache_alloc* cache_grow* fallback_alloc new_slab get_partial*
free_block free_unref* *ida_free* should_fail* __should_fail* fail_dump
"""

#: The kernel's middle layers, which do what a driver or file system asks: devices, timers, work, wake-ups.
LAYERS = """
*kobject_* *add_uevent_var* *get_device_parent* *device_add* *device_del* *device_unregister*
*device_destroy* *device_release* *devres_release_all* *hwrng_unregister* *i2c_del_adapter*
*__unregister_client* *device_for_each_child* *rollback_registered* *unregister_netdev* *sysfs_remove*
*device_remove_file* *tty_unregister_device* *dummy_urb_enqueue* *usb_kill_urb* *usb_kill_anchored_urbs*
*usb_control_msg* *usb_hcd_submit_urb* *usb_submit_urb* put_device *timer_is_static_object*
*work_is_static_object* *del_timer* *lock_timer_base* *__timer_delete_sync* *sk_stop_timer_sync*
*__mod_timer* *flush_work* *__cancel_work_timer* *cancel_work_sync* *try_to_grab_pending* *drain_workqueue*
*destroy_workqueue* *queue_work* *insert_work* *__queue_delayed_work* *queue_delayed_work_on* *finish_wait*
*kthread_stop* *wait_for_completion* complete *cleanup_srcu_struct* *kfree_skb* iput iput_final ihold
*fast_dput* *dput* *drop_nlink* *mark_buffer_dirty* lock_page* unlock_page* *find_lock_entries*
*truncate_inode_pages_range*
"""

#: Functions that call the work of a CPU or task: the last one called before them names the work.
ANCHORS = """
*process_one_work* *do_syscall_* *do_fast_syscall_* *sysenter_dispatch* *tracesys_phase2* *el0_svc_handler*
*invoke_syscall* *ret_fast_syscall* *netif_receive_skb* *do_softirq* *call_timer_fn* *_run_timers*
*run_timer_softirq* *hrtimer_run* *run_ksoftirqd* *smpboot_thread_fn* kthread *start_secondary*
*cpu_startup_entry* *ret_from_fork* *vfs_write* *vfs_read* *vfs_iter_read* *vfs_iter_write* *do_iter_read*
*do_iter_write* full_proxy_* kernfs_fop_* *call_read_iter* *call_write_iter* *new_sync_read*
*new_sync_write* *vfs_ioctl* *ksys_ioctl*
*compat_ioctl* *compat_sys_ioctl* *blkdev_driver_ioctl* *blkdev_ioctl* call_mmap* *mmap_region* *do_mmap*
*do_dentry_open* *vfs_open* sock_sendmsg* sock_recvmsg* sock_release* __sock_release* setsockopt
*kernel_setsockopt* *sock_common_setsockopt* listen *kernel_listen* *sk_common_release* sock_mmap* accept
*kernel_accept* sock_do_ioctl* sock_ioctl* compat_sock_ioctl* nfnetlink_rcv_msg* rtnetlink_rcv_msg*
netlink_dump* socketpair* connect* ioctl* sys_socketpair* sys_connect* sys_ioctl* *__do_fault*
*do_page_fault* page_fault *__fput* *task_work_run* *exit_to_usermode* *smp_call_function* *tasklet_action*
*tasklet_hi_action* handle_softirqs __napi_poll net_rx_action rcu_do_batch el0_svc
"""

#: Functions that wait: a hung task is named after what it waits for.
WAITING = """
*sched* *_lock* *_slowlock* *down* *rwsem* *completion* *kthread* *wait* *synchronize* *context_switch*
*__switch_to* *cancel_delayed_work* *rcu_barrier*
"""
#: A task that waits in one of these, at any depth, waits for the same thing.
AWAITED = ("rtnl_lock", "synchronize_rcu")

COMMON = Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, LAYERS)


def common(*more: str) -> Names:
    """Return the functions that are never guilty, and those for one kind of report."""
    return Names(REPORTING, ENTRY, TOOLS, LOCKS, MEMORY, LAYERS, *more)


NOBODY = Names()
#: Work items have locks of their own.
LOCKING = common("process_one_work* *flush_workqueue*")
SOCKETS = common("*lock_sock* *release_sock*")
ATOMIC = common("*schedule*")
SPINNING = common("*spin_* *_lock* *_unlock*")
PREEMPTIBLE = common("*preempt* *debug_* *processor_id* *this_cpu*")
KEYS = common("*stack* *lock* *IRQ*")
RCU = common("*rcu* *kmem* *slab*")
OBJECTS = common("*debug_* *rcu* *hrtimer_* *timer_* *work_* *percpu_* *vunmap* *vfree* *__free_* *kobject_*")
REFERENCES = common("*refcount* *kobject_*")
COPYING = common("*usercopy* *__check*")
ALLOCATING = common("*kmalloc* *krealloc* *slab* *kmem*")
PROC = common("*proc_*")
URBS = common("*usb_start_wait_urb* *usb_bulk_msg* *usb_interrupt_msg* *usb_control_msg*")
PACKETS = common("skb_*")
FREEING = common("*slab_* *kfree* *vunmap* *vfree*")
TAGS = common("*kernel_fault* *tag_check* *mem_abort* el1_* el1h_*")
UNDEFINED = common("*ubsan* *overflow*")
UNINIT = common("*alloc_skb* *netlink_ack* *netlink_rcv_skb* *_encrypt crypto_* cipher_* drbg_* rng_*")
LEAKED_TO_USB = common(
    "*alloc_skb* *usb_submit_urb* *usb_start_wait_urb* *usb_bulk_msg* *usb_interrupt_msg* *usb_control_msg*"
)
#: A page, or a leak, is named after the function that allocated it.
PAGES = common(
    "*free_page* *put_page* *get_page* *update_page* *release_page* *free_unref* folio* _folio* __folio*"
    " *truncate_inode_pages* *page_frag_free* *alloc* *vmap* *page_owner* prep_new_page rmqueue*"
)
LEAKING = common(
    "*kmemleak* *mmap* *kmem* *slab* *alloc* *create_object* *idr_get* *list_lru_init* *pcpu_create*"
)
EXT = common(
    "ext3_handle_error ext4_handle_error *ext4_error* *ext3_error* *ext4_journal_* *ext4_abort* *ext3_abort*"
)
#: A call that never returns is shown as the function that the linker placed after it.
SERRORS = common("abort add_taint *fatal_ras_serror* el1h_64_error* el1_error*")
STUCK = common(
    "*apic_timer_interrupt* watchdog_timer_fn watchdog_overflow_callback *perf_event_* *_pmu_handle_irq"
)
STALLED = common("*apic_timer_interrupt* *rcu*")
DEEP = common("*schedule* *retint_kernel* *bad_stack*")
ASLEEP = common()
ANCHOR = Names(ANCHORS)
AWAY = Names(WAITING)
#: Used if there is no other frame: pass over only functions that report or enter.
LAST_RESORT = Names(REPORTING, ENTRY)
#: Functions that run tests: the test is the function that they call.
RUNNERS = Names("kunit_*")
#: Beyond these functions is what the timer interrupted.
TICKS = Names(
    "*apic_timer_interrupt* *el1h_64_irq* el1_irq el1_interrupt decrementer_common* timer_interrupt "
    "__irq_svc riscv_timer_interrupt handle_exception *ret_from_exception*"
)
