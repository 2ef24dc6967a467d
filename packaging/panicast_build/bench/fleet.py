# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes up a fleet: hosts, boots and crashes for benchmarks of the receiver's database.

A few crashes are frequent and most are rare, as in real fleets: the n-th most frequent comes 1/n
times as often as the first.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from panicast_build.core.errors import UserError
from panicast_receiver.meaning import Meaning, understand
from panicast_receiver.records.extents import Run
from panicast_receiver.records.record import Record, Source
from panicast_receiver.wire.v1 import Frame, decode, encode

HOSTS, GROUPS, BOOTS_PER_HOST = 10_000, 3_000, 10
#: Days over which the records are spread, and bytes of a text.
DAYS, TEXT_BYTES = 365, 4096
#: Records that a database may have, at least and most.
_FEWEST, _MOST = 100, 10_000_000
_NS = 1_000_000_000
_KERNELS = tuple(f"6.1.{number}-{number % 3}-amd64" for number in range(100, 120))
_MAKERS = ("Dell Inc. PowerEdge R650", "Supermicro SYS-1029", "HPE ProLiant DL380 Gen10", "QEMU Standard PC")
_DRIVERS = ("nvme", "mlx5_core", "ixgbe", "ext4", "xfs", "btrfs", "kvm", "nf_tables", "amdgpu", "mpt3sas")
_CRASH = """\
<1>[{up:5d}.104211] BUG: kernel NULL pointer dereference, address: 0000000000000{offset:03x}
<1>[{up:5d}.104213] #PF: supervisor read access in kernel mode
<4>[{up:5d}.104215] Oops: 0000 [#1] PREEMPT SMP PTI
<4>[{up:5d}.104217] CPU: {cpu} PID: {pid} Comm: kworker/{cpu}:1 Not tainted {kernel} #1 Debian
<4>[{up:5d}.104219] Hardware name: {maker}, BIOS 2.{cpu} 04/01/2024
<4>[{up:5d}.104221] RIP: 0010:{driver}_step_{group:04d}+0x2a/0x90 [{driver}]
<4>[{up:5d}.104223] Call Trace:
<4>[{up:5d}.104225]  <TASK>
<4>[{up:5d}.104227]  {driver}_queue_{group:04d}+0x1c/0x40 [{driver}]
<4>[{up:5d}.104229]  {driver}_submit_{group:04d}+0x8f/0x120 [{driver}]
<4>[{up:5d}.104231]  process_one_work+0x1e5/0x3b0
<4>[{up:5d}.104233]  worker_thread+0x50/0x3a0
<4>[{up:5d}.104235]  kthread+0xd8/0x100
<4>[{up:5d}.104237]  </TASK>
<0>[{up:5d}.104239] Kernel panic - not syncing: Fatal exception
"""
_WEIGHTS = list(accumulate(1 / (number + 1) for number in range(GROUPS)))


def sizes(text: str) -> list[int]:
    """Returns the numbers of records that somebody wants, separated by commas. Raises UserError."""
    wanted = [one for one in re.split(r"[\s,]+", text) if one]
    for one in wanted:
        if not one.isdecimal() or not _FEWEST <= int(one) <= _MOST:
            raise UserError(
                f"--sizes: {one!r} is not a number of records; it may be {_FEWEST:,} to {_MOST:,}, e.g. "
                "--sizes 10000,100000"
            )
    return sorted({int(one) for one in wanted})


class Crash(NamedTuple):
    """One record and what its text means."""

    record: Record
    meaning: Meaning


class Fleet:
    """Makes records up; the same each time. ``start_ns`` is when the first is received, ``days`` when
    the last is."""

    def __init__(self, start_ns: int, records: int) -> None:
        self._random = random.Random(records)
        self._start_ns = start_ns
        self._step_ns = DAYS * 86400 * _NS // max(1, records)

    def hellos(self, boots: int) -> Iterator[Record]:
        """Yields a hello of each boot, oldest first."""
        step = DAYS * 86400 * _NS // max(1, boots)
        for number in range(boots):
            host, boot = number % HOSTS, number // HOSTS
            yield self._record("hello", host, boot, 1, self._start_ns + number * step, b"")

    def crashes(self, records: int, boots: range) -> Iterator[Crash]:
        """Yields crashes, oldest first, of these boots of each host, one boot after the other."""
        for number in range(records):
            group = self._random.choices(range(GROUPS), cum_weights=_WEIGHTS)[0]
            moment = self._start_ns + number * self._step_ns
            host = self._random.randrange(HOSTS)
            boot = boots[number * len(boots) // records]
            record = self._record("panic", host, boot, 2 + number, moment, self.text(group, host))
            yield Crash(record, _meaning(group))

    def text(self, group: int, host: int) -> bytes:
        """Returns a log of TEXT_BYTES that ends in a crash."""
        crash = _crash(group, host, up=self._random.randrange(100_000))
        filler = "".join(
            f"<6>[{number:5d}.000000] usb {number % 9}-{host % 7}: new device found, serial "
            f"{self._random.random()}\n"
            for number in range(40)
        )
        return (filler.encode()[: TEXT_BYTES - len(crash)] + crash)[-TEXT_BYTES:]

    def frames(self, group: int, host: int, event: int, now_ns: int) -> list[bytes]:
        """Returns the datagrams of a panic that comes now."""
        metadata = _metadata(host)
        return encode(
            "panic",
            _boot_id(host, BOOTS_PER_HOST),
            event,
            now_ns,
            name(host),
            metadata,
            self.text(group, host),
        )

    def _record(self, kind: str, host: int, boot: int, event: int, moment: int, text: bytes) -> Record:
        source = Source(f"52:54:00:00:{host >> 8:02x}:{host & 255:02x}", "192.0.2.1", "eth0")
        return record(kind, _boot_id(host, boot), event, moment, name(host), _metadata(host), text, source)


def record(
    kind: str,
    boot_id: bytes,
    event: int,
    moment: int,
    host: str,
    metadata: bytes,
    text: bytes,
    source: Source,
) -> Record:
    """Returns a whole record that was received at a moment, in nanoseconds since 1970."""
    frame = decode(encode(kind, boot_id, event, moment, host, metadata, text)[0])
    assert isinstance(frame, Frame)
    return Record(
        identity=frame.identity,
        format="v1",
        type=kind,
        header_host=frame.host,
        boot_id=frame.boot_id,
        event=event,
        flags=frame.flags,
        frames=frame.frames,
        time_ns=moment,
        received_ns=moment,
        text_length=len(text),
        metadata=metadata,
        runs=(Run(0, text),) if text else (),
        source=source,
    )


def name(host: int) -> str:
    """Returns a host's name."""
    return f"{('db', 'web', 'ceph', 'gpu')[host % 4]}-{host:05d}.rack{host % 97}.example"


def _boot_id(host: int, boot: int) -> bytes:
    return host.to_bytes(8, "big") + boot.to_bytes(8, "big")


def _metadata(host: int) -> bytes:
    mac = f"52:54:00:00:{host >> 8:02x}:{host & 255:02x}"
    return (
        f"host={name(host)}\nrelease={_KERNELS[host % len(_KERNELS)]}\niface=eth0\nmac={mac}\nmodule=0.1.0\n"
    ).encode()


def _crash(group: int, host: int, up: int) -> bytes:
    return _CRASH.format(
        up=up,
        offset=group % 512,
        cpu=host % 8,
        pid=1000 + host,
        kernel=_KERNELS[host % len(_KERNELS)],
        maker=_MAKERS[host % len(_MAKERS)],
        driver=_DRIVERS[group % len(_DRIVERS)],
        group=group,
    ).encode()


@cache
def _meaning(group: int) -> Meaning:
    """Returns what the receiver finds in the text of a group; the same for all of it."""
    return understand(_crash(group, 0, 1).decode())
