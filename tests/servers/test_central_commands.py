# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands do that list records of the central store, where it is large or away; what else they do:
test_both.py."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from threading import Thread

import pytest

from panicast_build.bench.store import MEASURED
from panicast_receiver.central.engine import Central
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import UsageError
from panicast_receiver.sinks.postgresql import PostgreSQL

from ..unit.receiver.conftest import explain
from ..unit.receiver.db.test_fleet import record
from ..unit.receiver.meaning.test_crash import OOPS
from .conftest import PATIENCE_S, wait_until
from .test_central_hosts import tell

#: Copies of the first record, each with a key and a place of its own.
COPY = """
INSERT INTO panicast.records
SELECT copy.* FROM panicast.records AS one, generate_series(1, {}) AS n,
    jsonb_populate_record(one, jsonb_build_object(
        'identity', '\\x' || lpad(to_hex(n), 40, '0'), 'id', lpad(to_hex(n), 12, '0'),
        'number', one.number + n
    )) AS copy
"""
COPIES = 15_000


def keep(folder, *records) -> None:
    """Have a receiver store them."""
    with closing(Store(folder)) as store:
        store.write(records)
    explain(folder)


def test_all_records_are_printed_in_little_memory(postgres, tmp_path) -> None:
    keep(tmp_path, record("panic", "a", 1, 1, 0, OOPS))
    tell(tmp_path, postgres.dsn)
    postgres.ask(COPY.format(COPIES))
    argv = [sys.executable, "-c", MEASURED, "list", "--json", "--postgresql", postgres.dsn]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ids = [json.loads(line.rstrip(",\n"))["id"] for line in process.stdout if line[0] == "{"]
        (kib,) = process.stderr.read().split()
    assert len(ids) == len(set(ids)) == COPIES + 1 and ids[1:] == sorted(ids[1:])
    assert int(kib) < 100 * 1024


def test_follow_goes_on_when_the_server_is_back(postgres, tmp_path) -> None:
    keep(tmp_path, record("panic", "a", 1, 1, 0, OOPS))
    tell(tmp_path, postgres.dsn)
    argv = [sys.executable, "-u", "-m", "panicast_receiver", "follow", "--json", "--postgresql", postgres.dsn]
    told, said, events = [], [], iter(range(2, 1000))

    def store() -> None:
        keep(tmp_path, record("panic", "a", 1, next(events), 100, OOPS))
        tell(tmp_path, postgres.dsn)

    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        threads = [
            Thread(target=lambda: told.extend(map(json.loads, process.stdout or ()))),
            Thread(target=lambda: said.extend(process.stderr or ())),
        ]
        try:
            for thread in threads:
                thread.start()
            # Nothing tells when it has begun.
            wait_until(lambda: store() or told, "a record shows")
            postgres.kill(signal.SIGQUIT)
            wait_until(lambda: said, "it says that the server is away")
            postgres.start()
            store()
            wanted = next(events) - 1
            wait_until(lambda: told[-1]["event"] == wanted, "what came since shows")
        finally:
            process.kill()
            for thread in threads:
                thread.join(PATIENCE_S)
    assert len(said) == 1 and "the central store does not answer" in said[0]
    shown = [one["event"] for one in told]
    assert shown == list(range(shown[0], wanted + 1))


def test_there_is_no_hello_to_list(postgres, cli) -> None:
    PostgreSQL(postgres.dsn).hear([])
    with (
        closing(Reader(Central(postgres.dsn))) as reader,
        pytest.raises(UsageError, match="the list of hosts shows"),
    ):
        reader.select(Query(type="hello"))
    done = cli("list", "--type", "bye", "--postgresql", postgres.dsn, state_dir=None)
    assert done.returncode == 2 and "no records of type bye" in done.stderr
