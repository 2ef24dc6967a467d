# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of the kernel's lock checkers, and of sleeping where that is forbidden. Data."""

from __future__ import annotations

from .format import LOCK, TRACE, Format, detail, rows
from .innocent import ATOMIC, KEYS, LOCKING, NOBODY, PREEMPTIBLE, RCU, SOCKETS, SPINNING

#: How reports of locks begin: today with WARNING, in older kernels with other words.
_BEGINS = ("WARNING: ", "BUG: ", "INFO: ", "")


def _said(titles: dict[str, str]) -> dict[str, str]:
    return {begin + words: title for words, title in titles.items() for begin in _BEGINS}


def _as_said(titles: dict[str, str]) -> dict[str, str]:
    """Return titles by how a line begins. A title keeps the line's BUG or INFO, with which only
    older kernels begin."""
    kept = ("BUG: ", "INFO: ")
    return {
        begin + words: begin + title if begin in kept else title
        for words, title in titles.items()
        for begin in _BEGINS
    }


ROWS = (
    *rows(
        "deadlock",
        ("lock", "chain"),
        _said({"possible circular locking dependency": "possible deadlock{in}"}),
        LOCKING,
    ),
    *rows(
        "deadlock",
        ("first lock",),
        _said(
            {
                "possible recursive locking": "possible deadlock{in}",
                "possible irq lock inversion": "possible deadlock{in}",
                "possible nested": "possible deadlock{in}",
            }
        ),
        NOBODY,
    ),
    *rows(
        "deadlock",
        ("became", "lock", "trace"),
        _said(
            {
                "SOFTIRQ-safe -> ": "possible deadlock{in}",
                "HARDIRQ-safe -> ": "possible deadlock{in}",
                "SOFTIRQ-READ-safe -> ": "possible deadlock{in}",
                "HARDIRQ-READ-safe -> ": "possible deadlock{in}",
                "RECLAIM_FS-safe -> ": "possible deadlock{in}",
            }
        ),
    ),
    *rows("locking", TRACE, {"WARNING: inconsistent lock state": "inconsistent lock state{in}"}),
    *rows(
        "locking",
        LOCK,
        {
            "INFO: inconsistent lock state": "inconsistent lock state{in}",
            "inconsistent lock state": "inconsistent lock state{in}",
        },
        NOBODY,
    ),
    *rows("locking", LOCK, _as_said({"bad unlock balance": "bad unlock balance{in}"})),
    *rows("locking", LOCK, _said({"bad contention": "bad contention{in}"})),
    *rows("locking", LOCK, _as_said({"held lock freed": "held lock freed{in}"}), NOBODY),
    *rows("locking", TRACE, _said({"lock held at task exit": "lock held at task exit{in}"})),
    *rows(
        "locking",
        ("first lock",),
        _as_said({"lock held when returning": "lock held when returning to user space{in}"}),
        NOBODY,
    ),
    *rows("locking", TRACE, _said({"Nested lock was not taken": "nested lock was not taken{in}"})),
    *rows(
        "locking",
        TRACE,
        _as_said(
            {
                "suspicious RCU usage": "suspicious RCU usage{in}",
                "suspicious rcu_dereference_check() usage": "suspicious RCU usage{in}",
            }
        ),
        RCU,
    ),
    *rows(
        "locking",
        TRACE,
        _said(
            {
                "invalid wait context": "locking bug{in}",
                "Invalid wait context": "locking bug{in}",
            }
        ),
        SOCKETS,
    ),
    *rows(
        "locking",
        TRACE,
        {
            "trying to register non-static key": "non-static key{in}",
            "INFO: trying to register non-static key": "non-static key{in}",
            "BUG: key ": "lock key not registered{in}",
        },
        KEYS,
    ),
    *rows(
        "locking",
        TRACE,
        {
            "BUG: sleeping function called": "sleeping function called from invalid context{in}",
        },
    ),
    *rows("locking", TRACE, {"BUG: scheduling while atomic": "scheduling while atomic{in}"}, ATOMIC),
    *rows(
        "locking",
        ("workqueue", "trace"),
        {"BUG: workqueue leaked ": "workqueue leaked lock or atomic{in}"},
    ),
    *rows("stall", (), {"BUG: workqueue lockup": "workqueue lockup"}),
    Format(
        "BUG: using ",
        "locking",
        "{what} in preemptible code{in}",
        (*TRACE, "caller"),
        PREEMPTIBLE,
        detail(r"(?P<what>\w+(?:\(\))?) in preemptible"),
    ),
    Format(
        "BUG: spinlock ",
        "locking",
        "spinlock {what}{in}",
        TRACE,
        SPINNING,
        detail(r"(?P<what>[a-z]+(?: [a-z]+){0,2}) ?(?:on CPU|on UP|, |$)"),
    ),
    Format(
        "BUG: rwlock ",
        "locking",
        "rwlock {what}{in}",
        TRACE,
        SPINNING,
        detail(r"(?P<what>[a-z]+(?: [a-z]+){0,2}) ?(?:on CPU|on UP|, |$)"),
    ),
    *rows(
        "locking",
        TRACE,
        {
            "BUG: rwlock-": "rwlock lockup{in}",
            "BUG: write-lock lockup": "rwlock lockup{in}",
        },
        SPINNING,
    ),
    Format("BUG: MAX_", "locking", "{what} too low", (), detail=detail(r"(?P<what>\w+) too low")),
    *(
        Format(
            begins,
            "locking",
            title,
            LOCK,
            NOBODY,
            detail(r".{1,64}/\d+ still has locks held"),
        )
        for begins, title in _as_said({"": "still has locks held{in}"}).items()
        if begins
    ),
)
