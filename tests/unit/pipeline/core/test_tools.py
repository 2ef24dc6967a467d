# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands of this machine: where they are looked for, and how missing ones get here."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from panicast_build.core import files, tools
from panicast_build.core.errors import BuildError, UserError

from ....waiting import wait_until

#: Installs what it is told, unless that is in the file "broken"; it writes down how it was called.
MANAGER = """#!/bin/sh
echo "$0 $* $DEBIAN_FRONTEND $LC_ALL" >>calls
test ! -e broken || { echo "E: no space left"; exit 100; }
if [ "$1" = add ]; then cp words bin/tool; chmod 755 bin/tool; fi
"""


def script(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which root has the package manager "manager", and no command but the shell's."""
    monkeypatch.chdir(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("cp", "chmod"):
        (bare / name).symlink_to(tools.find(name) or name)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{bare}")
    monkeypatch.delenv("DEBIAN_FRONTEND", raising=False)
    monkeypatch.setattr(tools, "SBIN", f"{tmp_path}/sbin")
    monkeypatch.setattr(tools, "POSTGRESQL", tmp_path / "postgresql")
    monkeypatch.setattr(tools, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(tools, "LOGS", tmp_path / "kept/logs")
    monkeypatch.setattr(tools, "PACKAGES", {"tool": {"new": "pack tool-data"}, "other": {"new": "pack"}})
    manager = tools.Installer("new", "manager", ("manager", "refresh"), ("manager", "add"))
    monkeypatch.setattr(tools, "INSTALLERS", (manager,))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    script(tmp_path / "bin/manager", MANAGER)
    (tmp_path / "words").write_text("#!/bin/sh\n")
    return tmp_path


def calls(machine: Path) -> list[str]:
    path = machine / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_a_command_is_found_where_an_ordinary_user_would_not_look(machine: Path) -> None:
    assert tools.find("initdb") is None
    newest = [script(machine / "postgresql" / version / "bin/initdb") for version in ("9.6", "15", "17")]
    assert tools.find("initdb") == str(newest[-1])
    newest[-1].unlink()
    assert tools.find("initdb") == str(newest[1])
    sbin = script(machine / "sbin/initdb")
    assert tools.find("initdb") == str(sbin)
    own = script(machine / "bin/initdb")
    assert tools.find("initdb") == str(own)


def test_without_a_path_the_systems_is_searched(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert tools.find("sh")


def test_root_gets_what_is_missing(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tools.need("tool", "cp")
    assert calls(machine) == [
        f"{machine}/bin/manager refresh noninteractive C.UTF-8",
        f"{machine}/bin/manager add pack tool-data noninteractive C.UTF-8",
    ]
    assert "installing pack tool-data with manager" in capsys.readouterr().err
    log = (machine / "kept/logs/install-tools.log").read_text()
    assert "+ manager refresh\n+ manager add pack tool-data\n" in log
    # Of what is there nothing is installed; and what an earlier run said stays in the log.
    tools.need("tool")
    assert len(calls(machine)) == 2
    (machine / "bin/tool").unlink()
    tools.need("tool")
    assert (machine / "kept/logs/install-tools.log").read_text() == log * 2


def test_a_manager_that_needs_no_refreshing_gets_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "INSTALLERS", (tools.Installer("new", "manager", (), ("manager", "add")),))
    tools.need("tool")
    assert calls(machine) == [f"{machine}/bin/manager add pack tool-data noninteractive C.UTF-8"]


def test_an_installation_that_fails_says_where_its_words_are(machine: Path) -> None:
    (machine / "broken").touch()
    with pytest.raises(BuildError, match="exit code 100") as failed:
        tools.need("tool")
    assert failed.value.log.read_text().endswith("E: no space left\n")


def test_a_package_without_its_command_is_told(machine: Path) -> None:
    with pytest.raises(UserError, match=r"^pack, tool-data installed, but other is not in PATH$"):
        tools.need("tool", "other")


def test_a_machine_of_another_kind_is_told_what_is_missing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "bin/manager").unlink()
    monkeypatch.setattr(tools, "PACKAGES", {"tool": {"apt": "pack"}, "other": {"apt": "more"}})
    with pytest.raises(UserError, match=r"^missing here: other, tool$") as refused:
        tools.need("other", "tool", "cp")
    assert refused.value.hint == "install what your system calls: more pack"
    tools.need("cp")


def test_one_process_installs_at_a_time(machine: Path) -> None:
    with files.locked(tools.CACHE / "tools.lock"):
        thread = threading.Thread(target=tools.need, args=("tool",), daemon=True)
        thread.start()
        # It waits for us, however long it takes to come there.
        wait_until(lambda: waits_for_a_lock(tools.CACHE / "tools.lock"), "the second to wait")
        assert calls(machine) == []
    thread.join()
    assert len(calls(machine)) == 2


def waits_for_a_lock(path: Path) -> bool:
    """Whether somebody waits for the lock that somebody has."""
    end = f":{path.stat().st_ino} 0 EOF"
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and line.endswith(end) for line in lines)
