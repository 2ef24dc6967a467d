# SPDX-License-Identifier: GPL-2.0-or-later
"""What is read in a function graph: what panicast came by, and who had the locks that it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from panicast_build.crash import cases, places, reach
from panicast_build.crash.guest import Outcome

CONSOLE = """\
READY-TO-CRASH
LOCK ff23b297813efc80 sch_direct_xmit
LOCK ff23b297813efc88 somebody_else
[   51.784106] /* taken: (_raw_spin_lock+0x0/0x50) lock=0xff23b297813efc88 by=0xffffffffab0551bf */
[   51.784106] printk();
[   51.784106] pc_xmit_last_words [panicast]() {
[   51.784106]   __rcu_read_lock();
[   51.784106]   e1000_xmit_frame [e1000]() {
[   51.784106]     _raw_spin_trylock() {
[   51.784106]       kprobe_ftrace_handler() {
[   51.784106]         get_kprobe();
[   51.784106]         /* taken: (_raw_spin_trylock+0x0/0x40) lock=0xff23b297813efc80 by=0xffffffffaa6768d0 */
[   51.784106]       }
[   51.784106]     }
[   51.784106]     orc_find.part.0();
[   51.784106]   }
[   51.784106] }
[   51.784106] emergency_restart();
"""
OUTCOME = Outcome([], CONSOLE, True, 1.0)


def test_all_between_the_first_and_the_last_line_of_the_function_that_sends_is_come_by() -> None:
    within = {"pc_xmit_last_words", "__rcu_read_lock", "e1000_xmit_frame", "_raw_spin_trylock"}
    assert reach.reached(OUTCOME) == within | {"orc_find.part.0"}


def test_only_locks_that_are_taken_there_have_holders() -> None:
    assert reach.held(OUTCOME) == {"sch_direct_xmit"}


def test_a_console_without_a_graph_has_nothing() -> None:
    assert not reach.reached(Outcome([], CONSOLE.partition("[")[0], False, 1.0))


def test_what_was_found_is_read_again_and_crashed_where_it_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "TABLE", tmp_path / "places.toml")
    lists = {"v1": ["in_both", "in_one"], "raw": [], "sealed": ["seal"], "holders": ["holder"]}
    found = {("6.1", "e1000"): lists, ("6.1", "pcnet"): {**lists, "v1": ["in_both"]}}
    places.save(found)
    assert places.load() == found
    crashes = cases.load()
    assert crashes["at-in_both"].where == set(found) and crashes["at-in_one"].where == {("6.1", "e1000")}
    assert crashes["at-sealed-seal"].sealed and crashes["holding-holder"].command == "holding holder"
    monkeypatch.undo()
    places.load.cache_clear()
