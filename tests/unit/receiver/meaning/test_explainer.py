# SPDX-License-Identifier: GPL-2.0-or-later
"""What a text may do to whoever looks what it means: nothing that anybody else notices."""

import importlib
import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from panicast_receiver.db import meanings as table
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import Meaning, child, understand
from panicast_receiver.meaning.process import Process, Stopped
from panicast_receiver.service.explainer import Explainer

from ..conftest import PATIENCE_S, explain, wait_until
from ..db.test_fleet import record
from .test_crash import SYSRQ

#: What a child runs in the place of the real one: a text is a word that says what it does.
HOSTILE = """
import re, sys, time
import panicast_receiver.meaning.child as child
from panicast_receiver.meaning import Meaning
def understand(text, reason):
    if text == "pattern":
        re.match(r"(a+)+$", "a" * 60 + "b")
    if text == "sleep":
        time.sleep(60)
    if text == "memory":
        bytearray(4 << 30)
    if text == "die":
        import os
        os._exit(7)
    return Meaning(title=text, trace=("a", "b"))
child.understand = understand
child.MOST_CPU_S = 0.3
child.main()
"""


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A process that does what a text says."""
    program = tmp_path / "child.py"
    program.write_text(HOSTILE)
    real = __import__("subprocess").Popen

    def popen(command, **options):
        return real([command[0], str(program)], **options)

    monkeypatch.setattr("panicast_receiver.meaning.process.subprocess.Popen", popen)
    made = Process()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        # Of the two bounds, where others keep the processor busy, the second may come first.
        ("pattern", "processor time|longer than 5 s"),
        ("sleep", "longer than 5 s"),
        ("memory", "MemoryError"),
        ("die", "ended with code 7"),
    ],
)
def test_a_text_that_breaks_it_costs_only_its_own_meaning(process, text, why, monkeypatch):
    # Where others keep the machine busy, what is right may take long, too.
    monkeypatch.setattr("panicast_receiver.meaning.process._ANSWER_S", PATIENCE_S)
    process.start()
    assert process.ask(b"before", "").title == "before"
    with monkeypatch.context() as hostile:
        if "longer" in why:
            hostile.setattr("panicast_receiver.meaning.process._ANSWER_S", 5.0)
        assert re.search(why, process.ask(text.encode(), ""))
    process.start()
    assert process.ask(b"after", "") == Meaning(title="after", trace=("a", "b"))


def test_whoever_stops_it_does_not_wait(process, monkeypatch):
    import threading

    monkeypatch.setattr("panicast_receiver.meaning.process._ANSWER_S", 2.0 * PATIENCE_S)
    process.start()
    began = time.monotonic()
    threading.Timer(0.3, process.stop).start()
    with pytest.raises(Stopped):
        process.ask(b"sleep", "")
    assert time.monotonic() - began < 50
    with pytest.raises(Stopped):
        process.start()


def test_the_real_one_finds_what_the_function_finds():
    process = Process()
    try:
        process.start()
        assert process.ask(SYSRQ.encode(), "x") == understand(SYSRQ, "x")
        assert process.ask(b"\xff\0\n" * 1000, "") == understand("\\xff\0\n" * 1000, "")
    finally:
        process.stop()


def test_it_may_not_do_much():
    """What ``child`` takes from itself, in a process of the test's own."""
    import subprocess
    import sys

    words = (
        "import panicast_receiver.meaning.child as c, os, sys; c._confine()\n"
        "def no(what, *a):\n"
        "    try:\n        what(*a)\n    except OSError:\n        return\n    sys.exit(str(what))\n"
        "no(open, '/etc/passwd'); no(os.pipe)\n"
        "if os.getuid(): no(os.fork)\n"
        "print(open.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, "open\n"), done.stderr
    assert child.MOST_CPU_S <= 10


def test_what_was_begun_before_is_looked_at_though_there_is_no_end_of_others(tmp_path):
    with closing(Store(tmp_path)) as store, closing(Meanings(tmp_path / "panicast.db")) as meanings:
        store.write([record("panic", "a", 1, 1, 1, SYSRQ)])
        assert len(meanings.begin(16)) == 1
        # Whoever looked was ended; from now on more comes than is looked at.
        store.write([record("panic", "a", 1, n, n, SYSRQ) for n in range(2, 40)])
        looked_at = {task.identity[-1] for _ in range(8) for task in meanings.begin(2)}
    assert 1 in looked_at and len(looked_at) == 15


def test_the_oldest_comes_first_and_the_mark_is_on_the_disk_before_the_try(tmp_path):
    with closing(Store(tmp_path)) as store:
        store.write([record("panic", "a", 1, n, 10 - n, SYSRQ) for n in range(1, 6)])
    with closing(Meanings(tmp_path / "panicast.db")) as meanings:
        tasks = meanings.begin(3)
        assert [task.identity[-1] for task in tasks] == [1, 2, 3]
        with sqlite3.connect(tmp_path / "panicast.db") as db:
            assert db.execute("SELECT sum(tries) FROM records").fetchone() == (3,)
        meanings.end([(tasks[0], Meaning(title="x", signature="1"))], tasks[1:])
        assert [task.identity[-1] for task in meanings.begin(3)] == [2, 3, 4]
    # Killed here: what was begun comes last, alone, once.
    states = []
    for _ in range(8):
        with closing(Meanings(tmp_path / "panicast.db")) as meanings:
            states.append([task.identity[-1] for task in meanings.begin(3)])
    assert states == [[5], [2], [3], [4], [5], [], [], []]
    with closing(Reader(tmp_path)) as reader:
        found = {entry.identity[-1]: entry.summary for entry in reader.select(Query())}
    assert found[1]["meaning"] == "found" and found[1]["title"] == "x"
    assert all(
        found[n]["meaning"] == "failed" and "twice" in found[n]["meaning_failure"] for n in range(2, 6)
    )
    assert found[2]["crash"] is None and found[2]["signature"] == ""


def test_what_was_not_looked_at_when_it_was_stopped_is_looked_at_first_next_time(tmp_path, monkeypatch):
    with closing(Store(tmp_path)) as store, closing(Meanings(tmp_path / "panicast.db")) as meanings:
        store.write([record("panic", "a", 1, n, n, SYSRQ) for n in (1, 2, 3)])
        explainer, asked = Explainer(tmp_path / "panicast.db"), []

        def ask(text, reason):
            asked.append(text)
            if len(asked) == 2:
                raise Stopped
            return Meaning(title="x", signature="1")

        monkeypatch.setattr(explainer._process, "start", lambda: None)
        monkeypatch.setattr(explainer._process, "ask", ask)
        with pytest.raises(Stopped):
            explainer._look_at(meanings, meanings.begin(16))
        # Together: none of them is suspected.
        assert [task.identity[-1] for task in meanings.begin(16)] == [2, 3]


def test_what_is_understood_late_is_a_change(tmp_path, monkeypatch):
    with closing(Store(tmp_path)) as store:
        store.write([record("panic", "a", 1, 1, 0, SYSRQ), record("test", "a", 1, 2, 0, "x")])
    with closing(Reader(tmp_path)) as reader:
        before = reader.cursor()
        monkeypatch.setattr(table, "PATIENCE_S", 0.0)
        explain(tmp_path)
        (entry,) = reader.changed_since(before, Query())
        assert entry.summary["signature"] and entry.summary["type"] == "panic"
        assert reader.cursor() == entry.changed > before


def test_a_service_goes_on_beside_a_text_that_takes_for_ever(serve, cli, big, tmp_path, monkeypatch):
    """The real service, with a child that hangs."""
    program = tmp_path / "sitecustomize.py"
    program.write_text(
        "import os, signal, time\n"
        "if b'meaning.child' in open('/proc/self/cmdline', 'rb').read():\n"
        "    import panicast_receiver.meaning as meaning\n"
        "    real = meaning.understand\n"
        "    def understand(text, reason):\n"
        "        if 'hang' in reason:\n"
        "            time.sleep(float(os.environ['PATH'].rpartition(':')[2]))\n"
        "            os.kill(os.getpid(), signal.SIGPROF)\n"
        "        return real(text, reason)\n"
        "    meaning.understand = understand\n"
    )
    # Of the environment the child is given little: how long it hangs is the last part of a path.
    forever, soon = (
        ("env", f"PYTHONPATH={tmp_path}", f"PATH={os.environ['PATH']}:{seconds}") for seconds in (3600, 1)
    )
    hanging = record("panic", "a", 1, 1, 0, SYSRQ, reason="hang")
    with closing(Store(tmp_path / "state")) as store:
        store.write([hanging])
    receiver = serve(prefix=forever)
    wait_until(lambda: _tries(tmp_path, hanging.id), "it is tried")
    receiver.stop(signal.SIGKILL)
    receiver = serve(prefix=forever)
    receiver.send(big["frames"])
    receiver.wait_for("record [0-9a-f]{12} panic")
    began = time.monotonic()
    assert receiver.stop() == 0 and time.monotonic() - began < 50
    receiver = serve(prefix=soon)
    receiver.wait_for(f"record {hanging.id} is not understood")
    receiver.stop()
    shown = cli("show", hanging.id).stdout
    assert "meaning:" in shown and "processor time" in shown


def _tries(tmp_path, record_id):
    with closing(sqlite3.connect(tmp_path / "state/panicast.db")) as db:
        return db.execute("SELECT tries FROM records WHERE id = ?", (record_id,)).fetchone()[0]


def test_the_counter_only_ever_grows(tmp_path, monkeypatch):
    with closing(Store(tmp_path)) as store, closing(Reader(tmp_path)) as reader:
        store.write([record("panic", "a", 1, 1, 0, SYSRQ)])
        first = reader.cursor()
        store.delete([entry.identity for entry in reader.select(Query())])
        assert reader.cursor() >= first
        monkeypatch.setattr("panicast_receiver.db.changes.time.time_ns", lambda: 5)
        store.write([record("panic", "a", 1, 2, 0, SYSRQ)])
        (entry,) = reader.changed_since(first, Query())
        assert entry.changed == reader.cursor() == first + 1


OLDER = "<4>[    1.0] WARNING: CPU: 0 PID: 1 at net/core/dev.c:7 my_send+0x1/0x2\n"


def named(state_dir):
    with closing(Reader(state_dir)) as reader:
        return {entry.summary["host"]: entry.summary for entry in reader.select(Query())}


def test_a_better_algorithm_names_anew_only_when_it_is_told_to(tmp_path, cli, monkeypatch):
    state = tmp_path / "state"
    with closing(Store(state)) as store:
        store.write([record("oops", host, 1, number, 0, OLDER) for number, host in enumerate(("a", "b"))])
    algorithm = importlib.import_module("panicast_receiver.meaning.understand")
    monkeypatch.setattr(algorithm, "VERSION", 1)
    monkeypatch.setattr(algorithm, "digest", lambda name: "0123456789ab")
    explain(state)
    monkeypatch.undo()
    before = named(state)
    assert before["a"]["signature"] == "0123456789ab" and before["a"]["crash"]["version"] == 1

    told = cli("regroup", "--dry-run")
    assert told.returncode == 0 and named(state) == before
    assert "2 records would change, 0 unchanged" in told.stderr
    now = understand(OLDER)
    moved = f"2 records: 0123456789ab {before['a']['title']} -> {now.signature} {now.title}\n"
    assert told.stdout == moved

    with closing(Reader(state)) as reader:
        cursor = reader.cursor()
    assert cli("regroup").stdout == moved
    after = named(state)
    assert {one["signature"] for one in after.values()} == {now.signature}
    assert after["a"]["crash"]["version"] == now.version
    # Nobody is told again, and there is nothing left to do.
    with closing(Reader(state)) as reader:
        assert reader.changed_since(cursor, Query()) == []
    again = cli("regroup")
    assert (again.stdout, again.returncode) == ("", 0) and "0 records changed, 0 unchanged" in again.stderr


def test_what_was_not_looked_at_is_given_back_and_what_was_is_kept(tmp_path, monkeypatch):
    explainer, ended = Explainer(tmp_path / "panicast.db"), []

    def meaning(task):
        if task == "second":
            raise Stopped
        return "found"

    monkeypatch.setattr(explainer, "_meaning", meaning)
    meanings = SimpleNamespace(end=lambda found, rest=(): ended.append((found, rest)))
    with pytest.raises(Stopped):
        explainer._look_at(meanings, ["first", "second", "third"])
    assert ended == [([("first", "found")], ["second", "third"])]
