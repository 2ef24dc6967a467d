# SPDX-License-Identifier: GPL-2.0-or-later
"""What `./inv bench names` makes of folders of logs: logs of our own in the forms of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.bench import names
from panicast_build.core.errors import UserError

STUCK = "{}\nRIP: 0010:f+0x1/0x2\n"
WARNING = "WARNING: CPU: 1 PID: 7 at net/a.c:7 {}+0x1/0x2\n"


def corpus(folder: Path, logs: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in logs.items():
        (folder / name).write_text(text)
    return folder


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    rows = capsys.readouterr().out.splitlines()
    return {row[:62].strip(): row[62:].strip() for row in rows}


def test_what_is_right_and_what_is_wrong_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = corpus(
        tmp_path / "report",
        {
            "0": "TITLE: WARNING in one\nTYPE: WARNING\n\n" + WARNING.format("one"),
            "2": "TITLE: WARNING in one\n\n" + WARNING.format("one") + "\n\nREPORT:\n" + WARNING.format("x"),
            "4": "TITLE: WARNING in two\n\n" + WARNING.format("one"),
            "6": "TITLE: kernel panic: corrupted\nCORRUPTED: Y\n\n" + WARNING.format("three"),
            "8": "TITLE: unexpected kernel reboot\n\neth0: link is up\n",
            "12": "TITLE: BUG: soft lockup in f\nALT: stall in f\n\n"
            + STUCK.format("BUG: soft lockup - CPU#1 stuck"),
            "14": "TITLE: INFO: rcu stall in f\nALT: stall in f\n\n"
            + STUCK.format("INFO: rcu_sched self-detected stall on CPU"),
            "10": "\neth0: link is up\n",
        },
    )
    names.run(str(folder), "syzkaller")
    found = told(capsys)
    assert found["the function of the title in ours"] == "4 of 5"
    assert found["any title at all"] == "5 of 6"
    assert found["pairs of logs with one title in one group"] == "1 of 1"
    assert found["pairs in one of our groups that have two titles"] == "3 of 4"
    assert found["those of them that share no other name either"] == "2 of 4"
    assert found["pairs with two titles and another name in common in one group"] == "1 of 1"
    assert found["logs without a crash that get a title"] == "0 of 1"


def test_satyrs_table_is_beside_its_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = corpus(tmp_path / "kerneloopses", {"a": WARNING.format("one"), "b": WARNING.format("two")})
    rows = '{"kerneloopses/a", "one", 1},\n{"kerneloopses/b", "three.isra.1", 1},\n'
    (tmp_path / "koops_stacktrace.c").write_text(rows)
    names.run(str(folder), "satyr")
    assert told(capsys)["its first function among our first frames"] == "1 of 2"


@pytest.mark.parametrize(
    ("folder", "answers", "said"),
    [("", "syzkaller", "--corpus"), ("nowhere", "syzkaller", "--corpus"), (".", "nobody", "--answers")],
)
def test_what_is_missing_is_said(tmp_path: Path, folder: str, answers: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        names.run(str(tmp_path / folder) if folder else "", answers)
