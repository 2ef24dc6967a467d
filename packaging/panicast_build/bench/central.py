# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench central: measures how long the page of the central store answers, at two sizes, and how many
pages of PostgreSQL's tables and indexes each answer takes: that does not depend on the machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2

from panicast_build.bench import fleet, services, store
from panicast_build.core import document, progress, tools
from panicast_build.core.errors import UserError
from panicast_receiver.central.engine import Central
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.sinks import Notice
from panicast_receiver.sinks.postgresql import PostgreSQL
from panicast_receiver.sinks.telling import notice_of
from panicast_receiver.text import iso_time

SIZES = (10_000, 100_000)
#: PostgreSQL refuses to be run by root.
_USER = "postgres"
_BATCH = 250
_DAY_NS = 86400 * 1_000_000_000
#: Seconds after which a session that is idle has told what it has read: PostgreSQL's own ten, and one more.
_TOLD_S = 11.0
_READ = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = 'panicast'"
_SIZE = "SELECT pg_database_size('panicast')"


class Answer(NamedTuple):
    """What an answer takes: milliseconds, and pages of 8 KiB that PostgreSQL has looked at."""

    what: str
    median: float
    worst: float
    pages: float


class Sized(NamedTuple):
    """All that was measured at one size; ``stored`` is records a second."""

    records: int
    mib: float
    stored: float
    answers: Sequence[Answer]


def run(sizes: Sequence[int] = SIZES) -> None:
    """Measures, and writes docs/benchmarks-central.md."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="panicast-central-") as folder, _server(Path(folder)) as dsn:
            with progress.step(f"{size} records"):
                stored = _fill(Path(folder), dsn, size)
            with progress.step(f"questions about {size} records"):
                found.append(_measure(Path(folder), dsn, size, stored))
            for answer in found[-1].answers:
                print(f"{answer.what:<50} {answer.median:>10.1f} ms {answer.pages:>10.0f} pages")
    document.write(
        "benchmarks-central.md",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        cpus=os.cpu_count(),
        load=os.getloadavg()[1],
        server=subprocess.check_output([str(tools.find("postgres")), "--version"], text=True).split()[2],
        found=found,
        rows=[[one.answers[number] for one in found] for number in range(len(found[0].answers))],
        hosts=fleet.HOSTS,
        groups=fleet.GROUPS,
        times=store.TIMES,
        figure=store.figure,
    )


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Yields the connection string of a PostgreSQL on loopback, with its defaults."""
    tools.need("initdb", "postgres")
    home, user = folder / "postgres", _USER if os.geteuid() == 0 else None
    home.mkdir()
    folder.chmod(0o755)
    if user:
        shutil.chown(home, user)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    common: dict[str, Any] = {"cwd": home, "user": user, "stdout": subprocess.DEVNULL}
    data = str(home / "data")
    subprocess.run(
        [str(tools.find("initdb")), "--pgdata", data, "--username=panicast", "--auth=trust", "--no-sync"],
        check=True,
        **common,
    )
    flags = ("-c", f"port={port}", "-c", "unix_socket_directories=", "-c", "fsync=off")
    process = subprocess.Popen(
        [str(tools.find("postgres")), "-D", data, *flags], stderr=subprocess.DEVNULL, **common
    )
    dsn = f"host=127.0.0.1 port={port} user=panicast"
    try:
        _made(dsn)
        yield f"{dsn} dbname=panicast"
    finally:
        process.terminate()
        process.wait()


def _made(dsn: str) -> None:
    """Makes the database as soon as the server answers."""
    deadline = time.monotonic() + services.PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(psycopg2.OperationalError):
            _ask(f"{dsn} dbname=postgres", "CREATE DATABASE panicast")
            return
        time.sleep(0.1)
    raise UserError("bench central: PostgreSQL did not start")


def _ask(dsn: str, sql: str) -> Any:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None


def _fill(folder: Path, dsn: str, size: int) -> float:
    """Writes the records by the sink, in batches. Returns how many of them a second PostgreSQL took."""
    made = fleet.Fleet(time.time_ns() - fleet.DAYS * _DAY_NS, size)
    crashes, sink, took = made.crashes(size, range(1)), PostgreSQL(dsn), 0.0
    like = _told(folder, next(fleet.Fleet(time.time_ns(), 1).crashes(1, range(1))))
    while some := list(islice(crashes, _BATCH)):
        notices = [Notice({**like, **_differing(one)}, "") for one in some]
        began = time.perf_counter()
        sink.deliver(notices)
        took += time.perf_counter() - began
    _ask(dsn, "VACUUM ANALYZE")
    return size / took


def _told(folder: Path, crash: fleet.Crash) -> dict[str, Any]:
    """Returns what a receiver that keeps this crash tells its sinks."""
    with closing(Store(folder)) as own:
        own.write([crash.record])
    store.name(folder, {crash.record.identity: crash.meaning})
    with closing(Reader(folder)) as reader:
        return notice_of(reader, reader.select(Query())[0]).record


def _differing(crash: fleet.Crash) -> dict[str, Any]:
    """Returns in what it tells of this one something else."""
    record, meaning = crash
    return {
        "id": record.id,
        "identity": record.identity.hex(),
        "host": record.host,
        "boot_id": (record.boot_id or b"").hex(),
        "event": record.event,
        "time": iso_time(record.time_ns),
        "received": iso_time(record.received_ns),
        "bytes": record.text_length,
        "release": record.meta["release"],
        "title": meaning.title,
        "signature": meaning.signature,
        "crash": asdict(meaning),
        "meta": record.meta,
        "text": record.marked_text.decode(),
    }


def _measure(folder: Path, dsn: str, size: int, stored: float) -> Sized:
    with services.page(folder, ("--postgresql", dsn)) as port:
        answers = []
        # Whoever filled it, and the page's first look, are counted before the first question.
        time.sleep(_TOLD_S)
        for question in store.questions(Central(dsn)):
            before = _ask(dsn, _READ)
            answer = store.asked(port, question)
            time.sleep(_TOLD_S)
            pages = (_ask(dsn, _READ) - before) / store.TIMES
            answers.append(Answer(answer.what, answer.median, answer.worst, pages))
    return Sized(size, _ask(dsn, _SIZE) / (1 << 20), stored, answers)
