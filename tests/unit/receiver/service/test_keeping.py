# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept is kept safely, by the settings, and by nobody else's leave."""

import contextlib
import os
import signal
import sqlite3
import stat
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from panicast_receiver.assembly.intake import Intake, Packet
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.db import schema
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError, UsageError
from panicast_receiver.meaning import Meaning
from panicast_receiver.records.record import Instant, Source
from panicast_receiver.service import supervisor
from panicast_receiver.service.answerer import Answerer
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.service.listener import Listener
from panicast_receiver.settings import SETTINGS, Settings
from panicast_receiver.settings.kinds import host_and_port
from panicast_receiver.settings.syslog import parse_syslog
from panicast_receiver.sinks import cursors
from panicast_receiver.wire.sealing import SharedKey, read_keys
from panicast_receiver.wire.v1 import FLAG_SEALED, encode

from ..conftest import PATIENCE_S, wait_until
from ..db.test_store import raw_record

NOW = Instant(100.0, 1_700_000_000_000_000_000)


def numbered(number, text=b"Kernel panic - not syncing: x", **changes):
    return replace(
        raw_record(text, identity=bytes([number]) * 20), received_ns=NOW.wall_ns + number, **changes
    )


@pytest.fixture
def store(tmp_path):
    """A store in a folder of its own."""
    with contextlib.closing(Store(tmp_path)) as opened:
        yield opened


def test_a_commit_is_on_the_disk(store):
    """2: FULL, of which SQLite says that a commit survives a power cut."""
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_what_need_not_last_waits_for_no_disk(store):
    """1: NORMAL. Each sink writes for each record: in a flood the store would wait for that."""
    with contextlib.closing(schema.open_writer(store.path, lasting=False)) as second:
        assert second.execute("PRAGMA synchronous").fetchone()[0] == 1


def test_it_is_on_the_disk_that_a_text_is_looked_at_before_it_is(store):
    """A text that takes down the machine is not looked at at each start."""
    store.write([raw_record()])
    with contextlib.closing(Meanings(store.path)) as meanings:
        said = []
        meanings._db.set_trace_callback(said.append)
        (task,) = meanings.begin(8)
        said = [one for one in said if one.startswith(("PRAGMA", "UPDATE records SET tries", "COMMIT"))]
        meanings.end([(task, Meaning())])
        assert meanings._db.execute("PRAGMA synchronous").fetchone()[0] == 1
    assert [one.split(" = ")[-1] if "PRAGMA" in one else one.split()[0] for one in said] == [
        *("FULL", "UPDATE", "COMMIT", "NORMAL")
    ]


def test_nobody_writes_between_the_first_look_and_the_last_word(store):
    """Who looks first and writes then finds that another has written meanwhile, and its batch is lost."""
    tries = []

    def other(_):
        with contextlib.closing(sqlite3.connect(store.path, timeout=0, isolation_level=None)) as second:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                second.execute("BEGIN IMMEDIATE")
            tries.append(1)
        return True

    store.at_once = other
    assert [one.outcome for one in store.write([numbered(1)])] == ["new"] and tries == [1]


def test_of_a_batch_that_fails_nothing_is_kept(store, tmp_path):
    def fail(record):
        if record.identity[0] == 2:
            raise sqlite3.OperationalError("database or disk is full")
        return True

    batch = [numbered(1), numbered(2), numbered(3)]
    store.at_once = fail
    with pytest.raises(sqlite3.OperationalError):
        store.write(batch)
    with contextlib.closing(Reader(tmp_path)) as reader:
        assert reader.select(Query()) == []
    store.at_once = lambda record: True
    assert [one.outcome for one in store.write(batch)] == ["new"] * 3


def test_the_service_deletes_what_need_not_be_kept(store):
    store.write([numbered(number) for number in range(1, 11)])
    handoff = Handoff()
    thread = Committer(handoff, store)
    thread.retain(Retention(per_host=3))
    thread.start()
    wait_until(lambda: thread.counts["deleted by retention"] == 7)
    handoff.close()
    thread.join(PATIENCE_S)
    assert store.surplus(None, 3, -1) == [] and len(store.surplus(None, 1, -1)) == 2


def test_the_quota_takes_what_is_not_sealed_first(store, tmp_path):
    text = os.urandom(3000).hex().encode()
    store.write([numbered(n, text, flags=n % 2) for n in range(1, 61)])
    while store.expire(Retention(size=130_000), NOW.wall_ns):
        pass
    with contextlib.closing(Reader(tmp_path)) as reader:
        kept = Counter(entry.summary["sealed"] for entry in reader.select(Query(limit=100)))
    assert kept[True] and kept[False] < 30
    assert kept[True] == 30 or not kept[False], kept


def test_who_waits_for_the_store_says_that_it_lives():
    handoff = Handoff(limit_bytes=1)
    large = replace(raw_record(b"x" * 4096), frames=9)
    handoff.put([large])
    listener = Listener([], Intake(Limits(), 60), handoff)
    listener.intake.set_limits(Limits(memory=0), 60)
    listener.beat_at = 0.0
    thread = threading.Thread(target=listener._give, args=([large],), daemon=True)
    thread.start()
    wait_until(lambda: listener.beat_at)
    assert thread.is_alive()
    handoff.abandon()
    thread.join(PATIENCE_S)
    assert listener.intake.counts["records lost: store failed"] == 1


@pytest.mark.parametrize(("flags", "dropped"), [(FLAG_SEALED, 0), (0, 1)])
def test_what_is_sealed_is_waited_for_however_small_it_is(flags, dropped):
    handoff, waited = Handoff(limit_bytes=1), threading.Event()
    small = [replace(raw_record(b"x", identity=bytes([n]) * 20), frames=1, flags=flags) for n in range(2)]
    thread = threading.Thread(target=handoff.put, args=(small, waited.set), daemon=True)
    thread.start()
    if flags:
        assert waited.wait(PATIENCE_S)
        assert len(handoff.take(1, 0)) == 1
    thread.join(PATIENCE_S)
    assert not thread.is_alive() and handoff.dropped == dropped
    assert len(handoff.take(9, 0)) == 1


@pytest.mark.parametrize(("frames", "size", "waited_for"), [(4, 2048, True), (3, 1024, False)])
def test_four_frames_are_worth_waiting_for(frames, size, waited_for):
    handoff, waited = Handoff(limit_bytes=1), threading.Event()
    some = [replace(numbered(number, b"x" * size), frames=frames) for number in range(2)]
    thread = threading.Thread(target=handoff.put, args=(some, waited.set), daemon=True)
    thread.start()
    wait_until(lambda: waited.is_set() or not thread.is_alive())
    assert (waited.is_set(), handoff.dropped) == (waited_for, int(not waited_for))
    handoff.abandon()
    thread.join(PATIENCE_S)


def test_a_capture_that_fails_lets_the_store_end(monkeypatch):
    """Or nothing would say that the service has failed."""
    monkeypatch.setattr("sys.setswitchinterval", lambda seconds: None)
    handoff = Handoff()
    listener = Listener([], Intake(Limits(), 60), handoff)
    monkeypatch.setattr(listener.intake, "tick", lambda now: 1 // 0)
    listener._wake_writer.send(b"x")
    with pytest.raises(ZeroDivisionError):
        listener.run()
    assert handoff.take(1, PATIENCE_S) is None


@pytest.mark.parametrize("stuck", [(), ("listener",), ("committer",)])
def test_systemd_hears_nothing_while_one_of_the_threads_is_stuck(tmp_path, monkeypatch, stuck):
    class Running:
        def __init__(self, name):
            self.beat_at = time.monotonic() - (1e6 if name in stuck else 0)
            self.trouble = ""
            self.stop = self.join = lambda: None
            self.is_alive = lambda: True

    said = []
    signals = iter([None, SimpleNamespace(si_signo=signal.SIGTERM)])
    monkeypatch.setattr(supervisor.signal, "sigtimedwait", lambda numbers, seconds: next(signals))
    monkeypatch.setattr(supervisor.stats, "line", lambda counts: "")
    made = supervisor._Supervisor(
        *(tmp_path, Running("listener"), Running("committer"), None, Settings({})),
        *(lambda: None, lambda: {}, lambda *told: None),
    )
    made._notifier = SimpleNamespace(notify=said.append)
    assert made.run()
    assert ("WATCHDOG=1" in said) is not bool(stuck) and said[-1] == "STOPPING=1"


def test_a_sink_that_is_no_longer_wanted_keeps_nothing_from_being_deleted(store, tmp_path):
    cursors.begin(store._db, "gone", 0)
    cursors.feed_only(tmp_path, ["gone"])
    store.write([replace(numbered(number), received_ns=time.time_ns()) for number in range(1, 11)])
    assert store.expire(Retention(per_host=3), time.time_ns()) == 0
    supervisor._feeders([], store, lambda: False, Committer(Handoff(), store))
    assert store.expire(Retention(per_host=3), time.time_ns()) == 7


def test_senders_of_whom_nothing_waits_are_forgotten():
    handoff = Handoff()
    handoff.put([replace(numbered(number), source=Source(None, f"10.0.0.{number}")) for number in range(9)])
    assert len(handoff._of_sender) == 9
    assert len(handoff.take(9, 0)) == 9 and not handoff._of_sender


@pytest.mark.parametrize(
    ("listen", "sizes"), [("[::]:6664", [64 << 20, 16 << 20]), ("0.0.0.0:6664", [64 << 20])]
)
def test_ipv6_beside_ipv4_has_a_quarter_of_the_memory_for_frames(monkeypatch, listen, sizes):
    class Ring:
        def __init__(self, sock, interface, program, size):
            self.ring_bytes = size

        def close(self):
            pass

    monkeypatch.setattr(supervisor, "RingCapture", Ring)
    monkeypatch.setattr(supervisor.packet_sockets, "take", lambda given, ethertype: None)
    with contextlib.ExitStack() as stack:
        rings = supervisor._rings(Settings({"listen": listen, "receive_buffer_mib": 64}), [], [], stack)
    assert [ring.ring_bytes for ring in rings] == sizes


def test_memory_that_the_reassembler_does_not_need_is_used_too():
    large = replace(raw_record(b"x" * 4096), frames=9)
    handoff, waited = Handoff(limit_bytes=1), threading.Event()
    handoff.spare = 100_000
    assert handoff.put([large] * 3, waited.set) == 3 and not waited.is_set()
    handoff.spare = 0
    thread = threading.Thread(target=handoff.put, args=([large], waited.set), daemon=True)
    thread.start()
    assert waited.wait(PATIENCE_S)
    handoff.abandon()
    thread.join(PATIENCE_S)


def test_a_folder_that_could_not_be_used_is_let_go(tmp_path, monkeypatch):
    """Even while somebody still looks at the error."""

    def fail(*_):
        raise ReceiverError("broken")

    with monkeypatch.context() as broken:
        broken.setattr("panicast_receiver.db.migration.make", fail)
        with pytest.raises(ReceiverError, match="broken") as caught:
            Store(tmp_path)
    Store(tmp_path).close()
    assert caught.value


def test_a_store_that_failed_is_an_exit_code(serve):
    """No file may grow: that is what a quota of the file system does."""
    receiver = serve(prefix=["prlimit", "--fsize=400000"])
    large = encode("panic", b"b" * 16, 1, 5, "h", b"host=h\n", os.urandom(500_000).hex().encode())
    for part in range(0, len(large), 64):
        receiver.send(large[part : part + 64])
        time.sleep(0.01)
    receiver.wait_for("trying again until it works")
    assert receiver.stop() == 1
    assert any("could not be kept" in line for line in receiver.log)


def test_a_thread_that_ended_by_itself_is_an_exit_code(serve, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "if b'serve' in open('/proc/self/cmdline', 'rb').read().split(b'\\0'):\n"
        "    from panicast_receiver.service.listener import Listener\n"
        "    Listener._refresh = None\n"
    )
    receiver = serve(prefix=("env", f"PYTHONPATH={tmp_path}:{os.environ.get('PYTHONPATH', '')}"))
    _, rest = receiver.process.communicate(timeout=PATIENCE_S)
    assert receiver.process.returncode == 1
    assert "ended by itself" in "".join(receiver.log) + rest.decode()


def test_only_owner_and_group_may_look(serve, tmp_path, big):
    """Even where the one who starts it lets all read everything."""
    receiver = serve(prefix=["sh", "-c", 'umask 0; exec "$@"', "sh"])
    receiver.send(big["frames"])
    receiver.wait_for("record .* complete")
    modes = {}
    for path in (tmp_path / "state", *(tmp_path / "state").iterdir()):
        # The counts are written anew now and then, beside the last ones.
        with contextlib.suppress(FileNotFoundError):
            modes[path] = path.stat().st_mode
    # The page's user is in the group, and writes its orders to a socket, which asks who comes.
    wrong = [path for path, mode in modes.items() if mode & (0o007 if stat.S_ISSOCK(mode) else 0o027)]
    assert len(modes) > 2 and wrong == []
    assert receiver.stop() == 0


def test_the_folder_is_made_for_owner_and_group(tmp_path):
    before = os.umask(0)
    try:
        Store(tmp_path / "new").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o750


KEYS = {7: SharedKey(bytes(32))}


def in_force(store, **values):
    """An intake and a committer with these settings, and KEYS, in force."""
    intake, committer, answerer = Intake(Limits(), 60), Committer(Handoff(), store), Answerer(None, 0)
    supervisor._put_into_force(Settings(values), intake, committer, answerer, KEYS)
    assert intake.keys is answerer.keys is KEYS
    return intake, committer


def began(intake, number):
    """How many records a sender's frames begin."""
    for event in range(number):
        (first, _) = encode("panic", b"b" * 16, event, 5, "h", b"host=h\n", b"x")
        intake.feed(Packet(first, Source("52:54:00:12:34:56", "10.0.0.7")), NOW)
    return intake.reassembler.in_flight


def test_settings_are_in_force(store):
    assert began(in_force(store)[0], 9) == 9
    assert began(in_force(store, require_sealed=True)[0], 9) == 0
    assert began(in_force(store, sealed_hosts="a, h")[0], 9) == 0
    # Of a name that the header has not, the store decides.
    assert list(store.sealed_hosts) == ["a", "h"]
    assert began(in_force(store, source_records_per_minute=4)[0], 9) == 4
    assert began(in_force(store, mac_records_per_minute=3)[0], 9) == 3
    assert began(in_force(store, max_in_flight=5)[0], 9) <= 5
    committer = in_force(store, keep_mib=3, keep_days=2.0, records_per_host=7)[1]
    assert committer._retention == Retention(2.0, 3 << 20, 7)


@pytest.mark.parametrize("parse", [host_and_port, lambda text: parse_syslog(f"tcp:{text}")])
def test_a_port_has_16_bits(parse):
    assert 65535 in parse("127.0.0.1:65535")
    for wrong in ("127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:", "127.0.0.1:\u0661"):
        with pytest.raises(ValueError):
            parse(wrong)


def test_netconsoles_port_has_16_bits():
    (setting,) = [one for one in SETTINGS if one.key == "netconsole_port"]
    assert setting.convert(65535, "here") == 65535
    with pytest.raises(UsageError, match="from 0 to 65535"):
        setting.convert(65536, "here")


@pytest.mark.parametrize("number", [0, 256, 999])
def test_a_key_id_is_what_the_header_can_hold(tmp_path, number):
    path = tmp_path / "keys"
    path.touch(0o600)
    path.write_text(f"255 {'0a' * 32}\n")
    assert list(read_keys(path)) == [255]
    path.write_text(f"{number} {'0a' * 32}\n")
    with pytest.raises(ReceiverError, match="from 1 to 255"):
        read_keys(path)
