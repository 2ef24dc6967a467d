# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of this machine: run, found, installed; and how failures are told."""

import io
from pathlib import Path

import pytest

from panicast_build.core import errors, tools
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.run import run


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
        run(["sh", "-c", f"echo begun; sleep 5; touch {tmp_path}/done"], log=Full())
    assert not (tmp_path / "done").exists()
