# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl reload` loads, and what it leaves as it was."""

from __future__ import annotations

from ..made_up import MODULE, Machine


def test_reload(loadable: Machine) -> None:
    said = loadable.ctl("reload")
    assert said.code == 0 and "armed        eth0" in said.output
    assert loadable.read("calls").splitlines()[-2:] == ["-r panicast panicast_seal", "panicast"]


def test_a_module_that_would_be_refused_does_not_unload_the_old_one(loadable: Machine) -> None:
    loadable.command("insmod", 'echo "insmod: ERROR: Key was rejected by service"; exit 1')
    said = loadable.ctl("reload")
    assert said.code == 1 and "the loaded one stays" in said.output and "Key was rejected" in said.output
    assert not (loadable.root / "calls").exists()


def test_wrong_settings_leave_the_module_armed_as_it_was(loadable: Machine) -> None:
    loadable.write("wrong", "")
    loadable.write("dmesg", "[9.0] panicast: kib=abc refused: a number from 1 to 1024 is right\n")
    loadable.write("modprobe-c", "options panicast kib=abc key_id=7 key=00ff\n")
    said = loadable.ctl("reload")
    assert said.code == 1 and "nothing has changed" in said.output and "kib=abc refused" in said.output
    assert (loadable.root / MODULE).is_dir()
    given = loadable.read("given")
    assert ' kib="128"' in given and ' tag="rack r7"' in given and "abc" not in given
    assert "options panicast key=00ff\n" in given and "options panicast key_id=7\n" in given
