# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench store: measures how long the receiver's database answers, at three sizes, while the
service receives records."""

from __future__ import annotations

import http.client
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pygal
from pygal.style import CleanStyle

from panicast_build.bench import fleet, services
from panicast_build.core import document, files, progress
from panicast_build.core.errors import UserError
from panicast_receiver.db import schema
from panicast_receiver.db.engine import Place
from panicast_receiver.db.meanings import Meanings
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.meaning import Meaning

SIZES = (10_000, 100_000, 1_000_000)
#: Records a second that come in meanwhile; times that each question is asked.
INCOMING, TIMES = 100, 20
_BATCH = 500
_DAY_NS = 86400 * 1_000_000_000


class Question(NamedTuple):
    """Something that is asked of the page, and how long the answer may take, in milliseconds."""

    what: str
    path: str
    goal_ms: float


class Answer(NamedTuple):
    """How long it took: the median and the worst of all, in the goal's unit."""

    what: str
    median: float
    worst: float
    goal: float
    unit: str = "ms"


class Sized(NamedTuple):
    """All that was measured at one size."""

    records: int
    mib: float
    answers: Sequence[Answer]


def run(sizes: Sequence[int] = SIZES) -> None:
    """Measures, and writes docs/benchmarks-store.md with its plot."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="panicast-store-") as folder:
            state = Path(folder)
            with progress.step(f"{size} records"):
                _fill(state, size)
            with progress.step(f"questions about {size} records"):
                found.append(_measure(state, size))
            for answer in found[-1].answers:
                print(f"{answer.what:<50} {answer.median:>10.1f} {answer.worst:>10.1f} {answer.unit}")
    _plot(found)
    document.write(
        "benchmarks-store.md",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        cpus=os.cpu_count(),
        load=os.getloadavg()[1],
        python=sys.version.split()[0],
        sqlite=sqlite3.sqlite_version,
        found=found,
        rows=[_row([one.answers[number] for one in found]) for number in range(len(found[0].answers))],
        hosts=fleet.HOSTS,
        groups=fleet.GROUPS,
        boots=fleet.HOSTS * fleet.BOOTS_PER_HOST,
        incoming=INCOMING,
        times=TIMES,
    )


def _row(answers: Sequence[Answer]) -> list[str]:
    """Returns a row of the page's table, from the same question at each size."""
    last = answers[-1]
    share = last.unit == "at least"
    figures = [
        f"{one.median:.3g}" + (f" ({one.worst:.3g})" if one.worst != one.median else "") for one in answers
    ]
    what = last.what if share else f"{last.what}, {last.unit}"
    return [what, *figures, f"{'at least' if share else 'at most'} {last.goal:g}"]


def _fill(state: Path, size: int) -> None:
    """Writes the records as the service does: in batches, and then what they mean."""
    made = fleet.Fleet(time.time_ns() - fleet.DAYS * _DAY_NS, size)
    store = Store(state)
    # Nobody's disk is measured here.
    store._db.execute("PRAGMA synchronous = OFF")
    meanings = Meanings(state / schema.FILE_NAME)
    meanings._db.execute("PRAGMA synchronous = OFF")
    try:
        boots = _boots(size)
        hellos = made.hellos(len(boots) * fleet.HOSTS)
        while batch := list(islice(hellos, _BATCH)):
            store.write(batch)
            _name(meanings, {})
        crashes = made.crashes(size, boots)
        while some := list(islice(crashes, _BATCH)):
            store.write([one.record for one in some])
            _name(meanings, {one.record.identity: one.meaning for one in some})
    finally:
        meanings.close()
        store.close()


def _boots(size: int) -> range:
    """Returns the boots that each host has had."""
    return range(max(1, min(size // fleet.HOSTS, fleet.BOOTS_PER_HOST)))


def name(state: Path, known: dict[bytes, Meaning]) -> None:
    """Stores what the records of a folder mean, by their identities."""
    with closing(Meanings(state / schema.FILE_NAME)) as meanings:
        _name(meanings, known)


def _name(meanings: Meanings, known: dict[bytes, Meaning]) -> None:
    while tasks := meanings.begin(_BATCH):
        meanings.end([(task, known.get(task.identity, Meaning())) for task in tasks])


def questions(place: Place) -> list[Question]:
    """Returns what is asked of a page, about what its database has."""
    reader = Reader(place)
    with closing(reader):
        newest = reader.select(Query(limit=1))[0].summary
        group = reader.groups(Query(limit=1))[0]["signature"]
    host = quote(newest["host"])
    return [
        Question("the newest 50 records", "/", 20),
        Question("one host's records", f"/?host={host}", 20),
        Question("one record's page", f"/records/{newest['id']}", 20),
        Question("one group's records", f"/?group={group}", 20),
        Question("crashes of 7 days", "/groups?since=7d", 150),
        Question("crashes of all time", "/groups", 400),
        Question("search: a word that most records have", "/?search=kworker", 200),
        Question("search: three words", "/?search=nvme+PowerEdge+worker_thread", 200),
        Question("search: a symbol", "/?search=sym:nvme_step_0100", 200),
        Question("search: a phrase in a host's logs", f"/?search=%22new+device+found%22&host={host}", 200),
        Question("search: without a hit", "/?search=nothing+hasthisword", 200),
        Question("hosts, filtered", "/hosts?state=panicked&search=rack7", 100),
        Question("/metrics", "/metrics", 50),
    ]


def _measure(state: Path, size: int) -> Sized:
    mib = (state / schema.FILE_NAME).stat().st_size / (1 << 20)
    stored = _stored_per_second(state, size)
    about = questions(state)
    with services.running(state) as (page, port), _incoming(port, size):
        answers = [asked(page, question) for question in about]
        answers.append(_healthz(page))
    return Sized(size, mib, [*answers, *_listed(state), _expired(state, size), stored])


@contextmanager
def _incoming(port: int, size: int) -> Iterator[None]:
    """Sends records to the receiver, INCOMING a second, until the end of the block."""
    ended = threading.Event()
    made = fleet.Fleet(time.time_ns(), size)

    def send() -> None:
        event, due = 0, time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not ended.is_set():
                event += 1
                for frame in made.frames(event % 50, event % fleet.HOSTS, event, time.time_ns()):
                    sock.sendto(frame, ("127.0.0.1", port))
                due += 1 / INCOMING
                ended.wait(max(0.0, due - time.monotonic()))

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield
        finally:
            ended.set()
            sending.result()


def _get(port: int, path: str, statuses: Sequence[int] = (200,)) -> float:
    """Returns the milliseconds of an answer. Raises UserError if it has another status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=services.PATIENCE_S)
    with closing(connection):
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        took = 1000 * (time.perf_counter() - began)
    if answer.status not in statuses:
        raise UserError(f"bench store: {path} answers {answer.status}: {body[:300]!r}")
    return took


def asked(page: int, question: Question) -> Answer:
    """Returns how long the answers to a question take."""
    took = [_get(page, question.path) for _ in range(TIMES)]
    return Answer(question.what, statistics.median(took), max(took), question.goal_ms)


def _healthz(page: int) -> Answer:
    """Asks /healthz beside eight searches at once, again and again."""
    ended = threading.Event()

    def search() -> None:
        while not ended.is_set():
            # 503: it would have taken too long beside the others.
            _get(page, "/groups?search=kworker+nvme", (200, 503))

    with ThreadPoolExecutor(8) as pool:
        searches = [pool.submit(search) for _ in range(8)]
        try:
            time.sleep(1)
            took = []
            for _ in range(TIMES):
                took.append(_get(page, "/healthz"))
                time.sleep(0.1)
        finally:
            ended.set()
        for done in searches:
            done.result()
    return Answer("/healthz beside eight searches", statistics.median(took), max(took), 50)


def _listed(state: Path) -> list[Answer]:
    """Measures the seconds and the memory of `list --json`."""
    argv = [sys.executable, "-m", "panicast_receiver", "list", "--json", "--state-dir", str(state)]
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    peak = used.ru_maxrss / 1024
    return [
        Answer("`list --json` of all", took, took, 60, "s"),
        Answer("`list --json` of all, memory", peak, peak, 100, "MiB"),
    ]


def _expired(state: Path, size: int) -> Answer:
    """Measures how long others wait for each step of deleting records, up to 10,000."""
    store = Store(state, exclusive=False)
    with closing(store):
        oldest = time.time_ns() - fleet.DAYS * _DAY_NS
        kept = Retention(days=fleet.DAYS * (1 - min(0.5, 10_000 / size)))
        took, deleted = [], 0
        while deleted < 10_000:
            began = time.perf_counter()
            rows = store.expire(kept, oldest + fleet.DAYS * _DAY_NS)
            took.append(1000 * (time.perf_counter() - began))
            deleted += rows
            if not rows:
                break
    return Answer(f"a step of deleting {deleted} records", statistics.median(took), max(took), 50)


def _stored_per_second(state: Path, size: int) -> Answer:
    """Measures storing here, as a share of storing into an empty database, in turns."""
    with tempfile.TemporaryDirectory(prefix="panicast-store-") as folder:
        full, empty = Store(state, exclusive=False), Store(Path(folder))
        with closing(full), closing(empty):
            # As they come: INCOMING a second, from now on.
            a_year = fleet.DAYS * 86400 * INCOMING
            made = fleet.Fleet(time.time_ns(), a_year).crashes(10_000, _boots(size)[-1:])
            took = {id(full): 0.0, id(empty): 0.0}
            while some := [one.record for one in islice(made, 50)]:
                for store in (full, empty):
                    began = time.perf_counter()
                    store.write(some)
                    took[id(store)] += time.perf_counter() - began
    share = took[id(empty)] / took[id(full)]
    return Answer("storing, as a share of an empty database's", share, share, 0.9, "at least")


def _plot(found: Sequence[Sized]) -> None:
    """Draws docs/benchmarks-store.svg: time over size."""
    chart = pygal.XY(
        title="Milliseconds of an answer (median) over records",
        style=CleanStyle(background="white"),
        logarithmic=True,
        stroke=True,
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        x_title="records",
        xrange=(found[0].records, found[-1].records),
        js=[],
    )
    for number, answer in enumerate(found[0].answers):
        if answer.unit == "ms":
            chart.add(answer.what, [(one.records, max(0.1, one.answers[number].median)) for one in found])
    files.write(document.DOCS / "benchmarks-store.svg", chart.render(is_unicode=True) + "\n")
