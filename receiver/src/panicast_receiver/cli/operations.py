# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands for running the service: drill, keygen, import, backup. All return exit codes."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..db import backups, boots, damage, folder, salvage, schema
from ..db.changing import changing
from ..db.engine import Place
from ..db.packing import row_to_record
from ..db.reader import Reader
from ..db.store import Store
from ..errors import ReceiverError, UsageError
from ..records.record import Record
from ..secretfile import place
from ..service.preflight import keys_of
from ..settings import Settings
from ..settings.kinds import address_and_port, host_and_port, parse_names
from ..sinks.cursors import rewind, send_aside
from ..text import escape, matches
from ..wire import sealing
from ..wire.v1 import Frame, decode, encode
from . import pstore

#: Seconds that a drill waits for its record, and between looks.
PATIENCE_S, LOOK_S = 10.0, 0.05
DRILL_TEXT = b"<6>[    0.000000] panicast: this is a drill\n"
#: Records that are recovered in one transaction.
_RECOVERED = 64
#: Imported records in one, which may have a MiB each.
_IMPORTED = 16
#: Records that are deleted in one transaction, so that the service is not kept waiting.
_BATCH = 50


def keygen(key_id: int, master: bool) -> int:
    """Print a new key as a line for the key file, and say what to do with it."""
    key = sealing.generate()
    if master:
        print(f"{key_id} master {key}")
        print(
            "append that line to the file that key_file names (mode 0600, owner panicast), reload the "
            "service, and give each host its own key: panicast-receiver keygen --for HOST",
            file=sys.stderr,
        )
        return 0
    print(f"{key_id} {key}")
    print(
        "append that line to the file that key_file names (mode 0600, owner panicast), reload the service, "
        "and give the line to the hosts: sudo panicast-ctl key < FILE",
        file=sys.stderr,
    )
    return 0


def host_key(settings: Settings, key_id: int, host: str) -> int:
    """Print the key of one host, derived from the master key with this id in the key file."""
    if not settings.key_file:
        raise UsageError("the key of a host is derived from a master key; name its file: --key-file FILE")
    key = sealing.read_keys(place(settings.key_file)).get(key_id)
    if not isinstance(key, sealing.MasterKey):
        raise ReceiverError(
            f"{settings.key_file} has no master key with the id {key_id}; `panicast-receiver keygen "
            "--master` makes one, --id N chooses another"
        )
    print(f"{key_id} {key.of(sealing.host_field(host)).hex()}")
    print(
        f"give that line to {escape(host)}, whose `uname -n` must be exactly that name: "
        "sudo panicast-ctl key < FILE && sudo panicast-ctl reload",
        file=sys.stderr,
    )
    return 0


def drill(settings: Settings, state_dir: Path, to: str) -> int:
    """Send a record of type test to the service and wait until the database has it, complete."""
    reader = Reader(state_dir)
    address, port = to or host_and_port(settings.listen)[0], host_and_port(settings.listen)[1]
    address = "127.0.0.1" if address in ("0.0.0.0", "::") else address
    where = address_and_port(address, port)
    boot_id, host = os.urandom(16), socket.gethostname()
    metadata = f"host={host}\nreason=drill\ntag=drill\n".encode()
    frames = encode("test", boot_id, 1, time.time_ns(), host, metadata, DRILL_TEXT)
    if settings.require_sealed or matches(host, parse_names(settings.sealed_hosts)):
        frames = _sealed(settings, frames, host)
    first = decode(frames[0])
    assert isinstance(first, Frame)
    began = time.monotonic()
    try:
        family, *_, target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for frame in frames:
                sock.sendto(frame, target)
    except OSError as error:
        raise ReceiverError(f"cannot send to {where}: {error.strerror}") from error
    while time.monotonic() < began + PATIENCE_S:
        if reader.has_complete(first.identity):
            print(f"the record came back complete after {1000 * (time.monotonic() - began):.0f} ms")
            return 0
        time.sleep(LOOK_S)
    raise ReceiverError(
        f"nothing came back from {where} within {PATIENCE_S:.0f} s. Does the service run, and does "
        "it listen on the loopback interface too (interface)? `panicast-receiver doctor` finds more"
    )


def _sealed(settings: Settings, frames: list[bytes], host: str) -> list[bytes]:
    """Return the frames sealed as this host would seal them, but only if the service refuses
    others: once a host has sealed, it is not believed unsealed."""
    # Any of the keys does: the newest stands last.
    key_id, key = list(keys_of(settings).items())[-1]
    own = key.of(sealing.host_field(host))
    return [sealing.seal_datagram(frame, key_id, own) for frame in frames]


def prune(state_dir: Path, before_ns: int | None, per_host: int | None, dry_run: bool) -> int:
    """Delete old records, and all but the newest of each host, whether the service runs or not."""
    if before_ns is None and per_host is None:
        raise UsageError("nothing to prune: give --older-than AGE, --per-host N or both")
    # A database that is not there is not made for that.
    schema.open_reader(state_dir / schema.FILE_NAME, older=True)[0].close()
    store = Store(state_dir, exclusive=False)
    try:
        total = 0
        while True:
            found = store.surplus(before_ns, per_host, -1 if dry_run else _BATCH)
            total += len(found)
            if dry_run or not found:
                break
            store.delete(found)
        print(f"{total} records " + ("would be deleted" if dry_run else "deleted"))
    finally:
        store.close()
    return 0


def retire(place: Place, patterns: Sequence[str], undo: bool, dry_run: bool) -> int:
    """Say that hosts are gone, or that they are not, whether the service runs or not."""
    with changing(place) as db:
        hosts = boots.with_names(db, patterns)
        for pattern in patterns:
            if not any(matches(host, [pattern]) for host in hosts):
                raise UsageError(
                    f"no host is called {escape(pattern)}; `panicast-receiver hosts` lists them, and "
                    "`--state retired` those that are retired"
                )
        for host in () if dry_run else hosts:
            boots.retire(db, host, None if undo else time.time_ns())
    for host in hosts:
        print(escape(host))
    done = "in use again" if undo else "retired, until they are heard again"
    print(f"{len(hosts)} hosts {'would be' if dry_run else 'are'} {done}", file=sys.stderr)
    return 0


def backup(state_dir: Path, target: Path) -> int:
    """Copy the database, whether the service runs or not."""
    count = backups.backup(state_dir / schema.FILE_NAME, target)
    print(f"{count} records in {escape(str(target))}, {target.stat().st_size >> 20} MiB")
    return 0


def restore(state_dir: Path, saved: Path) -> int:
    """Replace the database by a backup; the service must not run."""
    path = state_dir / schema.FILE_NAME
    with folder.locked(state_dir):
        before = backups.restore(saved, path)
    print(f"{escape(str(saved))} has replaced {path}; start the service")
    if before:
        print(f"the old database is {before.name}; `recover {before}` adds its records to the new one")
    return 0


def recover(state_dir: Path, files: list[str]) -> int:
    """Add what other databases hold, damaged or older: those named, or all that were set aside."""
    path = state_dir / schema.FILE_NAME
    wanted = [Path(name) for name in files] or damage.aside(path)
    if not wanted:
        print(f"nothing to recover: no database was set aside in {state_dir}")
        return 0
    store = _open(state_dir)
    try:
        for file in wanted:
            _recover(store, file, path)
    finally:
        store.close()
    return 0


def _open(state_dir: Path) -> Store:
    """Open the database beside the service. What root makes belongs to the service's user."""
    with folder.as_the_services(state_dir):
        return Store(state_dir, exclusive=False)


def _recover(store: Store, file: Path, path: Path) -> None:
    if file.exists() and file.samefile(path):
        raise ReceiverError(
            f"{escape(str(file))} is the database itself; name one that was set aside or moved"
        )
    counts: Counter[str] = Counter()
    batch: list[Record] = []
    for row in salvage.rows(file):
        batch.append(row_to_record(row))
        if len(batch) == _RECOVERED:
            counts.update(stored.outcome for stored in store.write(batch))
            batch.clear()
    counts.update(stored.outcome for stored in store.write(batch))
    new = counts["new"] + counts["completed"] + counts["grown"]
    print(f"{escape(str(file))}: {new} records saved, {sum(counts.values()) - new} known already or refused")
    if brought := store.bring(salvage.decided(file)):
        print(f"{escape(str(file))}: states and notes of {brought} groups saved")
    if file in damage.aside(path):
        print(f"it is now {damage.recovered(file)}; delete it when nothing is missing")


def resend(state_dir: Path, sink: str, since_ns: int | None) -> int:
    """Move a sink's cursor back, or send again what was set aside. The running service does it, or
    the next one."""
    count = send_aside(state_dir, sink) if since_ns is None else rewind(state_dir, sink, since_ns)
    print(f"{count} records will be sent to {escape(sink)} again")
    return 0


def import_pstore(state_dir: Path, folders: list[str], host: str) -> int:
    """Store what the firmware kept. Records that are stored already do not change."""
    failed: list[str] = []
    found = (record for one in folders for record in pstore.read(Path(one), host, failed))
    # What is wrong with the first folder is said before a database is made.
    batch = list(islice(found, _IMPORTED))
    counts: Counter[bool] = Counter()
    store = _open(state_dir)
    try:
        while batch:
            counts.update(stored.outcome == "new" for stored in store.write(batch))
            batch = list(islice(found, _IMPORTED))
    finally:
        store.close()
    print(f"{counts[True]} records imported, {counts[False]} known already")
    for what in failed:
        print(escape(what), file=sys.stderr)
    return 1 if failed else 0
