# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of this machine: run, found, installed; and how failures are told."""

import io
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException

from panicast_build.core import errors, tools
from panicast_build.core import run as processes
from panicast_build.core.errors import BuildError, Terminated, UserError
from panicast_build.core.run import run, spawn

from ....waiting import PATIENCE_S, wait_until


def test_output_is_returned_and_logged(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        result = run(["cat"], input="words\n", log=log)
        run(["echo", "two words"], log=log)
    assert (result.code, result.output) == (0, "words\n")
    assert (tmp_path / "log").read_text() == "+ cat\nwords\n+ echo 'two words'\ntwo words\n"


def test_of_a_build_with_many_jobs_the_failure_is_shown_and_not_only_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    failed = [
        "  LZ4     vmlinux.bin.lz4",
        "/bin/sh: 1: lz4: not found",
        "make[5]: *** [Makefile:1: a] Error 127",
    ]
    others = [f"  CC [M]  {number}.o" for number in range(100)]
    log.write_text("\n".join([*others, *failed, *others, "make: *** [Makefile:2: all] Error 2"]) + "\n")
    shown = errors.excerpt(log)
    assert shown[7:11] == [*failed, "[…]"] and shown[-1].endswith("Error 2") and len(shown) == 31
    # Once, where the end has it.
    log.write_text("\n".join(failed) + "\n")
    assert errors.excerpt(log) == failed
    assert errors.excerpt(tmp_path / "none") == []


def test_failures(tmp_path: Path) -> None:
    assert run(["false"], check=False).code == 1
    with pytest.raises(UserError, match="false failed with exit code 1"):
        run(["false"])
    with pytest.raises(UserError, match="nonesuch: no such command"):
        run(["nonesuch"])
    with (tmp_path / "log").open("w") as log, pytest.raises(BuildError) as failed:
        run(["false"], log=log)
    assert failed.value.log == tmp_path / "log"


def test_a_process_that_starts_while_all_are_ended_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Starting(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            processes.terminate()

    monkeypatch.setattr(subprocess, "Popen", Starting)
    assert run(["sleep", "20"], check=False).code == -signal.SIGTERM
    monkeypatch.undo()
    # What cleans up afterwards.
    assert run(["true"], check=False).code == 0


def test_user_errors_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, errors.reported():
        raise UserError("it is wrong", "put it right")
    assert left.value.code == 2
    assert capsys.readouterr().err == "panicast: it is wrong\n          put it right\n"


def test_build_errors_show_the_end_of_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(1, 100)))
    with pytest.raises(SystemExit) as left, errors.reported():
        raise BuildError("it failed", log)
    assert left.value.code == 1
    shown = capsys.readouterr().err
    assert "line 79\n" not in shown and "line 80\n" in shown and "line 99\n" in shown
    assert f"whole log: {log}" in shown


def test_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, errors.reported():
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert capsys.readouterr().err == "panicast: interrupted\n"


def test_every_tool_has_a_package_for_every_manager() -> None:
    keys = {manager.key for manager in tools.INSTALLERS}
    assert {command for command, names in tools.PACKAGES.items() if set(names) != keys} == set()


def test_packages_are_named_once() -> None:
    assert tools.packages_for(["mke2fs", "debugfs", "gcc"], "apt") == ["e2fsprogs", "gcc", "libc6-dev"]


def test_first_manager_present_is_used() -> None:
    found = tools.installer(lambda command: "/usr/bin/dnf" if command == "dnf" else None)
    assert found is not None and found.key == "dnf"
    assert tools.installer(lambda command: None) is None


def test_ordinary_user_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tools.INSTALLERS[0]
    monkeypatch.setattr(tools, "find", lambda command: None)
    monkeypatch.setattr(tools, "installer", lambda: apt)
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    with pytest.raises(UserError) as refused:
        tools.need("mmdebstrap", "dockerd")
    assert refused.value.hint == "run: sudo apt-get install docker.io mmdebstrap"


def test_a_command_whose_output_cannot_be_kept_is_ended(tmp_path: Path) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if text == "begun\n":
                raise OSError(28, "No space left on device")
            return len(text)

    with pytest.raises(OSError, match="No space"):
        run(["sh", "-c", f"echo begun; sleep 60; touch {tmp_path}/done"], log=Full())
    assert not (tmp_path / "done").exists()


@pytest.fixture
def typed() -> Iterator[None]:
    """What somebody typed waits in our standard input."""
    ours, (out, into) = os.dup(0), os.pipe()
    os.write(into, b"typed\n")
    os.close(into)
    os.dup2(out, 0)
    os.close(out)
    yield
    os.dup2(ours, 0)
    os.close(ours)


def test_a_command_runs_where_and_with_what_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: None
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("OURS", "ours")
    script = 'pwd; echo "$LC_ALL $OURS $GIVEN"; echo to stderr >&2; cat'
    done = run(["sh", "-c", script], cwd=tmp_path, env={"GIVEN": "given"})
    # What it reads, unless it is given something, is at its end.
    assert done.output == f"{tmp_path}\nC.UTF-8 ours given\nto stderr\n"
    assert run(["sh", "-c", "echo $LC_ALL"], env={"LC_ALL": "C"}).output == "C\n"


def test_output_of_any_encoding_is_output(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        assert run(["printf", "a\\377b\n"], log=log).output == "a\N{REPLACEMENT CHARACTER}b\n"
    assert "a\N{REPLACEMENT CHARACTER}b" in (tmp_path / "log").read_text()


def test_a_log_grows_while_the_command_runs(tmp_path: Path) -> None:
    path, go = tmp_path / "log", tmp_path / "go"
    script = f"echo begun; while ! test -e {go}; do sleep 0.01; done; echo done"
    with path.open("w") as log:
        thread = threading.Thread(target=run, args=(["sh", "-c", script],), kwargs={"log": log}, daemon=True)
        thread.start()
        wait_until(lambda: path.read_text().endswith("\nbegun\n"), "its first line in the log")
        go.touch()
        thread.join()
    assert path.read_text().endswith("\nbegun\ndone\n")


def test_a_command_is_said_before_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as log:
        assert run(["head", "-n1", path], log=log).output == f"+ head -n1 {path}\n"


def test_why_a_command_failed_is_what_it_said() -> None:
    with pytest.raises(UserError) as failed:
        run(["sh", "-c", "echo; echo it is broken; exit 3"])
    assert (str(failed.value), failed.value.hint) == ("sh failed with exit code 3", "it is broken")


def test_what_runs_can_be_asked_to_end() -> None:
    ended: list[int] = []
    script = ["sleep", "600"]
    threads = [
        threading.Thread(target=lambda: ended.append(run(script, check=False).code), daemon=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(processes._running) == 2, "both to run")
    processes.terminate()
    for thread in threads:
        thread.join()
    assert ended == [-signal.SIGTERM] * 2
    # Nobody is asked twice.
    assert not processes._running


def test_what_is_spawned_outlives_us(tmp_path: Path, typed: None) -> None:
    path, script = tmp_path / "log", "echo $LC_ALL; echo bad >&2; cat; cut -d' ' -f6 /proc/$$/stat"
    with path.open("wb") as log:
        child = spawn(["sh", "-c", script], log=log)
    assert child.wait(PATIENCE_S) == 0
    # Ctrl-C and a lost terminal are for our session.
    assert path.read_text() == f"C.UTF-8\nbad\n{child.pid}\n"


def test_lines_of_any_encoding_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a\xffb\nmake: *** [x] Error 1\nend")
    assert errors.tail(log) == ["a\N{REPLACEMENT CHARACTER}b", "make: *** [x] Error 1", "end"]
    assert errors.cause(log, lines=1) == ["make: *** [x] Error 1"]
    log.write_text("x make: *** [x] Error 1\n")
    assert errors.cause(log) == []


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("it is wrong"), 2, ["panicast: it is wrong"]),
        (Terminated(signal.SIGTERM), 143, ["panicast: ended by SIGTERM"]),
        (Terminated(signal.SIGHUP), 129, ["panicast: ended by SIGHUP"]),
        (
            DockerException("no engine"),
            1,
            [
                "panicast: the container engine failed: no engine",
                f"          if it is our own, its log is {errors.LOGS / 'dockerd.log'}",
            ],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_end_of_a_task_has_its_code_and_words(
    error: BaseException, code: int, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left, errors.reported():
        raise error
    assert (left.value.code, capsys.readouterr().err.splitlines()) == (code, said)


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), errors.reported():
        raise ZeroDivisionError
