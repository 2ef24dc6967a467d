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
from itertools import cycle, islice
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
from panicast_receiver.service import explainer

SIZES = (10_000, 100_000, 1_000_000)
#: Records a second that come in meanwhile; times that each question is asked.
INCOMING, TIMES = 100, 20
_BATCH = 500
#: Records that are stored to measure it, so few that a database that was empty is still small; and so many
#: in one transaction.
_STORED, _AT_ONCE = 5000, 50
_DAY_NS = 86400 * 1_000_000_000
#: Runs the receiver's command and says last, on stderr, how many KiB it took at most. Whoever waits for a
#: process is told what its parent took, if that was more.
MEASURED = """
import sys
from panicast_receiver.cli.main import main
code = main()
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


class Question(NamedTuple):
    """Something that is asked of the page, and how long the answer may take, in milliseconds."""

    what: str
    path: str
    goal_ms: float


class Answer(NamedTuple):
    """How long it took: the median and the worst of all, in the goal's unit; no goal is 0."""

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
    """Measures, and writes docs/benchmarks-store.md with its plot after each size: the largest takes
    longer than all others together, and may be cut off."""
    found = list[Sized]()
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="panicast-store-") as folder:
            state = Path(folder)
            with progress.step(f"{size} records"):
                _fill(state, size)
            with progress.step(f"questions about {size} records"):
                found.append(_measure(state, size))
            for answer in found[-1].answers:
                took = f"{figure(answer.median):>10} {figure(answer.worst):>10}"
                print(f"{answer.what:<55} {took} {answer.unit}")
        _write(found)


def _write(found: Sequence[Sized]) -> None:
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
        figure(one.median) + (f" ({figure(one.worst)})" if one.worst != one.median else "") for one in answers
    ]
    what = last.what if share else f"{last.what}, {last.unit}"
    return [what, *figures, f"{'at least' if share else 'at most'} {last.goal:g}" if last.goal else ""]


def figure(number: float) -> str:
    """Returns a number as the pages show it: three digits, and no powers of ten."""
    return f"{number:.3g}" if number < 999.5 else f"{number:,.0f}"


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


def _name(meanings: Meanings, known: dict[bytes, Meaning], most: int = _BATCH) -> None:
    while tasks := meanings.begin(most):
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
    stored = _stored(state, size)
    about = questions(state)
    with services.running(state) as (page, port), _incoming(port, size):
        answers = [asked(page, question) for question in about]
        answers.append(_healthz(page))
    return Sized(size, mib, [*answers, *_listed(state), _expired(state, size), *stored])


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
    argv = [sys.executable, "-c", MEASURED, "list", "--json", "--state-dir", str(state)]
    began = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise UserError("bench store: `list --json` does not work", done.stderr)
    peak = int(done.stderr.split()[-1]) / 1024
    return [
        Answer("`list --json` of all", took, took, 60, "s"),
        Answer("`list --json` of all, memory", peak, peak, 100, "MiB"),
    ]


def _expired(state: Path, size: int) -> Answer:
    """Measures how long others wait for each step of deleting records, up to 10,000.

    The service does a step a second while nothing comes in. Its explainer looks every few seconds whether
    it has something to do, and it need not be waited for.
    """
    with closing(Store(state, exclusive=False)) as store, closing(Meanings(state / schema.FILE_NAME)) as idle:
        kept, now_ns = Retention(days=fleet.DAYS * (1 - min(0.5, 10_000 / size))), time.time_ns()
        took, deleted = [], 0
        while deleted < 10_000:
            began = time.perf_counter()
            rows = store.expire(kept, now_ns)
            took.append(1000 * (time.perf_counter() - began))
            deleted += rows
            if not rows:
                break
            if not len(took) % explainer.LOOK_S:
                while idle.merge():
                    pass
                idle.fold()
    return Answer("a step of deleting what is too old", statistics.median(took), max(took), 50)


class _Side:
    """A database that records are stored into, and the CPU seconds that storing and naming them take."""

    def __init__(self, state: Path) -> None:
        self.store = Store(state, exclusive=False)
        self._meanings = Meanings(state / schema.FILE_NAME)
        self.storing = self.naming = 0.0

    def take(self, some: Sequence[fleet.Crash]) -> None:
        """Stores records, and then what they mean."""
        began = time.thread_time()
        self.store.write([one.record for one in some])
        stored = time.thread_time()
        _name(self._meanings, {one.record.identity: one.meaning for one in some}, explainer.BATCH)
        self.storing += stored - began
        self.naming += time.thread_time() - stored

    def close(self) -> None:
        """Closes the database."""
        self._meanings.close()
        self.store.close()


def _stored(state: Path, size: int) -> list[Answer]:
    """Measures storing here, as a share of storing into an empty database, in turns: the CPU time of the
    thread, which does not depend on what else the machine does.

    Storing is what the committer does, and naming what the explainer does. The empty database has heard of
    the same hosts: each says hello before it crashes.
    """
    boots = _boots(size)
    with tempfile.TemporaryDirectory(prefix="panicast-store-") as folder:
        full, empty = _Side(state), _Side(Path(folder))
        with closing(full), closing(empty):
            hellos = fleet.Fleet(time.time_ns() - fleet.DAYS * _DAY_NS, size).hellos(len(boots) * fleet.HOSTS)
            newest = islice(hellos, (len(boots) - 1) * fleet.HOSTS, None)
            while greeting := list(islice(newest, _BATCH)):
                empty.store.write(greeting)
            # As they come: INCOMING a second, from now on.
            a_year = fleet.DAYS * 86400 * INCOMING
            made = fleet.Fleet(time.time_ns(), a_year).crashes(min(size, _STORED), boots[-1:])
            for sides in cycle(((full, empty), (empty, full))):
                if not (some := list(islice(made, _AT_ONCE))):
                    break
                for side in sides:
                    side.take(some)
    storing = empty.storing / full.storing
    both = (empty.storing + empty.naming) / (full.storing + full.naming)
    return [
        Answer("storing, as a share of an empty database's", storing, storing, 0.9, "at least"),
        Answer("storing and naming, as a share of an empty database's", both, both, 0, "at least"),
    ]


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
