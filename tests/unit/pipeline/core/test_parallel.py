# SPDX-License-Identifier: GPL-2.0-or-later
"""Many targets at once: one that fails stops no other, and is named at the end."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from panicast_build.core import parallel
from panicast_build.core.errors import BuildError, UserError

TASKS = """
import sys
import time
from pathlib import Path
from invoke import task

@task
def build(_, distro, key=""):
    print(f"building for {distro} with {key or 'nothing'}", flush=True)
    Path(f"began-{distro}").touch()
    if key == "meet":
        # Ends only if the other one has begun.
        while len(list(Path().glob("began-*"))) < 2:
            time.sleep(0.01)
    if distro == "bad":
        print("panicast: it is bad\\n          whole log: /nowhere", file=sys.stderr)
        sys.exit(1)
"""


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    monkeypatch.setattr(parallel, "ROOT", tmp_path)
    monkeypatch.setattr(parallel, "LOGS", tmp_path / "cache/logs")
    monkeypatch.chdir(tmp_path)


def test_one_that_fails_stops_no_other_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BuildError, match="1 of 3 targets failed: bad") as failed:
        parallel.run_all("build", ["bad", "good", "best"], [], jobs=2)
    assert failed.value.log.name == "build-bad.log"
    shown = capsys.readouterr().out
    assert "./inv build" in shown and str(failed.value.log) in shown and "build-good.log" not in shown
    rows = [line.split() for line in shown.splitlines()]
    assert {row[0]: row[1] for row in rows if len(row) > 2 and row[0] in ("bad", "good", "best")} == {
        "bad": "failed",
        "good": "ok",
        "best": "ok",
    }
    assert any("it is bad" in " ".join(row) for row in rows)


def test_all_well_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    parallel.run_all("build", ["good", "best"], [], jobs=0)
    shown = capsys.readouterr().out
    assert shown.count("ok") == 2
    for target in ("good", "best"):
        assert re.search(rf"^ *{target} +ok +\d+\.\d *$", shown, re.MULTILINE)


def test_each_gets_the_options_and_has_a_log(tmp_path: Path) -> None:
    (tmp_path / "cache/logs").mkdir(parents=True)
    (tmp_path / "cache/logs/build-good.log").write_text("from an earlier run\n")
    parallel.run_all("build", ["good", "best"], ["--key", "secret"], jobs=1)
    for target in ("good", "best"):
        first, *said = (tmp_path / f"cache/logs/build-{target}.log").read_text().splitlines()
        assert first.startswith("+ ") and said == [f"building for {target} with secret"]


@pytest.mark.parametrize("jobs", [2, 0])
def test_as_many_run_at_once_as_are_asked_for_or_as_there_are_cpus(
    jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    parallel.run_all("build", ["good", "best"], ["--key", "meet"], jobs=jobs)


def test_they_run_one_after_the_other_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    threads: set[int] = set()

    def one(task: str, target: str, options: Sequence[str]) -> parallel.TargetOutcome:
        threads.add(threading.get_ident())
        ran.append(f"{task} {target}")
        return parallel.TargetOutcome(target, target == "bad", 75.04, tmp_path / f"{target}.log")

    monkeypatch.setattr(parallel, "_one", one)
    with pytest.raises(BuildError, match="2 of 3 targets failed: bad, bad") as failed:
        parallel.run_all("build", ["good", "bad", "bad"], [], jobs=1)
    assert ran == ["build good", "build bad", "build bad"] and len(threads) == 1
    assert failed.value.log == tmp_path / "bad.log"


def test_why_one_failed_is_its_last_word(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("panicast: first\n" + "line\n" * 50 + "panicast: last\nat the end\n")
    assert parallel.TargetOutcome("a", True, 1.0, log).words == "last"
    assert parallel.TargetOutcome("a", False, 1.0, log).words == ""
    log.write_text("it says: panicast: nothing\n")
    assert parallel.TargetOutcome("a", True, 1.0, log).words == ""


def test_a_table_in_a_file_is_wide_enough_for_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    log = Path("/home/somebody/.cache/panicast/logs/package-opensuse-leap-15.6-for-a-long-name.log")
    parallel.show("package", [parallel.TargetOutcome("opensuse-leap-15.6", True, 75.04, log)])
    shown = capsys.readouterr().out
    assert str(log) in shown and " 75.0 " in shown
    assert all(head in shown for head in ("target", "result", "seconds", "why, and the whole log"))


def test_jobs_must_be_a_number_of_processes() -> None:
    with pytest.raises(UserError, match="--jobs must be 0 or more, not -1"):
        parallel.run_all("build", ["good"], [], jobs=-1)


def test_how_long_a_target_took_is_said_to_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([100.0, 112.345])
    monkeypatch.setattr(parallel.time, "monotonic", lambda: next(ticks, 112.345))
    monkeypatch.setattr(parallel.progress, "step", lambda *_, **__: contextlib.nullcontext())
    parallel.LOGS.mkdir(parents=True)
    outcome = parallel._one("build", "good", [])
    assert (outcome.target, outcome.failed, outcome.seconds) == ("good", False, 12.3)
