# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes a panic on a machine, and what `panicast-ctl sysctl` changes."""

from __future__ import annotations

from ..made_up import Machine

SYSCTLS = {
    **{"panic_on_oops": "0", "softlockup_panic": "0", "soft_watchdog": "1"},
    **{"hung_task_panic": "1", "panic": "0"},
}
DOG = {"identity": "iTCO", "state": "active", "pretimeout": "0", "pretimeout_governor": "noop"}


def test_what_becomes_a_panic_and_the_line_that_changes_it(machine: Machine) -> None:
    machine.load(reasons="panic,lockup")
    for name, value in {**SYSCTLS, "hung_task_timeout_secs": "0"}.items():
        machine.write(f"proc/sys/kernel/{name}", f"{value}\n")
    dog = "sys/class/watchdog/watchdog0"
    for name, value in DOG.items():
        machine.write(f"{dog}/{name}", f"{value}\n")
    said = " ".join(machine.ctl("doctor").output.split())
    assert "oops the task is killed, the machine goes on to change it: kernel.panic_on_oops = 1" in said
    assert "soft lockup a record of type oops; a warning in the log" in said
    assert "hung task nobody looks for it to change it: kernel.hung_task_timeout_secs = 120" in said
    assert "hard lockup this kernel has no kernel.hardlockup_panic" in said
    assert "the machine stays as it is after a panic to change it: kernel.panic = 10" in said
    assert "watchdog0 (iTCO) resets the machine without last words to change it: RuntimeWatchdogPre" in said
    machine.write(f"{dog}/pretimeout", "30\n")
    machine.write(f"{dog}/pretimeout_governor", "panic\n")
    machine.write("proc/sys/kernel/panic_on_oops", "1\n")
    said = " ".join(machine.ctl("sysctl").output.split())
    assert "watchdog0 (iTCO): panic, 30 s before" in said and "oops panic soft lockup a record" in said


def test_sysctl_on_and_off_leave_what_was(machine: Machine) -> None:
    for name, value in {**SYSCTLS, "panic": "-1"}.items():
        machine.write(f"proc/sys/kernel/{name}", f"{value}\n")
    before = {name: machine.read(f"proc/sys/kernel/{name}") for name in SYSCTLS}
    file = "etc/sysctl.d/90-panicast.conf"
    (machine.root / "etc/sysctl.d").mkdir(parents=True)

    assert machine.ctl("sysctl", "off").code == 1
    said = machine.ctl("sysctl", "on")
    assert said.code == 0, said.output
    for name, value in {"panic_on_oops": "1", "softlockup_panic": "1", "panic": "10"}.items():
        assert machine.read(f"proc/sys/kernel/{name}") == f"{value}\n"
        assert f"\n-kernel.{name} = {value}\n" in machine.read(file)
    assert not (machine.root / "proc/sys/kernel/hardlockup_panic").exists()
    assert machine.ctl("sysctl", "on").code == 1

    assert machine.ctl("sysctl", "off").code == 0
    assert not (machine.root / file).exists()
    assert {name: machine.read(f"proc/sys/kernel/{name}") for name in SYSCTLS} == before


def test_sysctl_wants_root_and_a_right_word(machine: Machine) -> None:
    assert machine.ctl("sysctl", "maybe").code == 2
    machine.command("id", "echo 1000")
    said = machine.ctl("sysctl", "on")
    assert said.code == 1 and "sudo panicast-ctl sysctl on" in said.output
