# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's week has the stories that it tells of; the demo needs no right of root and leaves nothing."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from panicast_build.core.paths import ROOT
from panicast_build.demo import task, week
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.query import Query
from panicast_receiver.db.reader import Reader

from ....waiting import PATIENCE_S, wait_until

AGES = Ages(900.0, 90.0)


@pytest.fixture(scope="module")
def end_ns() -> int:
    """When the week ends."""
    return time.time_ns()


@pytest.fixture(scope="module")
def written(end_ns: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader of the week's database."""
    state = tmp_path_factory.mktemp("week")
    week.write(state, week.Week(end_ns))
    with closing(Reader(state)) as reader:
        yield reader


def test_the_crash_that_was_resolved_is_back(written: Reader) -> None:
    (group,) = (one for one in written.groups(Query()) if "nvme" in one["title"])
    about = written.group(group["signature"])
    assert about["status"]["state"] == "regressed"
    # Newest first; somebody had resolved it before it came back.
    assert [one["action"] for one in about["changes"]] == ["regressed", "link", "resolve", "acknowledge"]
    resolved = next(one["at"] for one in about["changes"] if one["action"] == "resolve")
    assert about["first"] < resolved < about["last"]


def test_a_host_flaps_and_a_rack_is_dark(written: Reader, end_ns: int) -> None:
    panics = written.select(Query(host=week.name(week.FLAPS), type="panic"))
    assert len(panics) > 5
    states = {host["host"]: host["state"] for host in written.hosts(AGES, end_ns)}
    dark = {week.name(host) for host in range(week.HOSTS) if host % week.RACKS == week.DARK}
    assert {host for host, state in states.items() if state == "silent"} == dark
    assert "panicked" in states.values() and len(states) == week.HOSTS


def test_each_crash_is_named(written: Reader) -> None:
    titles = {one["title"] for one in written.groups(Query())}
    assert len(titles) == len({death.crash for death in week.DEATHS})


def test_what_comes_later_is_of_hosts_that_have_power() -> None:
    made = week.Week(time.time_ns())
    made.records()
    coming = task.what_comes(made)
    seen = [next(coming) for _ in range(500)]
    assert seen == sorted(seen, key=lambda due: due.at)
    assert {due.host for due in seen} == set(made.alive())
    assert {due.kind for due in seen} == {"hello", *task.LIVE}


@contextmanager
def demo(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The demo, whose temporary files are in a folder, without capabilities, and its port."""
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    # A shell lets what it runs in the background ignore Ctrl-C; children inherit that.
    argv = [
        "env",
        "--default-signal=INT",
        *drop,
        sys.executable,
        "-m",
        "invoke",
        "--search-root",
        ROOT,
        "demo",
    ]
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            argv,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT / "packaging")},
            # A group of its own, as on a terminal.
            start_new_session=True,
        )
        try:

            def address() -> re.Match[str] | None:
                text = (folder / "said").read_text()
                assert process.poll() is None, text
                return re.search(r"http://127\.0\.0\.1:(\d+)/", text)

            found = wait_until(address, "the demo prints its address")
            assert found
            yield process, int(found[1])
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_runs_without_root_and_leaves_nothing(number: int, code: int, tmp_path: Path) -> None:
    with demo(tmp_path) as (process, port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
            connection.request("GET", "/groups")
            page = connection.getresponse().read().decode()
        assert "nvme_unmap_data" in page and "regressed" in page
        os.killpg(process.pid, number)
        assert process.wait(PATIENCE_S) == code
        assert [path.name for path in tmp_path.iterdir()] == ["said"]
        # Nobody of the group is left, but for the dead whom somebody has yet to look at.
        wait_until(lambda: not exists(process.pid), "the group is gone")


def exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
