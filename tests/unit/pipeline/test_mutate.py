# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mistakes ./inv mutate makes, where it looks for tests, and what its score is made of."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from panicast_build import mutate
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run


def test_what_was_not_tried_does_not_count() -> None:
    codes = {"a.x_f__mutmut_1": 1, "a.x_f__mutmut_2": 0, "a.x_f__mutmut_3": None, "a.x_g__mutmut_1": 33}
    found = mutate.score({**codes, "a.x_g__mutmut_2": -24, "a.x_g__mutmut_3": 2, "a.x_g__mutmut_4": 37})
    # A test fails, or takes too long, or mypy refuses it; of what survives none does, or none comes there.
    assert found == mutate.Score(3, 1, 5, ("a.x_f__mutmut_2", "a.x_g__mutmut_1"))
    assert mutate.total([found, mutate.Score(5, 0, 5, ())])[:3] == (8, 1, 10)


def test_where_there_was_no_time_to_try_anything_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutate, "LOGS", tmp_path)
    monkeypatch.setattr(mutate, "PURE", ("one/room", "other/room", "kmod"))
    found = {"one/room": mutate.Score(3, 1, 4, ("a.x_f__mutmut_1",)), "other/room": mutate.Score(0, 0, 0, ())}
    monkeypatch.setattr(mutate, "_of_python", lambda room, until, log: found[room])
    monkeypatch.setattr(mutate, "_of_c", lambda until: mutate.Score(1, 0, 1, ()))
    mutate.run("", 5)
    said = capsys.readouterr()
    assert "nothing was tried in other/room: there was no time left, give more --minutes" in said.err
    assert "one/room: a.x_f__mutmut_1" in said.out
    rows = [line.split() for line in said.out.splitlines() if "room" in line or "all" in line]
    assert ["one/room", "4", "3", "1", "75", "%"] in rows and ["other/room", "0", "0", "0", "-"] in rows
    assert ["all", "5", "4", "1", "80", "%"] in rows
    mutate.run("one/room/", 5)
    assert "nothing was tried" not in capsys.readouterr().err


def test_each_mistake_is_in_one_part() -> None:
    assert sorted("".join(mutate.PARTS)) == list("0123456789")


def test_only_lines_with_messages_are_left_out() -> None:
    def left_out(line: str) -> bool:
        return any(re.search(pattern, line) for pattern in mutate.MESSAGES)

    assert left_out('    raise UserError(f"{room}: no room")') and left_out(
        '    logger.info("%d lost", lost)'
    )
    assert left_out('        progress.say("done")') and left_out('print("done")')
    assert not left_out("    if raise_limit(size) > 3:") and not left_out('    told = say("done")')


def test_a_room_and_a_file_of_it_have_the_same_tests() -> None:
    room = "receiver/src/panicast_receiver/wire"
    found = mutate.tests_of(room)
    assert found[0] == "tests/unit/receiver/wire" and len(found) > 1
    assert mutate.tests_of(f"{room}/v1.py") == found
    assert mutate.tests_of("packaging/panicast_build/core")[0] == "tests/unit/pipeline/core"


@pytest.mark.parametrize("room", ["receiver/src/panicast_receiver/nothing", "docs", "receiver"])
def test_what_is_no_room_is_answered_with_those_that_are(room: str) -> None:
    with pytest.raises(UserError, match="no room that has tests"):
        mutate.tests_of(room)


def test_all_that_is_mutated_is_there_and_has_tests() -> None:
    for room in mutate.PURE:
        assert (ROOT / room).is_dir(), room
        if room != "kmod":
            assert mutate.tests_of(room), room
    beside = {"receiver": mutate.PROGRAMS["receiver/src/panicast_receiver"]}
    beside["pipeline"] = mutate.PROGRAMS["packaging/panicast_build"]
    for name, places in mutate.ALSO.items():
        for place in places:
            assert any((ROOT / folder / place).exists() for folder in beside.values()), (name, place)


def test_each_chosen_mistake_is_one_of_the_code_as_it_is() -> None:
    chosen = mutate.chosen()
    assert len(chosen) >= 36 and {one.file for one in chosen} == set(mutate.C_TESTS)
    assert len(set(chosen)) == len(chosen) and all(one.old != one.new for one in chosen)


def test_the_copy_is_as_mutmut_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "CACHE", tmp_path)
    with mutate.copied("receiver/src/panicast_receiver/wire") as folder:
        sources = folder / mutate.SOURCES
        assert {path.name for path in sources.iterdir()} == {"panicast_receiver", "panicast_build"}
        text = (folder / "pyproject.toml").read_text()
        assert f'pythonpath = ["{mutate.SOURCES}"]' in text
        wanted = tomllib.loads(text)["tool"]["mutmut"]
        assert wanted["only_mutate"] == ["src/panicast_receiver/wire/*.py"]
        assert wanted["do_not_mutate_patterns"] == list(mutate.MESSAGES)
        # mypy's settings are those of the program, and there.
        command = wanted["type_check_command"]
        assert (folder / command[command.index("--config-file") + 1]).is_file() and "mypy" in command
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_pure_are_tried_only_by_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutate, "CACHE", tmp_path)
    room = "receiver/src/panicast_receiver/meaning"
    for path, left_out in ((room, mutate.IMPURE), (f"{room}/child.py", ("meaning/process.py",))):
        with mutate.copied(path) as folder:
            wanted = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mutmut"]
        assert wanted["do_not_mutate"] == [f"*/{name}" for name in left_out]
    assert all(((ROOT / room).parent / name).is_file() for name in mutate.IMPURE)


def test_the_quickest_tests_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "CACHE", tmp_path / "cache")
    with mutate.copied("receiver/src/panicast_receiver/wire") as folder:
        told = (folder / mutate.ORDERED).read_text()
    (tmp_path / "conftest.py").write_text(told)
    (tmp_path / "test_it.py").write_text(
        "def test_slow(): pass\ndef test_quick(): pass\ndef test_new(): pass\n"
    )
    seconds = {"test_it.py::test_slow": 2.0, "test_it.py::test_quick": 0.1}
    (tmp_path / "mutmut-stats.json").write_text(json.dumps({"duration_by_test": seconds}))
    listed = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--rootdir=.", "."]
    # Options of the run around it would change what is printed.
    found = run(listed, cwd=tmp_path, env={"PYTEST_ADDOPTS": ""}).output.splitlines()
    assert found[:3] == [f"test_it.py::test_{name}" for name in ("new", "quick", "slow")]


#: A program whose table is made while it is loaded, and its tests.
SMALL = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\n'
    '[tool.mutmut]\nsource_paths = ["src"]\npytest_add_cli_args_test_selection = ["tests"]\n'
    "use_git_change_detection = false\n",
    "src/small.py": "def squares(most):\n    return {n: n * n for n in range(most)}\n\n\n"
    "TABLE = squares(4)\n\n\ndef least(one, other):\n    return one if one < other else other\n",
    "tests/test_small.py": "import small\n\ndef test_table():\n    assert small.TABLE[3] == 9\n\n"
    "def test_least():\n    assert small.least(2, 3) == small.least(3, 2) == 2\n",
}


def tried(folder: Path, program: dict[str, str]) -> dict[str, int | None]:
    """mutmut's exit codes by mutant of a small program."""
    for name, text in program.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    log = folder / "log"
    assert mutate._mutmut(folder, "*", 300, log), log.read_text()
    return mutate._codes(folder)


def test_what_runs_while_modules_are_loaded_is_tried_too(tmp_path: Path) -> None:
    codes = tried(tmp_path, SMALL)
    assert {name.split("__")[0] for name in codes} == {"small.x_squares", "small.x_least"}
    # Of two that are the same it does not matter which is the least.
    (survivor,) = mutate.score(codes).survivors
    assert survivor.startswith("small.x_least") and None not in codes.values()


#: Strings, and how many mistakes mutmut makes of each.
STRINGS = {
    # Of statements and parts of them, only what makes other words of them.
    "SELECT count(*) FROM hosts": 1,
    "AND sealed = ?": 1,
    # A value has a case.
    "SELECT 1 FROM groups WHERE state = 'Open'": 3,
    "UPDATE groups SET state = 'open'": 2,
    # What is no SQL has one, too.
    "Open": 3,
    "no update": 2,
}


def test_the_case_of_sql_is_no_mistake(tmp_path: Path) -> None:
    said = [f"def said_{nr}():\n    return {string!r}\n" for nr, string in enumerate(STRINGS)]
    right = [f"def test_{nr}():\n    assert small.said_{nr}() == {one!r}\n" for nr, one in enumerate(STRINGS)]
    tests = {"tests/test_small.py": "\n".join(["import small\n", *right])}
    codes = tried(tmp_path, {**SMALL, "src/small.py": "\n".join(said), **tests})
    made = Counter(name.partition("__")[0] for name in codes)
    assert made == {f"small.x_said_{nr}": number for nr, number in enumerate(STRINGS.values())}
    assert set(codes.values()) == {1}
