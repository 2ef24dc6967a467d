# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes up a week of a fleet, as data and as records: a crash that was resolved is back on a newer
kernel (a regression), a host crashes again and again, and a rack loses its power."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from panicast_build.bench import fleet
from panicast_receiver.db import groups, schema
from panicast_receiver.db.meanings import CRASHES, Meanings
from panicast_receiver.db.query import Query
from panicast_receiver.db.reader import Reader
from panicast_receiver.db.store import Store
from panicast_receiver.db.writing import transaction
from panicast_receiver.log import logger
from panicast_receiver.meaning import Meaning, understand
from panicast_receiver.records.record import Record, Source
from panicast_receiver.wire.v1 import encode

NS = 1_000_000_000
HOUR = 3600.0
HOSTS, RACKS = 120, 8
WEEK_H = 7 * 24.0
# Hours after the beginning of the week.
UPGRADE_H, POWER_CUT_H = 72.0, WEEK_H - 2.5
OLD, NEW = "6.12.110", "6.12.118"
# The host that flaps, and the rack that loses its power.
FLAPS, DARK = 43, 7
# Who died in the last hours of the week is not back yet.
DOWN_H = 1.0
# A host that is well says hello at least this often, as the module does.
HELLO_S = 300.0
_MAKERS = ("Dell Inc. PowerEdge R650", "Supermicro SYS-1029", "HPE ProLiant DL380 Gen10")
_BATCH = 200

_CRASHES = {
    "nvme": """\
<1>[{up}.10] BUG: kernel NULL pointer dereference, address: 0000000000000058
<1>[{up}.10] #PF: supervisor read access in kernel mode
<4>[{up}.10] Oops: 0000 [#1] PREEMPT SMP NOPTI
{cpu}<4>[{up}.11] RIP: 0010:nvme_unmap_data+0x5b/0x110 [nvme]
<4>[{up}.11] Call Trace:
<4>[{up}.11]  <IRQ>
<4>[{up}.11]  nvme_pci_complete_rq+0x2c/0x80 [nvme]
<4>[{up}.11]  nvme_irq+0x3a/0x60 [nvme]
<4>[{up}.11]  __handle_irq_event_percpu+0x46/0x190
<4>[{up}.11]  handle_edge_irq+0x8c/0x230
<4>[{up}.11]  common_interrupt+0x82/0xa0
<4>[{up}.11]  </IRQ>
<0>[{up}.12] Kernel panic - not syncing: Fatal exception in interrupt
""",
    "lockup": """\
<0>[{up}.20] watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [kworker/3:2:811]
{cpu}<4>[{up}.20] RIP: 0010:amdgpu_device_rreg+0x4b/0xf0 [amdgpu]
<4>[{up}.20] Call Trace:
<4>[{up}.20]  <TASK>
<4>[{up}.20]  gfx_v9_0_wait_for_idle+0x60/0xa0 [amdgpu]
<4>[{up}.20]  amdgpu_device_ip_suspend+0x70/0xc0 [amdgpu]
<4>[{up}.20]  process_one_work+0x1e5/0x3b0
<4>[{up}.20]  worker_thread+0x50/0x3a0
<4>[{up}.20]  </TASK>
<0>[{up}.21] Kernel panic - not syncing: softlockup: hung tasks
""",
    "ext4": """\
<2>[{up}.30] kernel BUG at fs/ext4/inode.c:2757!
<4>[{up}.30] Oops: invalid opcode: 0000 [#1] PREEMPT SMP PTI
{cpu}<4>[{up}.30] RIP: 0010:ext4_writepages+0xfb2/0x1010 [ext4]
<4>[{up}.30] Call Trace:
<4>[{up}.30]  <TASK>
<4>[{up}.30]  do_writepages+0xcc/0x1a0
<4>[{up}.30]  __writeback_single_inode+0x41/0x270
<4>[{up}.30]  writeback_sb_inodes+0x21c/0x4e0
<4>[{up}.30]  wb_workfn+0x2a0/0x3f0
<4>[{up}.30]  </TASK>
<0>[{up}.31] Kernel panic - not syncing: Fatal exception
""",
    "hung": """\
<3>[{up}.40] INFO: task postgres:2071 blocked for more than 120 seconds.
<6>[{up}.40] task:postgres        state:D stack:0     pid:2071  ppid:1988   flags:0x00000002
<6>[{up}.40] Call Trace:
<6>[{up}.40]  <TASK>
<6>[{up}.40]  __schedule+0x36c/0x8f0
<6>[{up}.40]  schedule+0x5a/0xd0
<6>[{up}.40]  xfs_log_force_seq+0x93/0x180 [xfs]
<6>[{up}.40]  xfs_file_fsync+0xba/0x2a0 [xfs]
<6>[{up}.40]  do_fsync+0x38/0x70
<6>[{up}.40]  </TASK>
<0>[{up}.41] Kernel panic - not syncing: hung_task: blocked tasks
{cpu}""",
    "memory": """\
<4>[{up}.50] java invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0
{cpu}<4>[{up}.50] Call Trace:
<4>[{up}.50]  <TASK>
<4>[{up}.50]  dump_stack_lvl+0x44/0x5c
<4>[{up}.50]  panic+0x118/0x2f4
<4>[{up}.50]  out_of_memory+0x4f1/0x500
<4>[{up}.50]  __alloc_pages_slowpath.constprop.0+0xc25/0xd80
<4>[{up}.50]  </TASK>
<0>[{up}.51] Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled
""",
}
_CPU = """\
<4>[{up}.10] CPU: {cpu} PID: {pid} Comm: kworker/{cpu}:2 Not tainted {kernel} #1 Debian
<4>[{up}.10] Hardware name: {maker}, BIOS 2.{cpu} 04/01/2024
"""


class Death(NamedTuple):
    """A crash of a host: of which kind, and how many hours after the beginning of the week."""

    hour: float
    host: int
    crash: str


class Change(NamedTuple):
    """What somebody did about the newest crash that has this word in its title, and when."""

    hour: float
    word: str
    action: str
    detail: str
    note: str
    by: str


# nvme: four hosts before the upgrade, and three after the kernel that was said to have the fix.
DEATHS = (
    *(Death(hour, host, "nvme") for hour, host in ((3.2, 5), (7.9, 18), (20.4, 66), (33.0, 5))),
    *(Death(hour, host, "nvme") for hour, host in ((131.0, 12), (149.5, 75), (161.2, 29))),
    *(
        Death(hour, FLAPS, "lockup")
        for hour in (118.0, 121.5, 124.9, 133.3, 139.1, 146.6, 152.0, 158.8, 164.7)
    ),
    *(Death(hour, host, "ext4") for hour, host in ((151.2, 30), (163.1, 57), (167.4, 90))),
    *(Death(hour, host, "hung") for hour, host in ((40.0, 4), (64.2, 4), (101.7, 8))),
    *(Death(hour, host, "memory") for hour, host in ((26.0, 61), (109.3, 101))),
)
CHANGES = (
    Change(22.0, "nvme", "acknowledge", "", "looks like the race that was mended in 6.12.112", "ann"),
    Change(45.0, "hung", "mute", "30d", "the storage team replaces the shelf", "bo"),
    Change(74.0, "nvme", "resolve", NEW, "the fix is in", "ann"),
    Change(75.0, "nvme", "link", "https://bugs.example.org/4711", "", "ann"),
)


class Week:
    """Makes the records of a week that ends at end_ns; the same each time."""

    def __init__(self, end_ns: int) -> None:
        self._random = random.Random(1)
        self._start_ns = end_ns - int(WEEK_H * HOUR * NS)
        self.boots = dict.fromkeys(range(HOSTS), 0)
        self._down = {host for host in range(HOSTS) if host % RACKS == DARK}
        self._down |= {death.host for death in DEATHS if death.hour > WEEK_H - DOWN_H}

    def at(self, hour: float) -> int:
        """Returns the nanoseconds since 1970 of an hour of the week."""
        return self._start_ns + int(hour * HOUR * NS)

    def records(self) -> list[Record]:
        """Returns all records of the week, oldest first."""
        made = [record for host in range(HOSTS) for record in self._life(host)]
        return sorted(made, key=lambda record: record.received_ns)

    def _life(self, host: int) -> Iterator[Record]:
        """Yields what a host sends: the first and the last hello of each boot, a bye before the
        upgrade, and its crashes. It is back some minutes after each."""
        deaths = sorted(death for death in DEATHS if death.host == host)
        moments: list[tuple[float, str]] = [(death.hour, death.crash) for death in deaths]
        # Two thirds of the hosts are upgraded, one after the other.
        if _is_upgraded(host):
            moments.append((UPGRADE_H + host / HOSTS * 4, "upgrade"))
        end = POWER_CUT_H if host % RACKS == DARK else WEEK_H - self._random.random() * HELLO_S / HOUR
        began, kernel = 0.01 + self._random.random() * HELLO_S / HOUR, OLD
        for hour, what in sorted(moments):
            if hour >= end:
                break
            yield self._record("hello", host, began, kernel)
            yield self._record("hello", host, hour - 0.02, kernel)
            if what == "upgrade":
                yield self._record("bye", host, hour, kernel)
                kernel = NEW
            else:
                yield self._record("panic", host, hour, kernel, self.text(what, host, kernel, hour - began))
            if hour > WEEK_H - DOWN_H:
                return
            self.boots[host] += 1
            began = hour + 0.05 + self._random.random() * 0.05
        yield self._record("hello", host, min(began, end), kernel)
        yield self._record("hello", host, end, kernel)

    def _record(self, kind: str, host: int, hour: float, kernel: str, text: bytes = b"") -> Record:
        source = Source(_mac(host), f"192.0.2.{host + 1}", "eth0")
        boot, moment = boot_id(host, self.boots[host]), self.at(hour)
        told = metadata(host, kernel)
        return fleet.record(kind, boot, self._event(moment), moment, name(host), told, text, source)

    def _event(self, moment: int) -> int:
        """Returns the number of a record within its boot: each has another, and later ones a larger."""
        return (moment - self._start_ns) // NS

    def text(self, crash: str, host: int, kernel: str, hours_up: float) -> bytes:
        """Returns the log of a host that ends in a crash."""
        up = max(1, int(hours_up * HOUR))
        cpu = _CPU.format(up=up, cpu=host % 8, pid=1000 + host, kernel=kernel, maker=_MAKERS[host % 3])
        before = "".join(
            f"<6>[{up - 40 + number}.{self._random.randrange(100):02d}] nfs: server store-{number % 4} OK\n"
            for number in range(30)
        )
        return (before + _CRASHES[crash].format(up=up, cpu=cpu)).encode()

    def frames(self, kind: str, host: int, now_ns: int, crash: str = "") -> list[bytes]:
        """Returns the datagrams of a record of a host's present boot that comes now."""
        kernel = NEW if _is_upgraded(host) else OLD
        text = self.text(crash, host, kernel, 1.0) if crash else b""
        boot, event = boot_id(host, self.boots[host]), self._event(now_ns)
        return encode(kind, boot, event, now_ns, name(host), metadata(host, kernel), text)

    def alive(self) -> list[int]:
        """Returns the hosts that have power and are not down."""
        return [host for host in range(HOSTS) if host not in self._down]


def name(host: int) -> str:
    """Returns a host's name."""
    return f"{('db', 'web', 'ceph', 'gpu')[host % 4]}-{host:03}.example"


def metadata(host: int, kernel: str) -> bytes:
    """Returns what the module says of a host."""
    return (
        f"host={name(host)}\nrelease={kernel}-amd64\nmachine=x86_64\niface=eth0\nmac={_mac(host)}\n"
        f"module=0.1.0\ntag=rack=r{host % RACKS}\n"
    ).encode()


def _is_upgraded(host: int) -> bool:
    return host % 3 != 1


def boot_id(host: int, boot: int) -> bytes:
    """Returns the id of a host's boot."""
    return b"demo" + host.to_bytes(4, "big") + boot.to_bytes(8, "big")


def _mac(host: int) -> str:
    return f"52:54:00:00:00:{host:02x}"


def write(state: Path, week: Week) -> None:
    """Writes the week into the receiver's database, by the receiver's own code, in the order in which
    it happened."""
    # What it says of it meanwhile nobody reads.
    logger.addHandler(logging.NullHandler())
    records, changes = iter(week.records()), list(CHANGES)
    later = next(records, None)
    while later:
        until = week.at(changes[0].hour) if changes else None
        due = []
        while later and (until is None or later.received_ns < until):
            due.append(later)
            later = next(records, None)
        _store(state, due)
        if changes:
            _change(state, week, changes.pop(0))


def _store(state: Path, records: list[Record]) -> None:
    left = iter(records)
    with closing(Store(state)) as store:
        while batch := list(islice(left, _BATCH)):
            store.write(batch)
    with closing(Meanings(state / schema.FILE_NAME)) as meanings:
        while tasks := meanings.begin(_BATCH):
            known = [
                (task, understand(task.text.decode()) if task.type in CRASHES else Meaning())
                for task in tasks
            ]
            meanings.end(known)


def _change(state: Path, week: Week, change: Change) -> None:
    with closing(Reader(state)) as reader:
        signature = next(one["signature"] for one in reader.groups(Query()) if change.word in one["title"])
    order = groups.Order(signature, change.action, change.detail, change.note, change.by, "page")
    with closing(schema.open_writer(state / schema.FILE_NAME)) as db, transaction(db):
        groups.change(db, order, week.at(change.hour))
