# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl doctor` finds: kdump, settings that are not in force, cards that are not armed."""

from __future__ import annotations

import pytest

from ..made_up import Machine


def test_nothing_to_mend(machine: Machine) -> None:
    machine.load()
    said = machine.ctl("doctor")
    assert said.code == 0 and "would leave. To prove it" in said.output and "fix:" not in said.output


def test_kdump_first_is_a_problem_unless_it_is_on_purpose(machine: Machine) -> None:
    machine.load()
    machine.write("sys/kernel/kexec_crash_loaded", "1\n")
    for command in ("status", "doctor"):
        assert machine.ctl(command).code == 1
    assert "kdump is armed and runs before panicast [kdump]" in machine.ctl("doctor").output
    machine.write("etc/panicast/accepted", "# by ops\nkdump   # we have dumps\n")
    for command in ("status", "doctor"):
        assert machine.ctl(command).code == 0
    said = machine.ctl("doctor").output
    assert "accepted: kdump is armed" in said and "Last words would leave" not in said


def test_what_remains_with_kdump_behind_panicast_is_noted(machine: Machine) -> None:
    machine.load()
    machine.write("sys/kernel/kexec_crash_loaded", "1\n")
    machine.write("sys/module/kernel/parameters/crash_kexec_post_notifiers", "Y\n")
    said = machine.ctl("doctor")
    assert said.code == 0 and "can cost the record and the dump" in said.output


def test_settings_on_disk_that_are_not_in_force(machine: Machine) -> None:
    machine.load(dest_mac="aa:bb:cc:dd:ee:ff", tag="rack r7", hello_s="300")
    machine.write(
        "modprobe-c",
        'options panicast kib=0x40 tag="rack r7" dest_mac=AA:BB:CC:DD:EE:FF\noptions other kib=1\n'
        "options panicast port=7000 repeat=3\noptions panicast repeat=4\n",
    )
    said = machine.ctl("doctor")
    assert said.code == 1
    assert "port is '7000' on disk, but '6664' in force [differs-port]" in said.output
    assert "repeat is '4' on disk, but '1' in force" in said.output
    for name in ("kib", "tag", "dest_mac"):
        assert f"{name} is" not in said.output


def test_a_setting_that_the_next_boot_forgets_is_noted(machine: Machine) -> None:
    machine.load(kib="128")
    said = machine.ctl("doctor")
    assert said.code == 0 and "kib is '128' until the next boot" in said.output


@pytest.mark.parametrize(
    ("wrong", "meant"), [("destt", "dest"), ("dest-mc", "dest_mac"), ("iface_", "iface"), ("colour", "")]
)
def test_a_name_that_the_module_does_not_know(machine: Machine, wrong: str, meant: str) -> None:
    machine.load()
    machine.write("modprobe-c", f"options panicast {wrong}=1\n")
    said = machine.ctl("doctor")
    assert said.code == 1 and f"modprobe.d sets '{wrong.replace('-', '_')}'" in said.output
    assert (f"it may mean {meant}\n" if meant else "/etc/modprobe.d\n") in said.output


def test_one_card_that_is_not_armed_is_no_problem_but_all_are(machine: Machine) -> None:
    machine.load(unarmed="eth1: no link\n")
    said = machine.ctl("doctor")
    assert said.code == 0 and "note: eth1 is not armed: no link" in said.output
    machine.load(armed=(), unarmed="eth1: no link\n")
    said = machine.ctl("doctor")
    assert said.code == 1 and "1. eth1 is not armed: no link [not-armed]" in said.output


def test_the_kernels_words_for_a_refused_value(machine: Machine) -> None:
    machine.write("dmesg", "[1.0] panicast: kib=abc refused: a number from 1 to 1024 is right\n")
    assert "the kernel log has: kib=abc refused: a number from 1 to 1024" in machine.ctl("doctor").output
    machine.write("dmesg", "[1.0] panicast: kib=abc refused: a\n[2.0] panicast: version 1.2, reads the log\n")
    assert "refused: a" not in machine.ctl("doctor").output
