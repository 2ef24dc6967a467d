# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's checkers of locks say, and that it slept where it must not. Data."""

from __future__ import annotations

from .format import LOCK, TRACE, Format, detail, rows
from .innocent import ATOMIC, LOCKING, PREEMPTIBLE, SCHEDULED, WAITS

ROWS = (
    *rows(
        "deadlock",
        LOCK,
        {
            "WARNING: possible circular locking dependency": "possible deadlock{in}",
            "WARNING: possible recursive locking": "possible deadlock{in}",
            "WARNING: possible irq lock inversion": "possible deadlock{in}",
        },
        LOCKING,
    ),
    *rows(
        "deadlock",
        ("became", "lock", "trace"),
        {
            "WARNING: SOFTIRQ-": "possible deadlock{in}",
            "WARNING: HARDIRQ-": "possible deadlock{in}",
            "WARNING: RECLAIM_FS-": "possible deadlock{in}",
        },
        LOCKING,
    ),
    *rows(
        "locking",
        LOCK,
        {
            "WARNING: inconsistent lock state": "inconsistent lock state{in}",
            "WARNING: bad unlock balance": "bad unlock balance{in}",
            "WARNING: bad contention": "bad contention{in}",
        },
        LOCKING,
    ),
    *rows(
        "locking",
        LOCK,
        {
            "WARNING: held lock freed": "held lock freed{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "WARNING: lock held at task exit": "lock held at task exit{in}",
        },
    ),
    *rows(
        "locking",
        ("lock",),
        {
            "WARNING: lock held when returning": "lock held when returning to user space{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "WARNING: Nested lock was not taken": "nested lock was not taken{in}",
            "WARNING: suspicious RCU usage": "suspicious RCU usage{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "WARNING: invalid wait context": "invalid wait context{in}",
        },
        WAITS,
    ),
    *rows(
        "deadlock",
        LOCK,
        {
            "possible circular locking dependency": "possible deadlock{in}",
            "possible recursive locking": "possible deadlock{in}",
            "possible irq lock inversion": "possible deadlock{in}",
        },
        LOCKING,
    ),
    *rows(
        "deadlock",
        ("became", "lock", "trace"),
        {
            "SOFTIRQ-safe -> ": "possible deadlock{in}",
            "HARDIRQ-safe -> ": "possible deadlock{in}",
        },
        LOCKING,
    ),
    *rows(
        "locking",
        LOCK,
        {
            "inconsistent lock state": "inconsistent lock state{in}",
            "bad unlock balance": "bad unlock balance{in}",
        },
        LOCKING,
    ),
    *rows(
        "locking",
        LOCK,
        {
            "held lock freed": "held lock freed{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "lock held at task exit": "lock held at task exit{in}",
        },
    ),
    *rows(
        "locking",
        ("lock",),
        {
            "lock held when returning": "lock held when returning to user space{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "suspicious RCU usage": "suspicious RCU usage{in}",
            "suspicious rcu_dereference_check() usage": "suspicious RCU usage{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "Invalid wait context": "invalid wait context{in}",
        },
        WAITS,
    ),
    *rows(
        "locking",
        TRACE,
        {
            "trying to register non-static key": "non-static key{in}",
            "INFO: trying to register non-static key": "non-static key{in}",
            "BUG: key ": "lock key not registered{in}",
            "BUG: sleeping function called": "sleeping function called from invalid context{in}",
        },
    ),
    *rows(
        "locking",
        TRACE,
        {
            "BUG: scheduling while atomic": "scheduling while atomic{in}",
        },
        ATOMIC,
    ),
    *rows(
        "locking",
        ("workqueue", "trace"),
        {
            "BUG: workqueue leaked ": "workqueue leaked lock or atomic{in}",
        },
    ),
    *rows(
        "stall",
        (),
        {
            "BUG: workqueue lockup": "workqueue lockup",
        },
    ),
    Format(
        "BUG: using ",
        "locking",
        "{what} in preemptible code{in}",
        TRACE,
        innocent=PREEMPTIBLE,
        detail=detail(r"(?P<what>\w+(?:\(\))?) in preemptible"),
    ),
    Format(
        "BUG: spinlock ",
        "locking",
        "spinlock {what}{in}",
        TRACE,
        detail=detail(r"(?P<what>[a-z]+(?: [a-z]+){0,2}) ?(?:on CPU|, |$)"),
    ),
    Format(
        "BUG: rwlock ",
        "locking",
        "rwlock {what}{in}",
        TRACE,
        detail=detail(r"(?P<what>[a-z]+(?: [a-z]+){0,2}) ?(?:on CPU|, |$)"),
    ),
    *rows(
        "locking",
        TRACE,
        {
            "BUG: rwlock-": "rwlock lockup{in}",
            "BUG: write-lock lockup": "rwlock lockup{in}",
        },
    ),
    Format("BUG: MAX_", "locking", "{what} too low", (), detail=detail(r"(?P<what>\w+) too low")),
    Format(
        "BUG: ",
        "locking",
        "BUG: still has locks held{in}",
        LOCK,
        innocent=SCHEDULED,
        detail=detail(r".{1,64}/\d+ still has locks held"),
    ),
    Format(
        "WARNING: ",
        "locking",
        "still has locks held{in}",
        LOCK,
        innocent=SCHEDULED,
        detail=detail(r".{1,64}/\d+ still has locks held"),
    ),
)
